// SPDX-License-Identifier: Apache-2.0
//
// What the sync loop reports: log, metrics and Events follow it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "agent/decide/departures.hpp"
#include "agent/decide/reconciler.hpp"
#include "agent/decide/service_plan.hpp"
#include "ipvs/state/apply.hpp"
#include "ipvs/state/model.hpp"

namespace agent {

struct PassReport {
  std::size_t services = 0;    // planned
  std::size_t operations = 0;  // carried out by the kernel
  std::size_t failed = 0;
  std::size_t failing_keys = 0;  // of all passes, to be retried
  double planning_seconds = 0;
  double kernel_seconds = 0;
  double total_seconds = 0;
  bool first = false;            // the first pass of this process
  ipvs::KernelSeconds kernel{};  // kernel_seconds, taken apart; 0 where there was little to do
  // Of the first pass, whose total_seconds begin with the first lists: what went before it.
  std::chrono::steady_clock::time_point lists_ready{};
  double reading_seconds = 0, table_seconds = 0;
  // What the kernel holds after it.
  std::size_t held_servers = 0, held_destinations = 0, held_addresses = 0;
  std::size_t foreign_servers = 0;
};

// What is done about a failure.
enum class Remedy : std::uint8_t {
  kRetry,
  kDefaultScheduler,  // the Services are planned again without the scheduler that is missing
};

// Called on the io_context thread.
class SyncObserver {
 public:
  virtual ~SyncObserver() = default;
  // A Service was planned; nullopt: it has no plan any more.
  virtual void on_planned(const ipvs::Owner& service,
                          const std::optional<PlannedService>& planned) = 0;
  // A pass has ended. Not called for one that planned nothing and changed nothing.
  virtual void on_pass(const PassReport& report) = 0;
  // Any pass has ended, also one that did nothing: at rest there is one every two seconds.
  virtual void on_pass_end() {}
  virtual void on_failure(const ipvs::Failure& failure, Remedy remedy) = 0;
  // What had failed is not refused any more: it was accepted, or is not wanted.
  virtual void on_failure_over(const ipvs::Failure&) {}
  virtual void on_conflict(const Reconciler::Conflict& conflict) = 0;
  // Connections to destinations that drain or were deleted ended, or were cut.
  virtual void on_departures(const Departures&) {}
  // Connection tracking was made to forget flows of one family: how many, and how long it took. 0 if
  // the kernel refused, which on_failure() reports too.
  virtual void on_flows_forgotten(ipvs::Family, std::size_t /*flows*/, double /*seconds*/) {}
  // A virtual server that we had not made is ours now (agent/decide/takeover.hpp).
  virtual void on_taken_over(const ipvs::Owner& service, const ipvs::ServerKey& server) = 0;
  // Somebody else changed something of ours in the kernel, and it is repaired: `count` objects of
  // one kind ("link", "route", "address", "server", "destination", "table", "sysctl", "timeout").
  // `what` is one line; empty if it happens again and again, which was said before.
  virtual void on_drift(const std::string& kind, std::size_t count, const std::string& what) = 0;
  // The kernel could not be read, the table not be installed at the start, or the record of what is
  // ours not be written; retried. One line.
  virtual void on_waiting(const std::string& what) = 0;
};

}  // namespace agent
