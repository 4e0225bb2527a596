// SPDX-License-Identifier: Apache-2.0
//
// The text of --help, made from the tables of options (config/options.hpp) and of ignored options
// (config/ignored_options.hpp).
#pragma once

#include <cstddef>
#include <string>

namespace config {

inline constexpr std::size_t kHelpColumns = 100;

// Each option has its help text and default after it. `program`: the name that it was started under.
// Lines are at most `columns` wide, but no less than 60 and no more than 120: a flag alone may need
// that, and nobody reads longer lines with ease.
std::string help_text(const std::string& program, std::size_t columns = kHelpColumns);

}  // namespace config
