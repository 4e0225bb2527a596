// SPDX-License-Identifier: Apache-2.0
//
// What somebody else changed in the kernel, from when it is found until it is repaired and
// reported. A repair is reported after it was made, once, however many objects it is about.
//
// Threading: the agent's io_context thread.
// Metrics: kube_ipvs_drift_corrected_total, by SyncObserver::on_drift().
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/reconciler.hpp"
#include "agent/sync/repair_pace.hpp"
#include "agent/sync/sync_observer.hpp"

namespace agent {

class Repairs {
 public:
  using Now = RepairPace::TimePoint (*)();
  Repairs(SyncObserver& observer, Now now) : observer_(observer), now_(now) {}

  // Of a virtual server.
  enum class Fault : std::uint8_t { kDeleted, kSettings, kDestinations };

  // Found in the kernel, not repaired yet: the Reconciler's next changes do that.
  void found(const ipvs::Address& address);
  void found(Fault fault, const ipvs::ServerKey& key);
  // Repaired already: one line.
  void made(const std::string& kind, const std::string& what);
  // Reports what was found, as far as the kernel now holds what is wanted. While all virtual servers
  // are compared, more of the same may be found: those wait for the end (`comparing_all`).
  void report(const Reconciler& reconciler, bool comparing_all);

  bool waiting() const { return !addresses_.empty() || !servers_.empty(); }
  // When something of this kind may be repaired again.
  RepairPace::TimePoint next(const std::string& kind) { return paces_[kind].next(); }

 private:
  void report_addresses(const Reconciler& reconciler);
  void report_servers(const Reconciler& reconciler);
  void tell(const std::string& kind, std::size_t count, const std::string& what);

  SyncObserver& observer_;
  const Now now_;
  std::set<ipvs::Address> addresses_;
  std::map<Fault, std::set<ipvs::ServerKey>> servers_;
  std::map<std::string, RepairPace> paces_;
};

}  // namespace agent
