// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/sync_loop.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <utility>

#include "agent/decide/stale_flows.hpp"
#include "agent/log/log.hpp"
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

void add(const ipvs::KernelSeconds& more, ipvs::KernelSeconds& sum) {
  sum.elements += more.elements;
  sum.servers += more.servers;
  sum.destinations += more.destinations;
  sum.addresses += more.addresses;
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
  if (!added) return;
  is_awaited_.store(true, std::memory_order_relaxed);
  wake();
}

void SyncLoop::sources_ready() {
  if (state_ == SyncState::kAwaitingLists) {
    state_ = SyncState::kInstalling;
    lists_ready_ = time();
  }
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

ipvs::TableRules SyncLoop::table_rules(std::span<const ipvs::Element> elements) const {
  ipvs::TableRules rules = plans_.table_rules();
  rules.drops_refusals = is_switching_;
  rules.sets = installed_rules_ ? installed_rules_->sets : ipvs::SetsInUse();
  rules.sets.add(elements);
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
    if (has_backlog()) {
      co_await asio::post(executor_, asio::use_awaitable);  // events first
      continue;
    }
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
  const auto begin = time();
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
  const auto read = time();
  report.reading_seconds = seconds(read - begin);
  const std::set<ipvs::Owner> all = dirty_;
  plan_dirty(report);
  const auto planned = time();
  report.planning_seconds = seconds(planned - read);
  co_await choose_binding();
  const std::vector<ipvs::ServerKey> own = reconciler_.ledger().server_keys();
  report_record(co_await thread_.run([&] { return kernel_.record_own(own); }));
  const std::vector<ipvs::Element> elements = reconciler_.table_elements();
  const ipvs::TableRules rules = table_rules(elements);
  const int error = co_await thread_.run([&] { return kernel_.install_table(rules, elements); });
  if (error == 0) {
    installed_rules_ = rules;
    const auto flows = flows_forbidden_at_start(reconciler_.desired(), reconciler_.ledger());
    reconciler_.first_table_installed(elements);
    if (!flows.empty()) co_await forget_flows(flows, report);
    report.table_seconds = seconds(time() - planned);
    first_ = report;
    co_return true;
  }
  dirty_.insert(all.begin(), all.end());
  observer_.on_waiting(ipvs::KernelError{error, "installing the nftables table kube-ipvs"}.text());
  co_return false;
}

// Where it fails, virtual IPs stay bound as they are: slower for many, and all are served.
asio::awaitable<void> SyncLoop::choose_binding() {
  const std::size_t vips = reconciler_.desired().address_count();
  const auto chosen = co_await thread_.run([this, vips] { return kernel_.choose_binding(vips); });
  if (!chosen) {
    log_warning("Virtual IPs stay bound as they are", {{kErr, chosen.error().text()}});
  } else if (!chosen->empty()) {
    log_info("Host prepared", {{"change", *chosen}});
  }
}

asio::awaitable<void> SyncLoop::wait_for_work() {
  const auto has_work = [this](Clock::time_point now) {
    return !dirty_.empty() || has_backlog() || agenda_.is_due(now);
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
  PassReport report = std::exchange(first_, {});
  report.first = state_ == SyncState::kFirstPass;
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
  if (is_switching_ && !installed_rules_->drops_refusals) {
    ipvs::TableRules rules = table_rules();
    co_await replace_rules(std::move(rules));
  }
  if (recorder_) take_causes();
  plan_some(report);
  const bool is_continued = reconciler_.backlog_size() > 0;
  ipvs::Changes changes = reconciler_.next_changes(may_drain());
  auto now = time();
  report.planning_seconds += seconds(now - planning);
  co_await write_notes();
  if (!changes.empty()) now = co_await carry_out(std::move(changes), report, now);
  if (is_continued) {
    ipvs::Changes older = reconciler_.take_backlog();
    if (!older.empty()) now = co_await carry_out(std::move(older), report, now);
  }
  if (repairs_.waiting()) repairs_.report(reconciler_, audit_.is_comparing_all());
  end_pass(report, begin, now);
}

// What is planned or carried out in a later pass keeps its cause until then.
void SyncLoop::take_causes() {
  for (auto& [service, cause] : recorder_->take_causes()) {
    causes_.insert_or_assign(service, std::move(cause));
  }
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
  report.total_seconds = seconds(now - (report.first ? lists_ready_ : begin));
  report.lists_ready = lists_ready_;
  for (const ipvs::Failure& failure : reconciler_.take_ended()) observer_.on_failure_over(failure);
  schedule_retry();
  if (is_switching_ && dirty_.empty() && !has_backlog()) {
    is_switching_ = false;
    table_rules_may_differ();
  }
  if (has_backlog()) {
    const auto since = in_hand_since_.value_or(begin);
    waiting_since_ = std::min(waiting_since_.value_or(since), since);
  }
  if (dirty_.empty() && !has_backlog()) causes_.clear();
  in_hand_since_.reset();
  if (!reconciler_.ledger().draining_servers().empty()) {
    agenda_.schedule(Work::kCheckDraining, now + options_.drain_interval);
  }
  report.failing_keys = reconciler_.failed_count();
  report.held_servers = reconciler_.ledger().server_count();
  report.held_destinations = reconciler_.ledger().destination_count();
  report.held_addresses = reconciler_.ledger().addresses().size();
  report.foreign_servers = reconciler_.foreign_count();
  if (report.first && has_backlog()) {
    first_ = report;  // the next pass continues it
    return observer_.on_pass_end();
  }
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

asio::awaitable<SyncLoop::Clock::time_point> SyncLoop::carry_out(ipvs::Changes changes,
                                                                 PassReport& report,
                                                                 Clock::time_point begin,
                                                                 bool counts_connections) {
  std::vector<ipvs::ServerKey> leaving;
  if (counts_connections) leaving = servers_to_read(changes);
  const bool short_work = is_short(changes) && is_short(leaving, reconciler_.ledger());
  is_awaited_.store(!dirty_.empty(), std::memory_order_relaxed);
  ipvs::MustPause must_pause;
  if (changes.size() > kShortOperations) {
    must_pause = [this] { return is_awaited_.load(std::memory_order_relaxed); };
  }
  if (!co_await install_rules_for(changes)) {
    reconciler_.defer(std::move(changes));  // compared again in the next pass
    co_return time();
  }
  ipvs::Outcome outcome = co_await thread_.run_short(
      short_work, [&] { return ipvs::apply(kernel_, changes, leaving, must_pause); });
  const auto now = time();
  report.kernel_seconds += seconds(now - begin);
  add(outcome.seconds, report.kernel);
  reconciler_.defer(ipvs::take_deferred(changes, outcome));
  if (recorder_) {
    const ChangeRecorder::Batch batch{.changes = changes,
                                      .outcome = outcome,
                                      .desired = reconciler_.desired(),
                                      .before = reconciler_.ledger(),
                                      .causes = causes_,
                                      .seconds = seconds(now - begin),
                                      .is_first = report.first};
    co_await thread_.run_short(short_work, [&] {
      recorder_->record(batch);
      return true;
    });
  }
  const auto flows = stale_flows(changes, reconciler_.desired(), reconciler_.ledger());
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

// Installs the rules that read the sets to which elements are to be added. If that fails, the kernel
// refuses the elements (ipvs::Kernel::change_elements()), and what must not be without them is not
// made. False: the whole table was installed, and so the kernel holds some of the changes already.
asio::awaitable<bool> SyncLoop::install_rules_for(const ipvs::Changes& changes) {
  ipvs::SetsInUse sets = installed_rules_->sets;
  sets.add_added(changes.protect);
  if (sets == installed_rules_->sets) co_return true;
  ipvs::TableRules rules = *installed_rules_;
  rules.sets = sets;
  co_return !co_await replace_rules(std::move(rules));
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

// So many virtual servers at a time, so that others do not wait long.
asio::awaitable<void> SyncLoop::check_draining() {
  constexpr std::ptrdiff_t kServersAtOnce = 128;
  const auto& draining = reconciler_.ledger().draining_servers();
  if (draining.empty()) {
    connections_ = {};
    co_return;
  }
  const auto first = draining.upper_bound(std::exchange(last_drain_checked_, {}));
  const bool is_last = std::distance(first, draining.end()) <= kServersAtOnce;
  const std::vector<ipvs::ServerKey> keys(
      first, is_last ? draining.end() : std::next(first, kServersAtOnce));
  if (!is_last) {
    last_drain_checked_ = keys.back();
    agenda_.now(Work::kCheckDraining);
  }
  const auto readings = co_await thread_.run_short(is_short(keys, reconciler_.ledger()),
                                                   [&] { return kernel_.read_destinations(keys); });
  if (!readings) co_return;
  report_departures(connections_.checked(keys, *readings, reconciler_.desired()));
  ipvs::Changes finished = reconciler_.finish_drains(*readings, may_drain());
  PassReport ignored;
  if (!finished.empty()) co_await carry_out(std::move(finished), ignored, time(), false);
}

}  // namespace agent
