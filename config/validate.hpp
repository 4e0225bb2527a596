// SPDX-License-Identifier: Apache-2.0
//
// From settings to a Config, and what only several values together can tell.
#pragma once

#include <string>
#include <vector>

#include "config/setting.hpp"

namespace config {

struct Checked {
  Config config;  // good only when `faults` is empty
  std::vector<Fault> faults;
};

// `layers` in rising order of authority: the file's settings, then the flags'.
Checked apply_and_validate(const std::vector<Settings>& layers, const Environment& environment);

}  // namespace config
