// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/sync_loop.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <utility>

#include "agent/decide/held_plan.hpp"
#include "agent/decide/stale_flows.hpp"
#include "k8s/async/coarse_clock.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

double seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

// Short: the kernel does it within some tens of microseconds. These are changes and readings of few
// destinations. A change of elements is a transaction with an RCU grace period, and a new virtual
// server may load a module.
constexpr std::size_t kShortOperations = 16;

bool is_short(const ipvs::Changes& changes) {
  const std::size_t destinations = changes.fill.size() + changes.release.size();
  return destinations == changes.size() && destinations <= kShortOperations;
}

bool is_short(const std::vector<ipvs::ServerKey>& keys, const ipvs::Ledger& ledger) {
  std::size_t destinations = 0;
  for (const ipvs::ServerKey& key : keys) {
    if (const ipvs::Server* server = ledger.server(key))
      destinations += server->destinations.size();
  }
  return destinations <= kShortOperations;
}

}  // namespace

SyncLoop::SyncLoop(asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
                   ServicePlans& plans, SyncObserver& observer, SyncOptions options)
    : executor_(executor),
      kernel_(kernel),
      thread_(thread),
      plans_(plans),
      observer_(observer),
      options_(options),
      reconciler_(backoff(), options_.spread),
      repairs_(observer, options_.now),
      audit_(kernel, thread, reconciler_, repairs_, observer, options_.audit_slice),
      wake_(executor),
      gap_(executor) {}

Backoff SyncLoop::backoff() const {
  return {.first = options_.retry_first,
          .limit = options_.retry_limit,
          .object_limit = options_.object_retry_limit};
}

std::optional<SyncLoop::Clock::time_point> SyncLoop::waiting_since() const {
  std::optional<Clock::time_point> oldest = unpassed_since();
  const auto take = [&oldest](const std::optional<Clock::time_point>& other) {
    if (other && (!oldest || *other < *oldest)) oldest = other;
  };
  take(table_missing_since_);
  if (const auto fault = reconciler_.fault_of_node()) take(fault->since);
  return oldest;
}

void SyncLoop::wake() { wake_.cancel(); }

void SyncLoop::mark_dirty(const ipvs::Owner& service) {
  last_queued_ = k8s::coarse_now();
  if (!waiting_since_) waiting_since_ = last_queued_;
  // As a rule a list names the Pods of a Service one after another.
  if (last_marked_ != dirty_.end() && *last_marked_ == service) return;
  const auto [place, added] = dirty_.insert(service);
  last_marked_ = place;
  if (added) wake();
}

void SyncLoop::sources_ready() {
  if (state_ == SyncState::kAwaitingLists) state_ = SyncState::kInstalling;
  wake();
}

void SyncLoop::node_addresses_changed() { request(Work::kReadNodePortAddresses); }
void SyncLoop::table_lost() {
  table_lost_ = true;
  request(Work::kInstallTable, repairs_.next("table"));
}

void SyncLoop::table_may_be_lost() {
  if (installed_rules_) request(Work::kInstallTable);
}

void SyncLoop::table_rules_may_differ() {
  if (installed_rules_ && *installed_rules_ != table_rules()) request(Work::kInstallTable);
}

ipvs::TableRules SyncLoop::table_rules() const {
  ipvs::TableRules rules = plans_.table_rules();
  rules.drops_refusals = is_switching_;
  return rules;
}

void SyncLoop::device_changed() {
  request(Work::kCheckAddresses, std::max(repairs_.next("link"), repairs_.next("address")));
}

// The kernel does not say who did it. What is not wanted was not done by this loop, unless the wish
// is newer than the notification: then the check finds nothing.
void SyncLoop::vips_changed(std::span<const ipvs::VipEvent> events) {
  bool strange = false;
  for (const ipvs::VipEvent& event : events) {
    if (event.bound == reconciler_.desired().wants(event.address)) continue;
    audit_.suspect(event.address);
    strange = true;
  }
  if (strange) device_changed();
}

void SyncLoop::request(Work work, Clock::time_point when) {
  agenda_.schedule(work, when);
  wake();
}

asio::awaitable<void> SyncLoop::run() {
  co_await start();
  agenda_.schedule(Work::kAudit, time() + options_.audit_interval);
  agenda_.schedule(Work::kCountServers, time() + options_.count_interval);
  // What the last agent left draining may have ended since.
  if (!reconciler_.ledger().draining_servers().empty()) agenda_.now(Work::kCheckDraining);
  while (true) {
    co_await pass();
    if (options_.min_gap.count() > 0) {
      gap_.expires_after(options_.min_gap);
      co_await gap_.async_wait(kQuietly);
    }
    co_await wait_for_work();
  }
}

