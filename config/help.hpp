// SPDX-License-Identifier: Apache-2.0
//
// The text of --help, made from the tables of options (config/options.hpp) and of ignored options
// (config/ignored_options.hpp).
#pragma once

#include <string>

namespace config {

// Lines have at most 100 columns. Each option has its help text and default after it. `program`: the
// name that it was started under.
std::string help_text(const std::string& program);

}  // namespace config
