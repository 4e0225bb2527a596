// SPDX-License-Identifier: Apache-2.0
//
// From settings to a Config. Checks each value, and the values against each other.
#pragma once

#include <string>
#include <vector>

#include "config/setting.hpp"

namespace config {

struct Checked {
  Config config;  // valid only if `faults` is empty
  std::vector<Fault> faults;
};

struct Circumstances {
  std::string host_name = {};  // the node's name if --hostname-override is not set
  bool as_kube_proxy = false;  // started under that name: endpoints come from EndpointSlices
};

// A later layer overrides an earlier one: first the file's settings, then the flags'.
Checked apply_and_validate(const std::vector<Settings>& layers, const Circumstances& circumstances);

}  // namespace config
