// SPDX-License-Identifier: Apache-2.0
//
// Lists in the headers of a request, as Accept and Accept-Encoding have them (RFC 9110, 5.6).
#pragma once

#include <algorithm>
#include <string_view>

namespace agent {

// Without the blanks and tabs around it.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// The part before the next `separator`, trimmed; `text` loses both.
inline std::string_view take_part(std::string_view& text, char separator) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return trimmed(part);
}

}  // namespace agent
