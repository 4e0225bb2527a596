// SPDX-License-Identifier: Apache-2.0
//
// The options of the group kDns: a part of the table of options.hpp, which joins it.
#pragma once

#include <span>

#include "config/options.hpp"

namespace config {

std::span<const Option> dns_options();

}  // namespace config
