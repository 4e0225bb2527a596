// SPDX-License-Identifier: Apache-2.0
//
// Makes the kernel match the Services: waits for work, plans the Services that changed, lets the
// kernel thread apply the difference, and enters the outcome. One coroutine; it alone changes the
// Reconciler.
//
//   state           what the loop does                              leaves it when
//   --------------  ----------------------------------------------  ------------------------------
//   kAwaitingLists  waits; events only mark Services dirty          every source has delivered its
//                                                                   first list: sources_ready()
//   kInstalling     reads the kernel, plans every Service, and      the table is installed
//                   installs our nftables table; on an error again,
//                   with growing delays
//   kFirstPass      the first pass: changes all that differs        the pass has ended
//   kSynced         one pass whenever there is work                 never
//
// The states follow one another in this order, and none comes twice. So nothing in the kernel is
// changed before every first list is there, and no virtual server exists before the table that
// protects it. What the kernel refuses never changes the state: it is retried.
//
// Events only mark a Service dirty, or put work on the agenda, and wake the loop, which reads the
// state of the cluster when it plans. So a burst of events costs one pass, and an event that comes
// during a pass leads to the next one.
//
// A pass does the work of the agenda that is due (agent/sync/agenda.hpp): what events ask for;
// failed operations, each after pauses of its own (agent/decide/retries.hpp); draining destinations,
// all of them five seconds after the first began to drain; plans that change with time, once a
// second; the count of virtual servers, every two; and an audit of 16 of them every
// --ipvs-sync-period, so that its cost does not grow with their number.
//
// A pass plans at most so many Services, and its changes end early when an event comes: what is left
// waits in a backlog, and each pass does first what is new, then a part of the backlog. So a Pod's
// change never waits for a namespace with thousands of Services to go.
//
// Threading: the agent's io_context thread; the kernel is only called through the KernelThread.
// Errors: what the kernel refuses never ends the loop; it is reported and retried.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/decide/departures.hpp"
#include "agent/decide/reconciler.hpp"
#include "agent/decide/service_plan.hpp"
#include "agent/sync/agenda.hpp"
#include "agent/sync/audit.hpp"
#include "agent/sync/change_recorder.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/repairs.hpp"
#include "agent/sync/sync_observer.hpp"

namespace agent {

struct SyncOptions {
  // --ipvs-min-sync-period: from the end of a pass to the beginning of the next.
  std::chrono::milliseconds min_gap{0};
  // From the first destination that begins to drain to the check of all that do. Reading a virtual
  // server back costs more than changing it, and a roll-out begins many drains within seconds.
  std::chrono::milliseconds drain_interval{5000};
  std::chrono::milliseconds again_interval{1000};   // PlannedService::again_in_a_second
  std::chrono::milliseconds audit_interval{30000};  // --ipvs-sync-period
  // Of virtual servers. The count itself is cheap; to wake up for it is what an agent at rest costs.
  std::chrono::milliseconds count_interval{2000};
  std::size_t audit_slice = 16;     // virtual servers compared in each audit
  std::size_t plans_in_pass = 256;  // Services planned in one pass, after the first
  std::chrono::milliseconds retry_first{1000};
  std::chrono::milliseconds retry_limit{30000};
  Takeover takeover = Takeover::kAuto;                   // --takeover
  std::chrono::milliseconds object_retry_limit{600000};  // of what an object itself is to blame for
  ipvs::Spread spread{};                                 // this node's order of new destinations
  // Tests set the time and count how often it is read: on some machines that is a system call.
  std::chrono::steady_clock::time_point (*now)() = [] { return std::chrono::steady_clock::now(); };
};

enum class SyncState : std::uint8_t { kAwaitingLists, kInstalling, kFirstPass, kSynced };

class SyncLoop {
 public:
  SyncLoop(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
           ServicePlans& plans, SyncObserver& observer, SyncOptions options);

  // Before run(): who keeps what is changed.
  void keep_history(ChangeRecorder& recorder) { recorder_ = &recorder; }
  // Runs until cancelled.
  boost::asio::awaitable<void> run();

