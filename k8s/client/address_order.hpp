// SPDX-License-Identifier: Apache-2.0
//
// The order in which the addresses of an API server are tried: the resolver's, but an address that
// failed lately comes after all that did not, and of those the one that failed longest ago first.
// So every address is tried in turn while none works, and one that works is kept. Does no I/O.
//
// A failure is: not connected, no TLS, no answer in time, the connection lost before an answer, or
// an answer of 500 and above.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace k8s {

class AddressOrder {
 public:
  using Clock = std::chrono::steady_clock;
  using Endpoint = boost::asio::ip::tcp::endpoint;
  static constexpr std::chrono::minutes kAvoided{5};

  explicit AddressOrder(std::function<Clock::time_point()> now = Clock::now)
      : now_(std::move(now)) {}

  std::vector<Endpoint> sorted(std::vector<Endpoint> endpoints);
  void failed(const Endpoint& endpoint) { failed_[endpoint] = now_(); }
  void served(const Endpoint& endpoint) { failed_.erase(endpoint); }

 private:
  std::function<Clock::time_point()> now_;
  std::map<Endpoint, Clock::time_point> failed_;
};

}  // namespace k8s
