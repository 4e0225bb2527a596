// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/sync_loop.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <utility>

#include "agent/decide/stale_flows.hpp"
#include "k8s/async/coarse_clock.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

double seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

// What the kernel does in some tens of microseconds: changes of destinations only. Elements are a
// transaction with a grace period, and a new virtual server may load a module.
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
      options_(std::move(options)),
      wake_(executor),
      retry_delay_(options_.retry_first) {}

void SyncLoop::wake() { wake_.cancel(); }

void SyncLoop::mark_dirty(const ipvs::Owner& service) {
  last_queued_ = k8s::coarse_now();
  if (!waiting_since_) waiting_since_ = last_queued_;
  // A list has the pods of a Service one after another as a rule.
  if (last_marked_ != dirty_.end() && *last_marked_ == service) return;
  const auto [place, added] = dirty_.insert(service);
  last_marked_ = place;
  if (added) wake();
}

void SyncLoop::sources_ready() {
  ready_ = true;
  wake();
}

void SyncLoop::node_addresses_changed() {
  node_addresses_dirty_ = true;
  wake();
}

void SyncLoop::table_lost() {
  table_dirty_ = true;
  wake();
}

void SyncLoop::addresses_lost() {
  addresses_dirty_ = true;
  wake();
}

asio::awaitable<void> SyncLoop::run() {
  co_await start();
  audit_at_ = time() + options_.audit_interval;
  while (true) {
    co_await pass();
    if (options_.min_gap.count() > 0) {
      asio::steady_timer gap(executor_, options_.min_gap);
      co_await gap.async_wait(asio::use_awaitable);
    }
    co_await wait_for_work();
  }
}

asio::awaitable<void> SyncLoop::start() {
  while (!ready_) co_await sleep_until(Clock::time_point::max());
  auto delay = options_.retry_first;
  while (!co_await read_and_install()) {
    asio::steady_timer pause(executor_, delay);
    co_await pause.async_wait(asio::use_awaitable);
    delay = std::min(delay * 2, options_.retry_limit);
  }
}

// Reads what is there, plans everything, and puts the table up with all that is wanted or still
// held, in one transaction: from here on nothing is reachable without its protection.
asio::awaitable<bool> SyncLoop::read_and_install() {
  auto observed = co_await thread_.run([this] { return kernel_.observe(); });
  if (!observed) {
    observer_.on_waiting(observed.error().text());
    co_return false;
  }
  reconciler_ = Reconciler{};
  reconciler_.adopt(*observed);
  reconciler_.set_node_addresses(plans_.node_port_addresses());
  node_addresses_dirty_ = false;
  PassReport report;
  const std::set<ipvs::Owner> all = dirty_;
  plan_dirty(report);
  const std::vector<ipvs::Element> elements = reconciler_.table_elements();
  const ipvs::TableRules rules = plans_.table_rules();
  const int error = co_await thread_.run([&] { return kernel_.install_table(rules, elements); });
  if (error == 0) {
    reconciler_.table_installed(elements);
    planned_at_start_ = report.services;
    co_return true;
  }
  dirty_.insert(all.begin(), all.end());
  observer_.on_waiting(ipvs::KernelError{error, "installing the nftables table kube-ipvs"}.text());
  co_return false;
}

asio::awaitable<void> SyncLoop::wait_for_work() {
  const auto due = [this] {
    const auto now = time();
    return !dirty_.empty() || node_addresses_dirty_ || table_dirty_ || addresses_dirty_ ||
           now >= retry_at_ || now >= drain_at_ || now >= audit_at_ || now >= again_at_;
  };
  while (!due()) {
    const auto next = std::min(std::min(retry_at_, again_at_), std::min(drain_at_, audit_at_));
    co_await sleep_until(next);
  }
}

// Until then, or until wake().
asio::awaitable<void> SyncLoop::sleep_until(Clock::time_point when) {
  wake_.expires_at(when);
  // wake() ends the wait; so does being cancelled, after which the next co_await throws.
  co_await wake_.async_wait(kQuietly);
}

