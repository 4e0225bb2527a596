// SPDX-License-Identifier: Apache-2.0
//
// Writes a Config as the text of a file for --config (--write-config-to). Pure.
#pragma once

#include <string>

#include "config/config.hpp"

namespace config {

// A KubeIpvsConfiguration with every key. It is read back to the same Config, apart from what only
// flags have (such as --cleanup).
std::string to_yaml(const Config& config);

}  // namespace config
