// SPDX-License-Identifier: Apache-2.0
//
// Where kube-ipvs decides otherwise than kube-proxy's ipvs mode, and whether --compat=kube-proxy
// decides as kube-proxy does. For the line at the start and for config/kube-proxy.md. Which flags and
// keys count is in config/options.cpp and config/ignored_options.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace config {

struct Policy {
  std::string_view what;        // in a few words, for the line at the start
  std::string_view kube_proxy;  // what it does
  std::string_view ours;
  bool compat = false;  // whether --compat=kube-proxy does as kube-proxy
};

std::span<const Policy> policies();

// One line about those that --compat=kube-proxy would change.
std::string policies_line();

}  // namespace config