asio::awaitable<void> SyncLoop::pass() {
  const auto begin = time();
  in_hand_since_ = std::exchange(waiting_since_, std::nullopt);
  PassReport report;
  report.first = !complete_;
  report.services = std::exchange(planned_at_start_, 0);
  auto planning = begin;
  if (table_dirty_ || addresses_dirty_ || begin >= drain_at_ || begin >= audit_at_) {
    if (table_dirty_) co_await reinstall_table();
    if (addresses_dirty_) co_await recheck_addresses();
    if (begin >= drain_at_) co_await look_at_drains();
    if (begin >= audit_at_) co_await audit_next();
    planning = time();
  }
  if (begin >= again_at_) plan_again();
  if (node_addresses_dirty_) {
    node_addresses_dirty_ = false;
    reconciler_.set_node_addresses(plans_.node_port_addresses());
  }
  if (begin >= retry_at_) {
    retry_at_ = Clock::time_point::max();
    reconciler_.retry_failed();
  }
  plan_dirty(report);
  ipvs::Changes changes = reconciler_.next_changes(may_drain());
  // The clock is read where it has to be: on some machines that is a system call.
  auto now = time();
  report.planning_seconds = seconds(now - planning);
  if (!changes.empty()) now = co_await carry_out(std::move(changes), report, now);
  report.total_seconds = seconds(now - begin);

  note_retry(reconciler_.failed_count() > 0);
  if (reconciler_.failed_count() > 0 || table_dirty_) {
    // What could not be done goes on waiting, however new the latest event is.
    waiting_since_ = in_hand_since_.value_or(begin);
  }
  in_hand_since_.reset();
  if (!reconciler_.ledger().draining_servers().empty()) {
    drain_at_ = std::min(drain_at_, now + options_.drain_interval);
  }
  report.failing_keys = reconciler_.failed_count();
  report.held_servers = reconciler_.ledger().server_count();
  report.held_destinations = reconciler_.ledger().destination_count();
  report.held_addresses = reconciler_.ledger().addresses().size();
  report.foreign_servers = reconciler_.foreign_count();
  complete_ = true;
  if (report.services > 0 || report.operations > 0 || report.failed > 0 || report.first) {
    observer_.on_pass(report);
  }
}

void SyncLoop::note_retry(bool failed) {
  if (!failed) {
    retry_delay_ = options_.retry_first;
    retry_at_ = Clock::time_point::max();
  } else if (retry_at_ == Clock::time_point::max()) {
    retry_at_ = time() + retry_delay_;
    retry_delay_ = std::min(retry_delay_ * 2, options_.retry_limit);
  }
}

void SyncLoop::plan_dirty(PassReport& report) {
  // Settling a claim may dirty further Services; they are taken in the same pass.
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
  if (wanted->is_lingering && is_drained(wanted->plan)) {
    plans_.drained(service);
    dirty_.merge(reconciler_.remove(service));
    return;
  }
  if (wanted->again_in_a_second || wanted->is_lingering) {
    again_.insert(service);
    again_at_ = std::min(again_at_, time() + options_.again_interval);
  }
  auto planned = reconciler_.set_plan(service, wanted->since, std::move(wanted->plan));
  for (const Reconciler::Conflict& conflict : planned.conflicts) observer_.on_conflict(conflict);
  dirty_.merge(planned.others);
}

