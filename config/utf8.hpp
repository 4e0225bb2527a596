// SPDX-License-Identifier: Apache-2.0
//
// Whether bytes are text that YAML allows: valid UTF-8 without control characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace config {

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
