// SPDX-License-Identifier: Apache-2.0
//
// The checks of the sync loop: what others have changed in the kernel.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "agent/sync/sync_loop.hpp"

namespace agent {

namespace asio = boost::asio;

asio::awaitable<void> SyncLoop::reinstall_table() {
  const std::vector<ipvs::Element> elements = reconciler_.table_elements();
  const ipvs::TableRules rules = table_rules(elements);
  const int error = co_await thread_.run([&] { return kernel_.install_table(rules, elements); });
  if (error == 0) {
    table_missing_since_.reset();
    installed_rules_ = rules;
    if (std::exchange(table_lost_, false)) {
      repairs_.made("table", "the nftables table kube-ipvs was changed by somebody else: restored");
    }
    reconciler_.table_installed(elements);
    co_return;
  }
  agenda_.schedule(Work::kInstallTable, time() + options_.retry_first);
  if (!table_missing_since_) table_missing_since_ = in_hand_since_.value_or(time());
  report_failure({.command = "NEWTABLE",
                  .error_number = error,
                  .what = "restoring the nftables table kube-ipvs",
                  .owner = {}});
}

asio::awaitable<bool> SyncLoop::replace_rules(ipvs::TableRules rules) {
  const int error = co_await thread_.run([&] { return kernel_.replace_rules(rules); });
  if (error == 0) {
    installed_rules_ = std::move(rules);
    co_return false;
  }
  report_failure({.command = "NEWRULE",
                  .error_number = error,
                  .what = "changing the rules of the nftables table kube-ipvs",
                  .owner = {}});
  co_await reinstall_table();
  co_return !table_missing_since_;
}

asio::awaitable<void> SyncLoop::check_addresses() {
  const bool device = co_await audit_.device();
  const bool addresses = co_await audit_.addresses();
  if (device && addresses) {
    check_pause_ = {};
  } else {
    agenda_.schedule(Work::kCheckAddresses, after_pause(check_pause_));
  }
}

// Each pause is longer than the one before it.
SyncLoop::Clock::time_point SyncLoop::after_pause(std::chrono::milliseconds& pause) const {
  pause = std::clamp(pause * 2, options_.retry_first, options_.retry_limit);
  return time() + pause;
}

asio::awaitable<void> SyncLoop::audit() {
  agenda_.schedule(Work::kAudit, time() + options_.audit_interval);
  const bool is_asked_for = agenda_.is_scheduled(Work::kCheckAddresses);
  agenda_.cancel(Work::kCheckAddresses);
  if (audit_.is_turn_of_addresses() || is_asked_for) {
    co_await check_addresses();
  } else if (!co_await audit_.device() || audit_.doubts_addresses()) {
    agenda_.now(Work::kCheckAddresses);
  }
  const std::set<ipvs::Owner> freed = co_await audit_.foreign_servers();
  for (const ipvs::Owner& owner : freed) mark_dirty(owner);
  co_await audit_.settings();
  co_await compare_servers();
  report_record(co_await thread_.run([this] { return kernel_.check_record(); }));
}

asio::awaitable<void> SyncLoop::count_servers(Clock::time_point now) {
  co_await audit_.count_servers();
  // Where somebody deletes virtual servers again and again, comparisons of all become rarer.
  agenda_.schedule(Work::kCountServers,
                   std::max(now + options_.count_interval, repairs_.next("server")));
  if (audit_.is_comparing_all()) agenda_.now(Work::kCompareServers);
}

// A slice in each pass, so that what was found is repaired before the next is read.
asio::awaitable<void> SyncLoop::compare_servers() {
  const bool read = co_await audit_.next_servers();
  if (read) compare_pause_ = {};
  if (!audit_.is_comparing_all()) co_return;
  agenda_.schedule(Work::kCompareServers,
                   read ? Clock::time_point::min() : after_pause(compare_pause_));
}

// The kernel has no such virtual server, though it had accepted it: others may be missing, too.
void SyncLoop::note_lost_servers(const ipvs::Outcome& outcome) {
  for (const auto& [key, found] : outcome.read_back) {
    if (found || !reconciler_.ledger().server(key)) continue;
    repairs_.found(Repairs::Fault::kDeleted, key);
    if (!audit_.is_comparing_all()) audit_.compare_all();
    agenda_.now(Work::kCompareServers);
  }
}

// The kernel's answer to a change was not as believed, and so all addresses were read.
void SyncLoop::note_lost_addresses(const ipvs::Changes& changes, const ipvs::Outcome& outcome) {
  if (!outcome.addresses) return;
  const std::set<ipvs::Address> found(outcome.addresses->begin(), outcome.addresses->end());
  const std::set<ipvs::Address>& believed = reconciler_.ledger().addresses();
  std::set<ipvs::Address> different;
  std::set_symmetric_difference(found.begin(), found.end(), believed.begin(), believed.end(),
                                std::inserter(different, different.end()));
  for (const auto* ops : {&changes.bind, &changes.unbind}) {
    for (const ipvs::AddressOp& op : *ops) different.erase(op.address);
  }
  for (const ipvs::Address& address : different) repairs_.found(address);
}

// Once while it lasts.
void SyncLoop::report_record(const ipvs::Result<void>& written) {
  const std::string fault = written ? std::string() : written.error().text();
  if (!fault.empty() && fault != record_fault_) observer_.on_waiting(fault);
  record_fault_ = fault;
}

}  // namespace agent