void SyncLoop::plan_again() {
  again_at_ = Clock::time_point::max();
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
                                                                 Clock::time_point begin) {
  const auto flows = stale_flows(changes, reconciler_.desired(), reconciler_.ledger());
  const ipvs::Outcome outcome =
      co_await thread_.run_short(is_short(changes), [&] { return ipvs::apply(kernel_, changes); });
  const auto now = time();
  report.kernel_seconds += seconds(now - begin);
  const ipvs::Recorded recorded = reconciler_.record(changes, outcome);
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

void SyncLoop::report_failure(const ipvs::Failure& failure) {
  const bool planned_again = failure.cause == ipvs::FailureCause::kSchedulerMissing &&
                             plans_.scheduler_is_missing(failure.scheduler);
  observer_.on_failure(failure, planned_again ? Remedy::kDefaultScheduler : Remedy::kRetry);
}

asio::awaitable<void> SyncLoop::forget_flows(const std::vector<ipvs::Kernel::StaleFlow>& flows,
                                             PassReport& report) {
  const auto deleted = co_await thread_.run([&] { return kernel_.delete_flows(flows); });
  if (deleted) co_return;
  ++report.failed;
  report_failure({.command = "IPCTNL_MSG_CT_DELETE",
                  .error_number = deleted.error().error_number,
                  .what = deleted.error().what,
                  .owner = {}});
}

asio::awaitable<void> SyncLoop::reinstall_table() {
  table_dirty_ = false;
  const std::vector<ipvs::Element> elements = reconciler_.table_elements();
  const ipvs::TableRules rules = plans_.table_rules();
  const int error = co_await thread_.run([&] { return kernel_.install_table(rules, elements); });
  if (error == 0) {
    observer_.on_drift("table",
                       "the nftables table kube-ipvs was changed by somebody else: put back");
    reconciler_.table_installed(elements);
    co_return;
  }
  table_dirty_ = true;
  report_failure({.command = "NEWTABLE",
                  .error_number = error,
                  .what = "putting the nftables table kube-ipvs back",
                  .owner = {}});
  asio::steady_timer pause(executor_, options_.retry_first);
  co_await pause.async_wait(asio::use_awaitable);
}

asio::awaitable<void> SyncLoop::recheck_addresses() {
  addresses_dirty_ = false;
  const auto found = co_await thread_.run([this] { return kernel_.read_addresses(); });
  if (found && reconciler_.compare_addresses(*found)) {
    observer_.on_drift("address",
                       "the addresses of kube-ipvs0 were changed by somebody else: put right");
  }
}

asio::awaitable<void> SyncLoop::look_at_drains() {
  drain_at_ = Clock::time_point::max();
  const auto& resting = reconciler_.ledger().draining_servers();
  const std::vector<ipvs::ServerKey> keys(resting.begin(), resting.end());
  if (keys.empty()) co_return;
  const auto readings = co_await thread_.run_short(is_short(keys, reconciler_.ledger()),
                                                   [&] { return kernel_.read_destinations(keys); });
  if (!readings) co_return;
  ipvs::Changes finished = reconciler_.finish_drains(*readings, may_drain());
  PassReport ignored;
  if (!finished.empty()) co_await carry_out(std::move(finished), ignored, time());
}

// A Service that wants the place of a foreign virtual server gets it when that has gone.
asio::awaitable<void> SyncLoop::look_at_contested() {
  const std::vector<ipvs::ServerKey> keys = reconciler_.contested();
  if (keys.empty()) co_return;
  const auto readings = co_await thread_.run([&] { return kernel_.read_servers(keys); });
  if (!readings) co_return;
  std::set<ipvs::ServerKey> there;
  for (const auto& reading : *readings) there.insert(reading.settings.key);
  for (const ipvs::ServerKey& key : keys) {
    if (there.contains(key)) continue;
    for (const ipvs::Owner& owner : reconciler_.foreign_gone(key)) mark_dirty(owner);
  }
}

std::vector<ipvs::ServerKey> SyncLoop::next_slice() {
  if (audit_queue_.empty()) audit_queue_ = reconciler_.ledger().server_keys();
  std::vector<ipvs::ServerKey> slice;
  while (!audit_queue_.empty() && slice.size() < options_.audit_slice) {
    if (reconciler_.ledger().server(audit_queue_.back())) slice.push_back(audit_queue_.back());
    audit_queue_.pop_back();
  }
  return slice;
}

asio::awaitable<void> SyncLoop::audit_next() {
  audit_at_ = time() + options_.audit_interval;
  co_await recheck_addresses();
  co_await look_at_contested();
  const std::vector<ipvs::ServerKey> slice = next_slice();
  if (slice.empty()) co_return;
  const auto readings = co_await thread_.run([&] { return kernel_.read_servers(slice); });
  if (!readings) co_return;
  std::map<ipvs::ServerKey, ipvs::Server> found;
  for (const auto& reading : *readings) found[reading.settings.key] = to_server(reading);
  for (const ipvs::ServerKey& key : slice) {
    const auto server = found.find(key);
    const auto state = server == found.end() ? std::nullopt : std::optional(server->second);
    if (reconciler_.compare(key, state)) {
      observer_.on_drift("server", key.text() + " was not as programmed: put right");
    }
  }
}

}  // namespace agent
