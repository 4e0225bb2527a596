// SPDX-License-Identifier: Apache-2.0
//
// Asks other resolvers (--dns-upstream) for names that are not ours. Each question has a socket of
// its own, with a port that the kernel chooses, and an id that cannot be guessed (RFC 5452).
//
// Threading: the agent's io_context thread.
// Limits: 256 questions at a time; 2 s for each resolver, and two of them are tried. Over UDP a client
// gets what comes over UDP; one that then asks over TCP is answered over TCP.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "agent/dns/responder.hpp"
#include "agent/dns/wire.hpp"

namespace agent::dns {

class Upstream {
 public:
  using Place = boost::asio::ip::udp::endpoint;

  explicit Upstream(boost::asio::any_io_executor executor,
                    std::chrono::milliseconds patience = std::chrono::milliseconds(2000))
      : executor_(std::move(executor)), patience_(patience) {}

  void set(std::vector<Place> servers) { servers_ = std::move(servers); }
  bool empty() const { return servers_.empty(); }

  // The reply; "": there is none, or too many questions are under way.
  boost::asio::awaitable<std::string> ask(const Onward& onward, Transport transport);

 private:
  boost::asio::awaitable<std::string> ask_by_udp(const Onward& onward, Place server);
  boost::asio::awaitable<std::string> ask_by_tcp(const Onward& onward, Place server);
  std::uint16_t next_id() { return static_cast<std::uint16_t>(random_()); }

  boost::asio::any_io_executor executor_;
  const std::chrono::milliseconds patience_;
  std::vector<Place> servers_;
  std::size_t next_ = 0;  // the server that is asked first
  std::size_t under_way_ = 0;
  std::random_device random_;
};

}  // namespace agent::dns
