// SPDX-License-Identifier: Apache-2.0
//
// What /healthz and /livez answer. Pure. The forms are kube-proxy's: 200 or 503 and a JSON body;
// /livez ignores the node's eligibility (KEP-3836).
//
// The agent is unhealthy if
//   - a change has been waiting for the kernel for 60 s or longer (kube-proxy: twice its sync
//     period), because the kernel refuses something or because the first lists are not complete;
//   - it cannot listen on a configured address.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace agent {

struct HealthInputs {
  std::chrono::system_clock::time_point now;
  std::optional<std::chrono::system_clock::time_point> last_sync;
  // How long the oldest change has been waiting for the kernel; before the first pass, the time
  // since the start.
  std::optional<std::chrono::seconds> waiting;
  std::size_t failing_keys = 0;
  bool node_eligible = true;
  std::map<std::string, std::string> bind_faults;  // by server
};

struct Health {
  bool healthy = false;
  int status = 503;
  std::string body;  // JSON
};

Health judge_health(const HealthInputs& inputs, bool livez);

}  // namespace agent
