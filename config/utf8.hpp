// SPDX-License-Identifier: Apache-2.0
//
// Checks whether bytes are UTF-8 (RFC 3629) and whether YAML allows them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace config {

// The length in bytes (1-4) of the UTF-8 character at the start of `text`; 0 if there is none.
// Overlong forms, surrogates and code points above U+10FFFF are invalid (RFC 3629 section 4).
std::size_t utf8_length(std::string_view text);

struct BadText {
  int line = 0;    // 1-based
  int column = 0;  // 1-based, in bytes
  std::string what;
};

// The first position where `text` is not UTF-8 or has a control character other than tab, line feed
// and carriage return; nullopt if there is none. yaml-cpp alone would accept invalid UTF-8 and
// treat 0x04 as the end of the input.
std::optional<BadText> find_bad_text(std::string_view text);

}  // namespace config
