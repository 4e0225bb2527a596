// SPDX-License-Identifier: Apache-2.0
//
// What /livez, /healthz, /readyz and health check node ports answer. Pure. The forms are kube-proxy's:
// 200 or 503 and a JSON body; /livez ignores the node's eligibility (KEP-3836).
//
//   /livez             the sync loop ends its passes, and the kernel returns from calls: 503 after
//                      two minutes without. Nothing that a restart cannot mend makes it fail.
//   /healthz           what this node can serve is served: 503 if, for a minute, there has been no
//                      complete list since the start, no table, a kernel that refuses for a reason
//                      that is no object's (ipvs/state/kernel_error.hpp), or what /livez asks; and
//                      if the node is not eligible.
//   /readyz            503 until the kernel has equalled what was wanted first, without patience, so
//                      that a rolling update waits for it; from then on what /healthz answers.
//   health check ports /healthz without the eligibility.
//
// What the kernel refuses of one object is that object's condition (agent/report/conditions.hpp)
// and changes none of these. agent/decide/adr-health.md has the reasons.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace agent {

struct HealthInputs {
  std::chrono::system_clock::time_point now;
  std::optional<std::chrono::system_clock::time_point> last_sync;
  // Since the start, as long as the first pass has not ended.
  std::optional<std::chrono::seconds> starting;
  bool has_lists = false;  // every source has delivered its first list
  // Since the oldest change came in that no pass has dealt with; without those before the first.
  std::optional<std::chrono::seconds> unpassed;
  std::optional<std::chrono::seconds> kernel_silent;  // since a call that has not returned
  std::optional<std::chrono::seconds> table_missing;
  // How long the kernel has refused what no object is to blame for, and one such refusal.
  std::optional<std::chrono::seconds> refused;
  std::string refusal{};
  std::string awaited{};  // what /readyz waits for; "": it has been there
  bool node_eligible = true;
};

struct Health {
  bool healthy = false;
  int status = 503;
  std::string body;  // JSON
  std::vector<std::string> reasons{};
};

// /livez, health check ports, /healthz, /readyz
enum class HealthQuestion { kAlive, kServing, kHealthy, kReady };
Health judge_health(const HealthInputs& inputs, HealthQuestion question);

}  // namespace agent