void SyncLoop::set_periods(std::chrono::milliseconds min_gap,
                           std::chrono::milliseconds audit_interval) {
  if (min_gap < options_.min_gap) gap_.cancel();
  options_.min_gap = min_gap;
  options_.audit_interval = audit_interval;
  // From then on the audit itself schedules the next.
  request(Work::kAudit, time() + audit_interval);
}

asio::awaitable<void> SyncLoop::start() {
  while (state_ == SyncState::kAwaitingLists) co_await sleep_until(Clock::time_point::max());
  auto delay = options_.retry_first;
  while (!co_await read_and_install()) {
    asio::steady_timer pause(executor_, delay);
    co_await pause.async_wait(asio::use_awaitable);
    delay = std::min(delay * 2, options_.retry_limit);
  }
  state_ = SyncState::kFirstPass;
}

// The table gets the elements of all that is wanted and of all that the kernel still holds, in one
// transaction: from here on nothing is reachable without its protection.
asio::awaitable<bool> SyncLoop::read_and_install() {
  auto observed = co_await thread_.run([this] { return kernel_.observe(); });
  if (!observed) {
    observer_.on_waiting(observed.error().text());
    co_return false;
  }
  reconciler_ = Reconciler(backoff(), options_.spread);
  connections_ = {};
  reconciler_.adopt(*observed, options_.takeover);
  agenda_.cancel(Work::kReadNodePortAddresses);
  read_node_port_addresses();
  PassReport report;
  const std::set<ipvs::Owner> all = dirty_;
  plan_dirty(report);
  const std::vector<ipvs::ServerKey> own = reconciler_.ledger().server_keys();
  report_record(co_await thread_.run([&] { return kernel_.record_own(own); }));
  const std::vector<ipvs::Element> elements = reconciler_.table_elements();
  const ipvs::TableRules rules = table_rules();
  const int error = co_await thread_.run([&] { return kernel_.install_table(rules, elements); });
  if (error == 0) {
    installed_rules_ = rules;
    const auto flows = flows_forbidden_at_start(reconciler_.desired(), reconciler_.ledger());
    reconciler_.table_installed(elements);
    if (!flows.empty()) co_await forget_flows(flows, report);
    planned_at_start_ = report.services;
    co_return true;
  }
  dirty_.insert(all.begin(), all.end());
  observer_.on_waiting(ipvs::KernelError{error, "installing the nftables table kube-ipvs"}.text());
  co_return false;
}

asio::awaitable<void> SyncLoop::wait_for_work() {
  const auto has_work = [this](Clock::time_point now) {
    return !dirty_.empty() || agenda_.is_due(now);
  };
  auto now = time();
  while (true) {
    // Mostly there is nothing else to do then, and a pass costs more than the count.
    if (agenda_.take(Work::kCountServers, now)) {
      co_await count_servers(now);
      observer_.on_pass_end();  // it stands for a pass that does nothing else
    } else if (has_work(now)) {
      co_return;
    } else {
      co_await sleep_until(agenda_.next());
      now = time();
    }
  }
}

// Until then, or until wake().
asio::awaitable<void> SyncLoop::sleep_until(Clock::time_point when) {
  wake_.expires_at(when);
  // wake() ends the wait; so does being cancelled, after which the next co_await throws.
  co_await wake_.async_wait(kQuietly);
}

