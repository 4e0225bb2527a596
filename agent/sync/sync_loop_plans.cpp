// SPDX-License-Identifier: Apache-2.0
//
// The planning of the sync loop: which Services a pass plans, and what follows from their plans.
#include <algorithm>
#include <utility>
#include <vector>

#include "agent/decide/held_plan.hpp"
#include "agent/sync/sync_loop.hpp"

namespace agent {

void SyncLoop::plan_dirty(PassReport& report) { plan_all(dirty_, report); }

// A claim may pass to or from other Services: these are planned, too.
void SyncLoop::plan_all(std::set<ipvs::Owner>& services, PassReport& report) {
  while (!services.empty()) {
    const ipvs::Owner service = *services.begin();
    services.erase(services.begin());
    last_marked_ = dirty_.end();
    services.merge(plan_one(service, plans_.plan(service)));
    ++report.services;
  }
}

// What is new first, then a part of what was left: thousands of Services that change at once do not
// make others wait.
void SyncLoop::plan_some(PassReport& report) {
  const std::size_t limit = options_.plans_in_pass;
  if (pending() <= limit) {
    dirty_.merge(older_);
    dirty_.merge(leaving_);
    older_.clear();
    leaving_.clear();
    return plan_dirty(report);
  }
  Batch batch;
  take_batch(dirty_, limit, batch);
  // What is new has the kernel for itself, but not in two passes one after the other.
  const bool is_shared = batch.empty() || older_waited_;
  if (is_shared) take_batch(older_, batch.empty() ? limit : batch.size() + limit / 4, batch);
  older_waited_ = !is_shared && !older_.empty();
  older_.merge(dirty_);
  dirty_.clear();
  if (older_.empty()) plan_all(leaving_, report);
  std::set<ipvs::Owner> others;
  for (auto& [service, wanted] : batch) {
    others.merge(plan_one(service, std::move(wanted)));
    ++report.services;
  }
  plan_all(others, report);
}

// Fills it up to `size`, and puts those that have no plan any more aside.
void SyncLoop::take_batch(std::set<ipvs::Owner>& services, std::size_t size, Batch& batch) {
  while (!services.empty() && batch.size() < size) {
    const ipvs::Owner service = *services.begin();
    services.erase(services.begin());
    older_.erase(service);
    last_marked_ = dirty_.end();
    if (auto wanted = plans_.plan(service)) {
      batch.emplace_back(service, std::move(*wanted));
    } else {
      leaving_.insert(service);
    }
  }
}

std::set<ipvs::Owner> SyncLoop::plan_one(const ipvs::Owner& service,
                                         std::optional<PlannedService> wanted) {
  observer_.on_planned(service, wanted);
  if (!wanted) return reconciler_.remove(service);
  if (!wanted->kept.empty()) wanted->plan = held_plan(reconciler_.ledger(), wanted->kept);
  if (wanted->is_lingering && is_drained(wanted->plan)) {
    plans_.drained(service);
    return reconciler_.remove(service);
  }
  if (wanted->again_in_a_second || wanted->is_lingering) {
    again_.insert(service);
    agenda_.schedule(Work::kPlanAgain, time() + options_.again_interval);
  }
  auto planned = reconciler_.set_plan(service, {wanted->since, std::move(wanted->external_ips)},
                                      std::move(wanted->plan));
  for (const Reconciler::Conflict& conflict : planned.conflicts) observer_.on_conflict(conflict);
  for (const ipvs::ServerKey& key : planned.taken_over) observer_.on_taken_over(service, key);
  return std::move(planned.others);
}

void SyncLoop::plan_again() {
  dirty_.merge(again_);
  again_.clear();
}

// No virtual server of the plan has a destination left in the kernel.
bool SyncLoop::is_drained(const ipvs::ServicePlan& plan) const {
  return std::all_of(plan.servers.begin(), plan.servers.end(), [&](const ipvs::Server& server) {
    const ipvs::Server* held = reconciler_.ledger().server(server.settings.key);
    return !held || held->destinations.empty();
  });
}

ipvs::MayDrain SyncLoop::may_drain() const {
  return [this](const ipvs::ServerKey& key, const ipvs::Endpoint& endpoint) {
    const ipvs::Owner* owner = reconciler_.desired().owner_of(key);
    return owner && plans_.may_drain(*owner, endpoint);
  };
}

}  // namespace agent
