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

  Health judge(HealthQuestion question) const { return judge_health(inputs(), question); }
  // The answer for health check node ports.
  bool can_serve() const { return judge(HealthQuestion::kServing).healthy; }

  // The sync loop has ended a pass: the kernel may equal what was wanted first.
  void note_pass() { is_ready_ = is_ready_ || awaited().empty(); }
  bool is_ready() const { return is_ready_; }
  // What a node that has not been ready waits for: "the first list of Services, Pods"; "": nothing.
  std::string awaited() const;

  // What is wrong with `name`: a server that cannot listen, or "config"; "": nothing. True if that
  // changed. It is a condition of the node (agent/report/conditions.hpp), not of its health: whoever
  // has taken a port must not take the clients of all Services away.
  bool set_fault(const std::string& name, const std::string& fault);
  // What this node lacks, by server, or "nodes" for the Nodes of others.
  std::map<std::string, std::string> faults() const;

 private:
  HealthInputs inputs() const;

  const SyncLoop& sync_;
  const ClusterState& cluster_;
  const SyncReporter& reporter_;
  const std::chrono::steady_clock::time_point started_;
  bool is_ready_ = false;                      // once, and from then on
  std::map<std::string, std::string> faults_;  // by server, and of "config"
};

}  // namespace agent
