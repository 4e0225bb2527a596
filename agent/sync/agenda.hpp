// SPDX-License-Identifier: Apache-2.0
//
// When the sync loop has to do what: for each kind of work, the time when it is due, if it is. Only
// values; it never reads the clock.
//
//   agenda.now(Work::kInstallTable);            an event asks for work
//   agenda.schedule(Work::kAudit, time);        or it is due later
//   while (!agenda.is_due(now)) ...             wait until agenda.next()
//   if (agenda.take(Work::kAudit, now)) ...     do it
//
// Invariants: work that is asked for twice is done once, at the earlier time. take() removes the
// work before the caller does it, so what is asked for meanwhile is done in the next pass.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace agent {

// In the order in which a pass does it.
enum class Work : std::uint8_t {
  kInstallTable,           // somebody else changed our nftables table
  kCheckAddresses,         // somebody else changed kube-ipvs0 or its addresses
  kCheckSettings,          // somebody else changed sysctls
  kCheckDraining,          // draining destinations may have no connections any more
  kAudit,                  // the next virtual servers are compared with the kernel
  kCountServers,           // somebody else may have deleted virtual servers
  kCompareServers,         // somebody else did: all are compared
  kPlanAgain,              // plans that change with time
  kReadNodePortAddresses,  // node ports are served on other addresses
  kRetry,                  // what the kernel refused
  kCount,                  // no work: the number of kinds
};

class Agenda {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr auto kKinds = static_cast<std::size_t>(Work::kCount);

  Agenda() { times_.fill(kNever); }

  // At `time` at the latest: where it was scheduled earlier, that stays.
  void schedule(Work work, TimePoint time);
  // At once.
  void now(Work work) { schedule(work, TimePoint::min()); }
  void cancel(Work work) { at(work) = kNever; }
  // True: it is due, and no longer scheduled.
  bool take(Work work, TimePoint now);

  bool is_scheduled(Work work) const { return at(work) != kNever; }
  bool is_due(Work work, TimePoint now) const { return at(work) <= now; }
  // Any work.
  bool is_due(TimePoint now) const { return next() <= now; }
  // When the next work is due; TimePoint::max(): none is scheduled.
  TimePoint next() const;

 private:
  static constexpr TimePoint kNever = TimePoint::max();

  TimePoint& at(Work work) { return times_[static_cast<std::size_t>(work)]; }
  const TimePoint& at(Work work) const { return times_[static_cast<std::size_t>(work)]; }

  std::array<TimePoint, kKinds> times_;
};

}  // namespace agent