  // --- events; cheap, callable at any time ---
  void mark_dirty(const ipvs::Owner& service);
  void sources_ready();           // every source has delivered its first list
  void node_addresses_changed();  // the caller then marks the Services with node ports dirty
  void table_lost();              // somebody else changed our nftables table
  void table_may_be_lost();       // nobody reported changes for a while
  void table_rules_may_differ();  // this node's Pod networks may be others
  void device_changed();          // kube-ipvs0, or an address of this node
  void settings_changed() { request(Work::kCheckSettings, repairs_.next("sysctl")); }
  // The next plans of all Services have another scheduler (ipvs::TableRules::drops_refusals).
  void schedulers_change() { is_switching_ = true; }
  // SyncOptions::min_gap and audit_interval are others from now on; a longer pause ends at once.
  void set_periods(std::chrono::milliseconds min_gap, std::chrono::milliseconds audit_interval);
  // Addresses were added to kube-ipvs0 or deleted, mostly by this loop itself.
  void vips_changed(std::span<const ipvs::VipEvent> events);

  const Reconciler& reconciler() const { return reconciler_; }
  std::map<ipvs::Owner, DrainingConnections::Draining> draining() const {
    return connections_.by_service(reconciler_.desired());
  }
  // The comparison of the kernel with what we entered as programmed (agent/sync/audit.hpp).
  const Audit& comparison() const { return audit_; }
  SyncState state() const { return state_; }
  bool complete() const { return state_ == SyncState::kSynced; }
  // What is wanted is in the kernel, and so is our table, but for what single objects are to blame
  // for: from now on nobody needs another proxy's rules.
  bool is_in_force() const {
    return complete() && !table_missing_since_ && !reconciler_.fault_of_node();
  }
  // The rules of our table; nullptr: it has not been installed yet.
  const ipvs::TableRules* installed_rules() const {
    return installed_rules_ ? &*installed_rules_ : nullptr;
  }
  // Services to be planned.
  std::size_t pending() const { return dirty_.size() + older_.size() + leaving_.size(); }
  // When an event last marked a Service dirty; nullopt: never.
  std::optional<std::chrono::steady_clock::time_point> last_queued() const { return last_queued_; }
  // When the oldest event came in that no pass has dealt with yet; nullopt: there is none.
  std::optional<std::chrono::steady_clock::time_point> unpassed_since() const {
    return in_hand_since_ ? in_hand_since_ : waiting_since_;
  }
  // The same, or since when the node refuses something: what one object is to blame for does not
  // count (Reconciler::fault_of_node()).
  std::optional<std::chrono::steady_clock::time_point> waiting_since() const;
  // Since when our nftables table is missing and cannot be restored.
  std::optional<std::chrono::steady_clock::time_point> table_missing_since() const {
    return table_missing_since_;
  }
  // Since when the kernel has not answered a call; nullopt: none is under way.
  std::optional<std::chrono::steady_clock::time_point> kernel_silent_since() const {
    return thread_.busy_since();
  }

 private:
  using Clock = std::chrono::steady_clock;

  boost::asio::awaitable<void> start();
  boost::asio::awaitable<bool> read_and_install();
  boost::asio::awaitable<void> choose_binding();
  boost::asio::awaitable<void> wait_for_work();
  boost::asio::awaitable<void> sleep_until(Clock::time_point when);
  boost::asio::awaitable<void> pass();
  void take_causes();
  boost::asio::awaitable<void> write_notes();
  // `now`: when the kernel was done with the changes of this pass.
  void end_pass(PassReport& report, Clock::time_point begin, Clock::time_point now);
  // `begin`: what kernel_seconds count from. Returns the time when it was done.
  boost::asio::awaitable<Clock::time_point> carry_out(ipvs::Changes changes, PassReport& report,
                                                      Clock::time_point begin,
                                                      bool counts_connections = true);
  bool has_backlog() const {
    return !older_.empty() || !leaving_.empty() || reconciler_.backlog_size() > 0;
  }
  boost::asio::awaitable<void> forget_flows(const std::vector<ipvs::Kernel::StaleFlow>& flows,
                                            PassReport& report);
  boost::asio::awaitable<void> count_servers(Clock::time_point now);
  boost::asio::awaitable<void> compare_servers();
  Clock::time_point after_pause(std::chrono::milliseconds& pause) const;
  void note_lost_servers(const ipvs::Outcome& outcome);
  void note_lost_addresses(const ipvs::Changes& changes, const ipvs::Outcome& outcome);
  void request(Work work, Clock::time_point when = Clock::time_point::min());
  void wake();
  Clock::time_point time() const { return options_.now(); }

