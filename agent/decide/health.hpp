// SPDX-License-Identifier: Apache-2.0
//
// What /healthz and /livez answer. Pure. kube-proxy's forms: 200 or 503 and a JSON body; /livez
// leaves the node's eligibility out (KEP-3836).
//
// Unhealthy is an agent that
//   - has had an event for over 60 s that is not in the kernel yet (kube-proxy: twice its sync
//   period), be it that
//     the kernel refuses something or that the first lists do not come;
//   - cannot listen where it was told to.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace agent {

struct HealthInputs {
  std::chrono::system_clock::time_point now;
  std::optional<std::chrono::system_clock::time_point> last_sync;
  // For how long the oldest event has been waiting to be in the kernel; before the first pass,
  // since the start.
  std::optional<std::chrono::seconds> waiting;
  std::size_t failing_keys = 0;
  bool node_eligible = true;
  std::map<std::string, std::string> bind_faults;  // server to fault
};

struct Health {
  bool healthy = false;
  int status = 503;
  std::string body;  // JSON
};

Health judge_health(const HealthInputs& inputs, bool livez);

}  // namespace agent
