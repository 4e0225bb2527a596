// SPDX-License-Identifier: Apache-2.0
#include "agent/report/node_health.hpp"

#include <optional>

namespace agent {

using std::chrono::steady_clock;

NodeHealth::NodeHealth(const SyncLoop& sync, const ClusterState& cluster,
                       const SyncReporter& reporter)
    : sync_(sync), cluster_(cluster), reporter_(reporter), started_(steady_clock::now()) {}

HealthInputs NodeHealth::inputs() const {
  HealthInputs inputs{.now = std::chrono::system_clock::now(),
                      .last_sync = std::nullopt,
                      .waiting = std::nullopt,
                      .failing_keys = sync_.reconciler().failed_count(),
                      .node_eligible = cluster_.nodes().eligible(),
                      .bind_faults = bind_faults_};
  if (sync_.complete()) inputs.last_sync = reporter_.last_sync();
  const auto since = sync_.complete() ? sync_.waiting_since() : std::optional(started_);
  if (since) {
    inputs.waiting = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - *since);
  }
  return inputs;
}

Health NodeHealth::judge(bool livez) const { return judge_health(inputs(), livez); }

bool NodeHealth::can_serve() const {
  HealthInputs without_our_ports = inputs();
  without_our_ports.bind_faults.clear();
  return judge_health(without_our_ports, true).healthy;
}

bool NodeHealth::set_bind_fault(const std::string& name, const std::string& fault) {
  if (fault.empty()) return bind_faults_.erase(name) > 0;
  return bind_faults_.emplace(name, fault).second;
}

}  // namespace agent