  // --- work of the agenda that calls the kernel ---
  boost::asio::awaitable<void> reinstall_table();
  boost::asio::awaitable<void> check_addresses();
  boost::asio::awaitable<void> check_settings() { return audit_.settings(); }
  boost::asio::awaitable<void> check_draining();
  boost::asio::awaitable<void> audit();
  // --- and that which only changes what is planned or programmed next ---
  void plan_again();
  void read_node_port_addresses();
  void retry();

  void plan_dirty(PassReport& report);
  void plan_some(PassReport& report);
  void plan_all(std::set<ipvs::Owner>& services, PassReport& report);
  using Batch = std::vector<std::pair<ipvs::Owner, PlannedService>>;
  void take_batch(std::set<ipvs::Owner>& services, std::size_t size, Batch& batch);
  // Returns the Services to be planned again because of it.
  std::set<ipvs::Owner> plan_one(const ipvs::Owner& service, std::optional<PlannedService> wanted);
  bool is_drained(const ipvs::ServicePlan& plan) const;
  ipvs::MayDrain may_drain() const;
  Backoff backoff() const;
  void report_departures(const Departures& departures);
  void report_failure(const ipvs::Failure& failure);
  // What the rules should be, with those that read the sets of these elements.
  ipvs::TableRules table_rules(std::span<const ipvs::Element> elements = {}) const;
  // True: the kernel refused, and the whole table was installed instead.
  boost::asio::awaitable<bool> replace_rules(ipvs::TableRules rules);
  boost::asio::awaitable<bool> install_rules_for(const ipvs::Changes& changes);
  void report_record(const ipvs::Result<void>& written);
  void schedule_retry();

  boost::asio::any_io_executor executor_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  ServicePlans& plans_;
  SyncObserver& observer_;
  SyncOptions options_;
  ChangeRecorder* recorder_ = nullptr;
  Causes causes_;  // of the Services that are to be planned or are in the backlog

  SyncState state_ = SyncState::kAwaitingLists;
  std::optional<ipvs::TableRules> installed_rules_;
  bool table_lost_ = false;
  bool is_switching_ = false;  // schedulers
  Reconciler reconciler_;
  DrainingConnections connections_;
  Repairs repairs_;
  Audit audit_;
  ipvs::ServerKey last_drain_checked_{};  // if others are left
  Agenda agenda_;
  boost::asio::steady_timer wake_;
  boost::asio::steady_timer gap_;  // between two passes

  std::set<ipvs::Owner> dirty_;
  std::set<ipvs::Owner>::const_iterator last_marked_ = dirty_.end();
  std::set<ipvs::Owner> older_;  // dirty, and not planned in the last pass
  bool older_waited_ = false;    // none of them was
  // Of them those that have no plan any more. They go last: their addresses may be those of others
  // that are not planned yet.
  std::set<ipvs::Owner> leaving_;
  // Somebody waits for the changes under way; read by the kernel thread.
  std::atomic<bool> is_awaited_ = false;
  std::set<ipvs::Owner> again_;  // for Work::kPlanAgain
  PassReport first_;             // of the start, until all of it is done
  Clock::time_point lists_ready_{};
  std::string record_fault_;  // why the record of what is ours cannot be written
  // Before what could not be checked or compared is tried again.
  std::chrono::milliseconds check_pause_{0};
  std::chrono::milliseconds compare_pause_{0};

  std::optional<Clock::time_point> last_queued_;
  std::optional<Clock::time_point> waiting_since_;
  std::optional<Clock::time_point> in_hand_since_;  // waiting_since_ of the pass under way
  Clock::time_point pass_begun_{};
  std::optional<Clock::time_point> table_missing_since_;
};

}  // namespace agent
