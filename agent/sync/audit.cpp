// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/audit.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "k8s/async/coarse_clock.hpp"

namespace agent {
namespace asio = boost::asio;

namespace {

// So many virtual servers a comparison of all reads at a time; what is found is repaired, and events
// are heard, before the next.
constexpr std::size_t kLargeSlice = 512;
// So many destinations an audit reads, on average.
constexpr std::ptrdiff_t kDestinationsInTurn = 512;
// So many addresses are read in an audit, on average.
constexpr std::size_t kAddressesInTurn = 256;
// After comparisons that found nothing, as many counts are ignored: up to 2^8, some four minutes.
constexpr unsigned kMaxDoublings = 8;

template <typename T>
std::optional<ipvs::KernelError> error_of(const ipvs::Result<T>& result) {
  if (result) return std::nullopt;
  return result.error();
}

// Those of `keys` that exist, as they are configured. Without counters, destinations are cheaper to
// read, and nobody compares those.
ipvs::Result<std::map<ipvs::ServerKey, ipvs::Server>> read_configured(
    ipvs::Kernel& kernel, const std::vector<ipvs::ServerKey>& keys) {
  const auto settings = kernel.read_counters(keys);
  if (!settings) return settings.error();
  const auto destinations = kernel.read_destinations(keys);
  if (!destinations) return destinations.error();
  std::map<ipvs::ServerKey, ipvs::Server> servers;
  for (const auto& reading : *settings) servers[reading.settings.key].settings = reading.settings;
  for (const auto& reading : *destinations) {
    const auto server = servers.find(reading.settings.key);
    if (server != servers.end()) server->second.destinations = to_server(reading).destinations;
  }
  return servers;
}

}  // namespace

Audit::Audit(ipvs::Kernel& kernel, KernelThread& thread, Reconciler& reconciler, Repairs& repairs,
             SyncObserver& observer, std::size_t slice)
    : kernel_(kernel),
      thread_(thread),
      reconciler_(reconciler),
      repairs_(repairs),
      observer_(observer),
      slice_(slice) {}

// Reports the error once while it lasts. True if there is none.
bool Audit::is_readable(const std::string& what, const std::optional<ipvs::KernelError>& error) {
  if (!error) {
    faults_.erase(what);
    return true;
  }
  const std::string text = error->text();
  if (std::exchange(faults_[what], text) != text) {
    observer_.on_failure(
        {.cause = error->error_number == ipvs::kUnknownOutcome ? ipvs::FailureCause::kNoAnswer
                                                               : ipvs::FailureCause::kRefused,
         .command = "AUDIT",
         .error_number = error->error_number,
         .what = "checking " + what + ": " + error->what,
         .owner = {}},
        Remedy::kRetry);
  }
  return false;
}

bool Audit::take(const std::string& check, const ipvs::HostCheck& found) {
  for (const ipvs::Repair& repair : found.repairs) repairs_.made(repair.kind, repair.what);
  std::optional<ipvs::KernelError> fault;
  if (!found.faults.empty()) fault = found.faults.front();
  return is_readable(check, fault);
}

asio::awaitable<bool> Audit::device() {
  const ipvs::HostCheck found = co_await thread_.run([this] { return kernel_.check_device(); });
  const bool is_checked = take("kube-ipvs0", found);
  if (!is_checked || !found.repairs.empty()) all_suspect_ = true;
  co_return is_checked;
}

void Audit::program_suspects() {
  for (const ipvs::Address& address : suspects_) {
    reconciler_.doubt_address(address);
    repairs_.found(address);
  }
  if (!std::exchange(all_suspect_, false)) return;
  for (const ipvs::Address& address : reconciler_.desired().addresses()) {
    reconciler_.doubt_address(address);
  }
}

bool Audit::is_turn_of_addresses() {
  ++audits_without_addresses_;
  const std::size_t count = reconciler_.ledger().addresses().size();
  if (audits_without_addresses_ * kAddressesInTurn < count) return false;
  audits_without_addresses_ = 0;
  return true;
}

asio::awaitable<bool> Audit::addresses() {
  const auto found = co_await thread_.run([this] { return kernel_.read_addresses(); });
  if (!is_readable("the addresses of kube-ipvs0", error_of(found))) {
    program_suspects();
    co_return false;
  }
  suspects_.clear();
  all_suspect_ = false;
  for (const ipvs::Address& address : reconciler_.compare_addresses(*found)) {
    repairs_.found(address);
  }
  co_return true;
}

asio::awaitable<std::set<ipvs::Owner>> Audit::foreign_servers() {
  std::set<ipvs::Owner> owners;
  const std::vector<ipvs::ServerKey> keys = reconciler_.contested();
  if (keys.empty()) co_return owners;
  const auto readings = co_await thread_.run([&] { return kernel_.read_counters(keys); });
  if (!is_readable("virtual servers that are not ours", error_of(readings))) co_return owners;
  std::set<ipvs::ServerKey> present;
  for (const auto& reading : *readings) present.insert(reading.settings.key);
  for (const ipvs::ServerKey& key : keys) {
    if (!present.contains(key)) owners.merge(reconciler_.foreign_gone(key));
  }
  co_return owners;
}

asio::awaitable<void> Audit::settings() {
  take("sysctls and timeouts", co_await thread_.run([this] { return kernel_.check_settings(); }));
}

// True: it differed.
bool Audit::compare(const ipvs::ServerKey& key, const std::optional<ipvs::Server>& found) {
  const ipvs::Server* known = reconciler_.ledger().server(key);
  const bool same_settings = known && found && known->settings == found->settings;
  if (!reconciler_.compare(key, found)) return false;
  repairs_.found(!found          ? Repairs::Fault::kDeleted
                 : same_settings ? Repairs::Fault::kDestinations
                                 : Repairs::Fault::kSettings,
                 key);
  return true;
}

asio::awaitable<bool> Audit::next_servers() {
  const std::vector<ipvs::ServerKey> slice = next_slice();
  if (!slice.empty()) {
    const auto found = co_await thread_.run([&] { return read_configured(kernel_, slice); });
    if (!is_readable("virtual servers", error_of(found))) {
      queue_.insert(queue_.end(), slice.rbegin(), slice.rend());
      co_return false;
    }
    bool differs = false;
    for (const ipvs::ServerKey& key : slice) {
      const auto server = found->find(key);
      const auto state = server == found->end() ? std::nullopt : std::optional(server->second);
      if (compare(key, state)) differs = true;
    }
    if (differs && !comparing_all_) compare_all();
    found_any_ = found_any_ || differs;
  }
  if (queue_.empty()) round_ended_ = k8s::coarse_now();
  if (comparing_all_ && queue_.empty()) end_comparison();
  co_return true;
}

void Audit::compare_all() {
  queue_ = reconciler_.ledger().server_keys();
  comparing_all_ = true;
  found_any_ = false;
}

void Audit::end_comparison() {
  comparing_all_ = false;
  foreign_.reset();  // whatever else there is, is not ours
  vain_comparisons_ = found_any_ ? 0 : std::min(vain_comparisons_ + 1, kMaxDoublings);
  counts_to_ignore_ = found_any_ ? 0 : 1u << vain_comparisons_;
}

asio::awaitable<void> Audit::count_servers() {
  if (comparing_all_) co_return;
  const auto count =
      co_await thread_.run_short(true, [this] { return kernel_.count_ipv4_servers(); });
  const bool is_counted = is_readable("the number of virtual servers", error_of(count));
  const bool differs = is_counted && !is_number_right(*count);
  if (is_counted && *count == 0) lose_ipv4_servers();
  const bool lacks_one = co_await lacks_ipv6_server();
  if (differs || lacks_one) compare_all();
}

// There is nothing to compare. All in one pass, because together they are added in the order that is
// cheap (ipvs/virtual_servers/fill_order.hpp).
void Audit::lose_ipv4_servers() {
  for (const ipvs::ServerKey& key : reconciler_.ledger().server_keys()) {
    if (key.address.is_v4()) compare(key, std::nullopt);
  }
}

bool Audit::is_number_right(std::size_t count) {
  const std::size_t ours = reconciler_.ledger().ipv4_server_count();
  if (count < ours) return false;
  const std::size_t foreign = count - ours;
  if (counts_to_ignore_ > 0) {
    --counts_to_ignore_;
    foreign_ = foreign;
  }
  if (!foreign_) foreign_ = foreign;
  return foreign == *foreign_;
}

asio::awaitable<bool> Audit::lacks_ipv6_server() {
  const auto next = reconciler_.ledger().next_ipv6_server(last_ipv6_);
  if (!next) co_return false;
  last_ipv6_ = *next;
  const ipvs::ServerKey key = *next;
  const auto reading =
      co_await thread_.run_short(true, [this, key] { return kernel_.read_server(key); });
  if (!is_readable("a virtual server of IPv6", error_of(reading))) co_return false;
  co_return compare(key, *reading ? std::optional(to_server(**reading)) : std::nullopt);
}

// A virtual server is read whole. After one with thousands of destinations, the next audits read none.
std::vector<ipvs::ServerKey> Audit::next_slice() {
  if (queue_.empty()) queue_ = reconciler_.ledger().server_keys();
  std::vector<ipvs::ServerKey> slice;
  const std::size_t size = comparing_all_ ? std::max(slice_, kLargeSlice) : slice_;
  may_read_ = std::min(may_read_ + kDestinationsInTurn, kDestinationsInTurn);
  while (!queue_.empty() && slice.size() < size && (comparing_all_ || may_read_ > 0)) {
    if (const ipvs::Server* server = reconciler_.ledger().server(queue_.back())) {
      slice.push_back(queue_.back());
      if (!comparing_all_) may_read_ -= std::ssize(server->destinations);
    }
    queue_.pop_back();
  }
  return slice;
}

}  // namespace agent
