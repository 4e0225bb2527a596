// SPDX-License-Identifier: Apache-2.0
#include "agent/report/node_health.hpp"

#include <optional>
#include <utility>

namespace agent {

using std::chrono::steady_clock;

NodeHealth::NodeHealth(const SyncLoop& sync, const ClusterState& cluster,
                       const SyncReporter& reporter)
    : sync_(sync), cluster_(cluster), reporter_(reporter), started_(steady_clock::now()) {}

HealthInputs NodeHealth::inputs() const {
  HealthInputs inputs{.now = std::chrono::system_clock::now(),
                      .last_sync = std::nullopt,
                      .has_lists = sync_.state() != SyncState::kAwaitingLists,
                      .node_eligible = cluster_.nodes().eligible()};
  const auto now = steady_clock::now();
  const auto seconds_since = [now](const std::optional<steady_clock::time_point>& since) {
    using std::chrono::seconds;
    return since ? std::optional(std::chrono::duration_cast<seconds>(now - *since)) : std::nullopt;
  };
  inputs.awaited = awaited();
  inputs.kernel_silent = seconds_since(sync_.kernel_silent_since());
  if (!sync_.complete()) {
    inputs.starting = seconds_since(started_);
    return inputs;
  }
  inputs.last_sync = reporter_.last_sync();
  inputs.unpassed = seconds_since(sync_.unpassed_since());
  inputs.table_missing = seconds_since(sync_.table_missing_since());
  if (const auto fault = sync_.reconciler().fault_of_node()) {
    inputs.refused = seconds_since(fault->since);
    inputs.refusal = fault->failure.text();
  }
  return inputs;
}

// What the kernel refuses because of an object does not hold a node back: it would for ever.
std::string NodeHealth::awaited() const {
  if (is_ready_) return {};
  switch (sync_.state()) {
    case SyncState::kAwaitingLists: {
      const std::string lists = cluster_.lists_awaited();
      if (lists.empty() && cluster_.lacks_own_pods())
        return "this Node to have Pod networks (spec.podCIDRs)";
      return "the first list of " + lists;
    }
    case SyncState::kInstalling:
      return "the kernel to be read and the nftables table to be installed";
    case SyncState::kFirstPass:
      return "the end of the first pass";
    case SyncState::kSynced:
      break;
  }
  if (sync_.table_missing_since()) return "the nftables table, which cannot be installed";
  if (const auto fault = sync_.reconciler().fault_of_node()) {
    return "what the kernel refuses: " + fault->failure.text();
  }
  return sync_.reconciler().is_settled() ? "" : "the pass that repairs what the first has found";
}

std::map<std::string, std::string> NodeHealth::faults() const {
  auto faults = faults_;
  if (!cluster_.other_nodes().fault().empty()) faults["nodes"] = cluster_.other_nodes().fault();
  return faults;
}

bool NodeHealth::set_fault(const std::string& name, const std::string& fault) {
  if (fault.empty()) return faults_.erase(name) > 0;
  std::string& known = faults_[name];
  return std::exchange(known, fault) != fault;
}

}  // namespace agent
