// SPDX-License-Identifier: Apache-2.0
//
// Keeps the kernel as the Services say: waits until something is to be done, plans the Services
// that changed, has the kernel thread carry out the difference, enters what became of it. One
// coroutine; it alone changes the Reconciler.
//
// Events are level triggered: they only mark a Service dirty and wake the loop, which reads the
// state there is when it gets to it. So a burst costs one pass, and nothing is lost while a pass is
// under way.
//
//   waiting for sources --> reading the kernel --> installing the table --> passes, for ever
//
// Nothing in the kernel is changed before every source has delivered its first full list.
//
// Besides dirty Services a pass is due when failed operations are to be retried (1 s doubling to 30
// s), when draining destinations are to be looked at (five seconds after the first of them was put
// to rest, all together), and when the audit reads the next virtual server back (one every two
// seconds: a constant cost, whatever the number of Services).
//
// Threading: the agent's io_context thread; the kernel is only touched through the KernelThread.
// Errors: a failing kernel never ends the loop; it is reported, counted and retried.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "agent/decide/reconciler.hpp"
#include "agent/decide/service_plan.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "k8s/types.hpp"

namespace agent {

// What a pass did.
struct PassReport {
  std::size_t services = 0;    // planned
  std::size_t operations = 0;  // carried out by the kernel
  std::size_t failed = 0;
  std::size_t failing_keys = 0;  // still not as wanted
  double planning_seconds = 0;
  double kernel_seconds = 0;
  double total_seconds = 0;
  bool first = false;  // the table is complete for the first time
  // What the kernel holds after it.
  std::size_t held_servers = 0, held_destinations = 0, held_addresses = 0;
  std::size_t foreign_servers = 0;
};

// What is done about a failure.
enum class Remedy : std::uint8_t {
  kRetry,
  kDefaultScheduler,  // the Services are planned again without the scheduler that is missing
};

// Whoever wants to know: log, metrics, events. Called on the io_context thread.
class SyncObserver {
 public:
  virtual ~SyncObserver() = default;
  // A Service was planned; nullopt: it has no plan any more.
  virtual void on_planned(const ipvs::Owner& service,
                          const std::optional<PlannedService>& planned) = 0;
  virtual void on_pass(const PassReport& report) = 0;
  virtual void on_failure(const ipvs::Failure& failure, Remedy remedy) = 0;
  virtual void on_conflict(const Reconciler::Conflict& conflict) = 0;
  // Something in the kernel was not as we left it, and is put right: kind "server", "address",
  // "table".
  virtual void on_drift(const std::string& kind, const std::string& what) = 0;
  // The start cannot go on for now; retried. One line.
  virtual void on_waiting(const std::string& what) = 0;
};

struct SyncOptions {
  std::chrono::milliseconds min_gap{
      0};  // --ipvs-min-sync-period: from the end of a pass to the next
  // From a destination's being put to rest to the look at all that rest: to read one virtual server
  // back costs more than to change it, and a roll-out puts many to rest within seconds.
  std::chrono::milliseconds drain_interval{5000};
  std::chrono::milliseconds again_interval{1000};  // PlannedService::again_in_a_second
  std::chrono::milliseconds audit_interval{30000};
  std::size_t audit_slice = 16;  // virtual servers read back at each audit
  std::chrono::milliseconds retry_first{1000};
  std::chrono::milliseconds retry_limit{30000};
  // Tests set the time and count how often it is read: on some machines that is a system call.
  std::chrono::steady_clock::time_point (*now)() = [] { return std::chrono::steady_clock::now(); };
};

class SyncLoop {
 public:
  SyncLoop(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
           ServicePlans& plans, SyncObserver& observer, SyncOptions options);

  // Runs until cancelled.
  boost::asio::awaitable<void> run();

  // --- events; cheap, callable at any time ---
  void mark_dirty(const ipvs::Owner& service);
  void sources_ready();           // every source has delivered its first list
  void node_addresses_changed();  // then the caller marks the Services with node ports dirty
  void table_lost();              // our nftables table was changed by somebody else
  void addresses_lost();          // an address of kube-ipvs0 was changed by somebody else

  const Reconciler& reconciler() const { return reconciler_; }
  std::size_t pending() const { return dirty_.size(); }
  bool complete() const { return complete_; }  // the first pass has been made
  // When an event last marked a Service dirty; nullopt: never.
  std::optional<std::chrono::steady_clock::time_point> last_queued() const { return last_queued_; }
  // When the oldest event that is not in the kernel yet came in; nullopt: nothing is waiting.
  std::optional<std::chrono::steady_clock::time_point> waiting_since() const {
    return in_hand_since_ ? in_hand_since_ : waiting_since_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  boost::asio::awaitable<void> start();
  boost::asio::awaitable<bool> read_and_install();
  boost::asio::awaitable<void> wait_for_work();
  boost::asio::awaitable<void> sleep_until(Clock::time_point when);
  boost::asio::awaitable<void> pass();
  // Since `begin`; returns the time when it was done.
  boost::asio::awaitable<Clock::time_point> carry_out(ipvs::Changes changes, PassReport& report,
                                                      Clock::time_point begin);
  boost::asio::awaitable<void> forget_flows(const std::vector<ipvs::Kernel::StaleFlow>& flows,
                                            PassReport& report);
  boost::asio::awaitable<void> reinstall_table();
  boost::asio::awaitable<void> recheck_addresses();
  boost::asio::awaitable<void> look_at_drains();
  boost::asio::awaitable<void> audit_next();
  boost::asio::awaitable<void> look_at_contested();
  std::vector<ipvs::ServerKey> next_slice();
  void plan_dirty(PassReport& report);
  void plan_one(const ipvs::Owner& service);
  void plan_again();
  bool is_drained(const ipvs::ServicePlan& plan) const;
  ipvs::MayDrain may_drain() const;
  void wake();
  Clock::time_point time() const { return options_.now(); }
  void report_failure(const ipvs::Failure& failure);
  void note_retry(bool failed);

  boost::asio::any_io_executor executor_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  ServicePlans& plans_;
  SyncObserver& observer_;
  const SyncOptions options_;

  Reconciler reconciler_;
  std::set<ipvs::Owner> dirty_;
  std::set<ipvs::Owner>::const_iterator last_marked_ = dirty_.end();
  std::optional<Clock::time_point> last_queued_;
  std::optional<Clock::time_point> waiting_since_;
  std::optional<Clock::time_point> in_hand_since_;  // of what the pass under way took up
  std::size_t planned_at_start_ = 0;                // by read_and_install(), not reported yet
  bool ready_ = false;
  bool complete_ = false;
  bool node_addresses_dirty_ = true;
  bool table_dirty_ = false;
  bool addresses_dirty_ = false;

  boost::asio::steady_timer wake_;
  Clock::time_point retry_at_ = Clock::time_point::max();
  std::chrono::milliseconds retry_delay_;
  Clock::time_point drain_at_ = Clock::time_point::max();
  Clock::time_point audit_at_ = Clock::time_point::max();
  // To be planned once more by then: what time alone changes.
  std::set<ipvs::Owner> again_;
  Clock::time_point again_at_ = Clock::time_point::max();
  std::vector<ipvs::ServerKey> audit_queue_;
};

}  // namespace agent
