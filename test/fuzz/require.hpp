// SPDX-License-Identifier: Apache-2.0
//
// What fuzz targets ask of a result.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string_view>

#include "config/printable.hpp"

namespace fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// Without control characters.
inline bool is_one_line(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = config::printable_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace fuzz
