// SPDX-License-Identifier: Apache-2.0
//
// The IP addresses by which the API server is reached: as configured, as its name (or its proxy's)
// resolved, and as connected. No Service may be given one of them, or the agent loses the API
// server. Does no I/O.
//
// Kept are: an address that is written in the configuration; what a name resolved to at its last
// lookup that succeeded, and at the earlier ones of the last 15 minutes (a name may have more
// addresses than one answer has, and every watch ends and looks the name up within 11 minutes); the
// peer of every open connection. A lookup that fails takes nothing away.
//
// Threading: one thread. The callback is called on it, after each change, and may call back.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "k8s/types.hpp"

namespace k8s {

class ServerAddresses {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::minutes kKept{15};

  explicit ServerAddresses(std::function<Clock::time_point()> now = Clock::now)
      : now_(std::move(now)) {}
  ServerAddresses(const ServerAddresses&) = delete;
  ServerAddresses& operator=(const ServerAddresses&) = delete;

  // A configured host: kept for ever if it is an address.
  void configured(const std::string& host);
  // The answer to a lookup of `host`.
  void resolved(const std::string& host, const std::vector<Address>& addresses);
  // The peer of a connection, until the returned handle is gone. The handle may outlive this.
  using Peer = std::shared_ptr<const void>;
  [[nodiscard]] Peer connected(const Address& address);

  // Sorted, each address once; without IPv6 zones, and IPv4 addresses as such.
  const std::vector<Address>& all() const { return all_; }
  // Replaces the callback.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

 private:
  struct Peers;
  void update();

  std::function<Clock::time_point()> now_;
  std::function<void()> changed_;
  std::vector<Address> configured_;
  std::map<std::string, std::map<Address, Clock::time_point>> resolved_;  // when last in an answer
  std::shared_ptr<Peers> peers_;
  std::vector<Address> all_;
};

}  // namespace k8s