asio::awaitable<void> SyncLoop::pass() {
  struct KernelWork {
    Work work;
    asio::awaitable<void> (SyncLoop::*run)();
  };
  static constexpr KernelWork kKernelWork[] = {{Work::kInstallTable, &SyncLoop::reinstall_table},
                                               {Work::kCheckAddresses, &SyncLoop::check_addresses},
                                               {Work::kCheckSettings, &SyncLoop::check_settings},
                                               {Work::kCheckDraining, &SyncLoop::check_draining},
                                               {Work::kAudit, &SyncLoop::audit},
                                               {Work::kCompareServers, &SyncLoop::compare_servers}};
  struct PlanningWork {
    Work work;
    void (SyncLoop::*run)();
  };
  static constexpr PlanningWork kPlanningWork[] = {
      {Work::kPlanAgain, &SyncLoop::plan_again},
      {Work::kReadNodePortAddresses, &SyncLoop::read_node_port_addresses},
      {Work::kRetry, &SyncLoop::retry}};
  static_assert(std::size(kKernelWork) + std::size(kPlanningWork) + 1 == Agenda::kKinds,
                "work that no pass does would be due for ever");

  const auto begin = pass_begun_ = time();
  in_hand_since_ = std::exchange(waiting_since_, std::nullopt);
  PassReport report;
  report.first = state_ == SyncState::kFirstPass;
  report.services = std::exchange(planned_at_start_, 0);
  auto planning = begin;
  bool called_kernel = false;
  for (const auto& [work, run] : kKernelWork) {
    if (!agenda_.take(work, begin)) continue;
    co_await (this->*run)();
    called_kernel = true;
  }
  // The clock is read where it has to be: on some machines that is a system call.
  if (called_kernel) planning = time();
  for (const auto& [work, run] : kPlanningWork) {
    if (agenda_.take(work, begin)) (this->*run)();
  }
  if (is_switching_ && !installed_rules_->drops_refusals) co_await reinstall_table();
  plan_dirty(report);
  ipvs::Changes changes = reconciler_.next_changes(may_drain());
  auto now = time();
  report.planning_seconds = seconds(now - planning);
  co_await write_notes();
  if (!changes.empty()) now = co_await carry_out(std::move(changes), report, now);
  if (repairs_.waiting()) repairs_.report(reconciler_, audit_.is_comparing_all());
  end_pass(report, begin, now);
}

// Ahead of the changes: whenever the agent ends, the next one knows of every drain since when.
asio::awaitable<void> SyncLoop::write_notes() {
  const std::vector<ipvs::Note> notes = plans_.take_notes();
  if (notes.empty()) co_return;
  co_await thread_.run_short(true, [&] {
    kernel_.write_notes(notes);
    return true;
  });
}

void SyncLoop::end_pass(PassReport& report, Clock::time_point begin, Clock::time_point now) {
  report.total_seconds = seconds(now - begin);
  for (const ipvs::Failure& failure : reconciler_.take_ended()) observer_.on_failure_over(failure);
  schedule_retry();
  if (is_switching_ && dirty_.empty()) {
    is_switching_ = false;
    table_rules_may_differ();
  }
  in_hand_since_.reset();
  if (!reconciler_.ledger().draining_servers().empty()) {
    agenda_.schedule(Work::kCheckDraining, now + options_.drain_interval);
  }
  report.failing_keys = reconciler_.failed_count();
  report.held_servers = reconciler_.ledger().server_count();
  report.held_destinations = reconciler_.ledger().destination_count();
  report.held_addresses = reconciler_.ledger().addresses().size();
  report.foreign_servers = reconciler_.foreign_count();
  state_ = SyncState::kSynced;
  if (report.services > 0 || report.operations > 0 || report.failed > 0 || report.first) {
    observer_.on_pass(report);
  }
  observer_.on_pass_end();
}

void SyncLoop::schedule_retry() {
  agenda_.cancel(Work::kRetry);
  if (const auto next = reconciler_.failed().next()) agenda_.schedule(Work::kRetry, *next);
}

void SyncLoop::retry() { reconciler_.retry_due(pass_begun_); }

void SyncLoop::read_node_port_addresses() {
  reconciler_.set_node_addresses(plans_.node_port_addresses());
}

void SyncLoop::plan_dirty(PassReport& report) {
  // A claim may pass to or from other Services, which then are dirty: they are planned here too.
  while (!dirty_.empty()) {
    const ipvs::Owner service = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    last_marked_ = dirty_.end();
    plan_one(service);
    ++report.services;
  }
}

