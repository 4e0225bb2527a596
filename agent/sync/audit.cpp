// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/audit.hpp"

#include <map>
#include <optional>

namespace agent {
namespace asio = boost::asio;

Audit::Audit(ipvs::Kernel& kernel, KernelThread& thread, Reconciler& reconciler,
             SyncObserver& observer, std::size_t slice)
    : kernel_(kernel),
      thread_(thread),
      reconciler_(reconciler),
      observer_(observer),
      slice_(slice) {}

asio::awaitable<void> Audit::addresses() {
  const auto found = co_await thread_.run([this] { return kernel_.read_addresses(); });
  if (found && reconciler_.compare_addresses(*found)) {
    observer_.on_drift("address",
                       "the addresses of kube-ipvs0 were changed by somebody else: restored");
  }
}

asio::awaitable<std::set<ipvs::Owner>> Audit::foreign_servers() {
  std::set<ipvs::Owner> owners;
  const std::vector<ipvs::ServerKey> keys = reconciler_.contested();
  if (keys.empty()) co_return owners;
  const auto readings = co_await thread_.run([&] { return kernel_.read_servers(keys); });
  if (!readings) co_return owners;
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
  if (!readings) co_return;
  std::map<ipvs::ServerKey, ipvs::Server> found;
  for (const auto& reading : *readings) found[reading.settings.key] = to_server(reading);
  for (const ipvs::ServerKey& key : slice) {
    const auto server = found.find(key);
    const auto state = server == found.end() ? std::nullopt : std::optional(server->second);
    if (reconciler_.compare(key, state)) {
      observer_.on_drift("server", key.text() + " was not as programmed: restored");
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
