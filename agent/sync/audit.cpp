// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/audit.hpp"

#include <map>
#include <optional>
#include <utility>

namespace agent {
namespace asio = boost::asio;

namespace {

template <typename T>
std::optional<ipvs::KernelError> error_of(const ipvs::Result<T>& result) {
  if (result) return std::nullopt;
  return result.error();
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

void Audit::take(const std::string& check, const ipvs::HostCheck& found) {
  for (const ipvs::Repair& repair : found.repairs) repairs_.made(repair.kind, repair.what);
  std::optional<ipvs::KernelError> fault;
  if (!found.faults.empty()) fault = found.faults.front();
  is_readable(check, fault);
}

asio::awaitable<void> Audit::device() {
  take("kube-ipvs0", co_await thread_.run([this] { return kernel_.check_device(); }));
}

asio::awaitable<void> Audit::addresses() {
  const auto found = co_await thread_.run([this] { return kernel_.read_addresses(); });
  if (!is_readable("the addresses of kube-ipvs0", error_of(found))) co_return;
  for (const ipvs::Address& address : reconciler_.compare_addresses(*found)) {
    repairs_.found("address", address);
  }
}

asio::awaitable<std::set<ipvs::Owner>> Audit::foreign_servers() {
  std::set<ipvs::Owner> owners;
  const std::vector<ipvs::ServerKey> keys = reconciler_.contested();
  if (keys.empty()) co_return owners;
  const auto readings = co_await thread_.run([&] { return kernel_.read_servers(keys); });
  if (!is_readable("virtual servers that are not ours", error_of(readings))) co_return owners;
  std::set<ipvs::ServerKey> present;
  for (const auto& reading : *readings) present.insert(reading.settings.key);
  for (const ipvs::ServerKey& key : keys) {
    if (!present.contains(key)) owners.merge(reconciler_.foreign_gone(key));
  }
  co_return owners;
}

asio::awaitable<void> Audit::next_servers() {
  const std::vector<ipvs::ServerKey> slice = next_slice();
  if (slice.empty()) co_return;
  const auto readings = co_await thread_.run([&] { return kernel_.read_servers(slice); });
  if (!is_readable("virtual servers", error_of(readings))) co_return;
  std::map<ipvs::ServerKey, ipvs::Server> found;
  for (const auto& reading : *readings) found[reading.settings.key] = to_server(reading);
  for (const ipvs::ServerKey& key : slice) {
    const auto server = found.find(key);
    const auto state = server == found.end() ? std::nullopt : std::optional(server->second);
    const ipvs::Server* known = reconciler_.ledger().server(key);
    const bool same_settings = known && state && known->settings == state->settings;
    if (reconciler_.compare(key, state)) {
      repairs_.found(same_settings ? "destination" : "server", key);
    }
  }
}

std::vector<ipvs::ServerKey> Audit::next_slice() {
  if (queue_.empty()) queue_ = reconciler_.ledger().server_keys();
  std::vector<ipvs::ServerKey> slice;
  while (!queue_.empty() && slice.size() < slice_) {
    if (reconciler_.ledger().server(queue_.back())) slice.push_back(queue_.back());
    queue_.pop_back();
  }
  return slice;
}

}  // namespace agent
