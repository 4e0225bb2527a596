// SPDX-License-Identifier: Apache-2.0
//
// Whether this node is healthy, from what the parts of the agent know: agent/decide/health.hpp judges
// it.
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
  // For health check node ports. That a port of our own is taken is no reason to turn a Service's
  // clients away.
  bool can_serve() const;

  // The server `name` cannot listen; "": it can. True where that is news.
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
