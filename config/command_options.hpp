// SPDX-License-Identifier: Apache-2.0
//
// The options of the commands plan and cleanup, which only the command line has: a part of the table
// of options.hpp, which joins it.
#pragma once

#include <span>

#include "config/options.hpp"

namespace config {

std::span<const Option> command_options();

}  // namespace config