void SyncLoop::plan_one(const ipvs::Owner& service) {
  auto wanted = plans_.plan(service);
  observer_.on_planned(service, wanted);
  if (!wanted) {
    dirty_.merge(reconciler_.remove(service));
    return;
  }
  if (!wanted->kept.empty()) wanted->plan = held_plan(reconciler_.ledger(), wanted->kept);
  if (wanted->is_lingering && is_drained(wanted->plan)) {
    plans_.drained(service);
    dirty_.merge(reconciler_.remove(service));
    return;
  }
  if (wanted->again_in_a_second || wanted->is_lingering) {
    again_.insert(service);
    agenda_.schedule(Work::kPlanAgain, time() + options_.again_interval);
  }
  auto planned = reconciler_.set_plan(service, {wanted->since, std::move(wanted->external_ips)},
                                      std::move(wanted->plan));
  for (const Reconciler::Conflict& conflict : planned.conflicts) observer_.on_conflict(conflict);
  for (const ipvs::ServerKey& key : planned.taken_over) observer_.on_taken_over(service, key);
  dirty_.merge(planned.others);
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

asio::awaitable<SyncLoop::Clock::time_point> SyncLoop::carry_out(ipvs::Changes changes,
                                                                 PassReport& report,
                                                                 Clock::time_point begin,
                                                                 bool counts_connections) {
  const auto flows = stale_flows(changes, reconciler_.desired(), reconciler_.ledger());
  std::vector<ipvs::ServerKey> leaving;
  if (counts_connections) leaving = servers_to_read(changes);
  const bool short_work = is_short(changes) && is_short(leaving, reconciler_.ledger());
  const ipvs::Outcome outcome = co_await thread_.run_short(
      short_work, [&] { return ipvs::apply(kernel_, changes, leaving); });
  const auto now = time();
  report.kernel_seconds += seconds(now - begin);
  note_lost_servers(outcome);
  note_lost_addresses(changes, outcome);
  report_departures(
      connections_.conclude(changes, outcome, reconciler_.desired(),
                            [this](const ipvs::Owner& service, const ipvs::Endpoint& e) {
                              return plans_.has_endpoint(service, e);
                            }));
  const ipvs::Recorded recorded =
      reconciler_.record(changes, outcome, {.now = now, .since = in_hand_since_.value_or(now)});
  report.operations += recorded.done;
  report.failed += recorded.failures.size();
  for (const ipvs::Failure& failure : recorded.failures) report_failure(failure);
  for (const ipvs::ServerKey& key : recorded.foreign) {
    if (const ipvs::Owner* owner = reconciler_.desired().owner_of(key)) mark_dirty(*owner);
  }
  if (flows.empty()) co_return now;
  co_await forget_flows(flows, report);
  co_return time();
}

void SyncLoop::report_departures(const Departures& departures) {
  if (!departures.empty()) observer_.on_departures(departures);
}

void SyncLoop::report_failure(const ipvs::Failure& failure) {
  const bool planned_again = failure.cause == ipvs::FailureCause::kSchedulerMissing &&
                             plans_.scheduler_is_missing(failure.scheduler);
  observer_.on_failure(failure, planned_again ? Remedy::kDefaultScheduler : Remedy::kRetry);
}

asio::awaitable<void> SyncLoop::forget_flows(const std::vector<ipvs::Kernel::StaleFlow>& flows,
                                             PassReport& report) {
  constexpr std::array kFamilies{ipvs::Family::kIpv4, ipvs::Family::kIpv6};
  for (const ipvs::Family family : kFamilies) {
    std::vector<ipvs::Kernel::StaleFlow> own;
    std::copy_if(flows.begin(), flows.end(), std::back_inserter(own), [family](const auto& flow) {
      return ipvs::family_of(flow.server.address) == family;
    });
    if (own.empty()) continue;
    const auto begin = time();
    const auto deleted = co_await thread_.run([&] { return kernel_.delete_flows(own); });
    observer_.on_flows_forgotten(family, deleted ? *deleted : 0, seconds(time() - begin));
    if (deleted) continue;
    ++report.failed;
    report_failure({.command = "IPCTNL_MSG_CT_DELETE",
                    .error_number = deleted.error().error_number,
                    .what = deleted.error().what,
                    .owner = {}});
  }
}

asio::awaitable<void> SyncLoop::check_draining() {
  const auto& draining = reconciler_.ledger().draining_servers();
  const std::vector<ipvs::ServerKey> keys(draining.begin(), draining.end());
  if (keys.empty()) {
    connections_ = {};
    co_return;
  }
  const auto readings = co_await thread_.run_short(is_short(keys, reconciler_.ledger()),
                                                   [&] { return kernel_.read_destinations(keys); });
  if (!readings) co_return;
  report_departures(connections_.checked(*readings, reconciler_.desired()));
  ipvs::Changes finished = reconciler_.finish_drains(*readings, may_drain());
  PassReport ignored;
  if (!finished.empty()) co_await carry_out(std::move(finished), ignored, time(), false);
}

}  // namespace agent
