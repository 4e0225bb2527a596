// SPDX-License-Identifier: Apache-2.0
//
// Whether bytes are UTF-8 (RFC 3629), and whether they are text that YAML allows.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace config {

// The length in bytes of the UTF-8 character at the start of `text`, 1-4, or 0 if there is none: no
// overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629 section 4).
std::size_t utf8_length(std::string_view text);

struct BadText {
  int line = 0;    // 1-based
  int column = 0;  // 1-based, in bytes
  std::string what;
};

// The first place at which `text` is not UTF-8 (RFC 3629) or holds a control character other than
// tab and line breaks. yaml-cpp would pass the former through and take 0x04 for the end of the
// input.
std::optional<BadText> find_bad_text(std::string_view text);

}  // namespace config
