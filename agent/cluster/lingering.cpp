// SPDX-License-Identifier: Apache-2.0
//
// Deleted Services that are served until their connections have ended: a part of ClusterState.
#include <optional>
#include <utility>

#include "agent/cluster/cluster_state.hpp"

namespace agent {

// Services that were deleted before this start, or while no agent ran.
void ClusterState::remember_lingering() {
  for (auto& [owner, linger] : memory_.lingering()) {
    if (service(owner)) continue;
    lingering_[owner] = {
        .kept = std::move(linger.servers), .since = linger.since, .seconds = linger.seconds};
    observer_.on_dirty(owner);
  }
}

void ClusterState::drained(const ipvs::Owner& service) {
  lingering_.erase(service);
  memory_.forget_service(service);
}

// Also before it is deleted: that may happen while no agent runs.
void ClusterState::note_linger(const ipvs::Owner& owner, const PlannedService& plan,
                               std::uint32_t seconds, std::optional<MonotonicSeconds> since) {
  if (seconds == 0) return memory_.forget_service(owner);
  Memory::Linger linger{.seconds = seconds, .since = since};
  for (const ipvs::Server& server : plan.plan.servers) {
    linger.servers.push_back(server.settings.key);
  }
  for (const ipvs::ServerKey& key : plan.kept) linger.servers.push_back(key);
  memory_.lingers(owner, linger);
}

// A deleted Service: all of it stays but its endpoints, which then drain. Any other Service that
// claims its addresses gets them, because this one counts least.
std::optional<PlannedService> ClusterState::plan_lingering(const ipvs::Owner& owner,
                                                           MonotonicSeconds now) {
  const auto found = lingering_.find(owner);
  if (found == lingering_.end()) {
    memory_.forget_service(owner);
    return std::nullopt;
  }
  Lingering& lingering = found->second;
  if (!lingering.since) lingering.since = now;
  if (now >= *lingering.since + lingering.seconds) {
    drained(owner);
    return std::nullopt;
  }
  PlannedService plan{.since = kLingering, .plan = {}, .is_lingering = true};
  if (lingering.service) {
    std::optional<UsableService> changed;
    const k8s::Service& service = usable(*lingering.service, changed);
    plan.plan = plan_service(service, ServiceEndpoints(service.ports.size()), node_view_,
                             options_for(service, now));
  } else {
    plan.kept = lingering.kept;
  }
  note_linger(owner, plan, lingering.seconds, lingering.since);
  return plan;
}

}  // namespace agent
