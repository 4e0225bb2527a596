// SPDX-License-Identifier: Apache-2.0
//
// Whether this node is healthy: collects the inputs of agent/decide/health.hpp.
//
// Threading: the agent's io_context thread.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "agent/cluster/cluster_state.hpp"
#include "agent/decide/health.hpp"
#include "agent/report/sync_reporter.hpp"
#include "agent/sync/sync_loop.hpp"

namespace agent {

class NodeHealth {
 public:
  NodeHealth(const SyncLoop& sync, const ClusterState& cluster, const SyncReporter& reporter);

  // What /livez (true) or /healthz (false) answers.
  Health judge(bool livez) const;
  // The answer for health check node ports. Ignores that a port of the agent itself is in use,
  // which does not concern clients of Services.
  bool can_serve() const;

  // Why the server `name` cannot listen; "": it can. True if that changed.
  bool set_bind_fault(const std::string& name, const std::string& fault);

 private:
  HealthInputs inputs() const;

  const SyncLoop& sync_;
  const ClusterState& cluster_;
  const SyncReporter& reporter_;
  const std::chrono::steady_clock::time_point started_;
  std::map<std::string, std::string> bind_faults_;  // by server
};

}  // namespace agent
