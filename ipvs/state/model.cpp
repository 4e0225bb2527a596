// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/model.hpp"

#include <algorithm>
#include <boost/container_hash/hash.hpp>
#include <cstdio>

namespace ipvs {
namespace {

std::string address_and_port(const Address& address, std::uint16_t port) {
  const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
  return host + ":" + std::to_string(port);
}

template <typename Is>
std::optional<Protocol> find_protocol(Is is) {
  for (const Protocol each : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp}) {
    if (is(each)) return each;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "?";
}

std::optional<Protocol> protocol_named(std::string_view name) {
  return find_protocol([&](Protocol each) { return name_of(each) == name; });
}

std::optional<Protocol> protocol_numbered(std::optional<std::uint32_t> number) {
  return find_protocol([&](Protocol each) { return number == static_cast<std::uint32_t>(each); });
}

std::string ServerKey::text() const {
  if (fwmark != 0) {
    char mark[16];
    std::snprintf(mark, sizeof(mark), "0x%x", fwmark);
    return std::string("FWM ") + mark + (address.is_v4() ? " IPv4" : " IPv6");
  }
  return std::string(name_of(protocol)) + " " + address_and_port(address, port);
}

std::string Endpoint::text() const { return address_and_port(address, port); }

const Destination* Server::find(const Endpoint& endpoint) const {
  const auto place =
      std::lower_bound(destinations.begin(), destinations.end(), endpoint,
                       [](const Destination& d, const Endpoint& e) { return d.endpoint < e; });
  return place != destinations.end() && place->endpoint == endpoint ? &*place : nullptr;
}

Server to_server(const ServerReading& reading) {
  Server server{.settings = reading.settings, .destinations = {}};
  server.destinations.reserve(reading.destinations.size());
  for (const DestinationReading& d : reading.destinations) {
    server.destinations.push_back(d.destination);
  }
  return server;
}

std::string difference_text(const Timeouts& found, const Timeouts& wanted) {
  std::string text;
  const auto compare = [&text](const char* name, std::uint32_t is, std::uint32_t should_be) {
    if (should_be == 0 || is == should_be) return;
    text += text.empty() ? "" : ", ";
    text += std::string(name) + " " + std::to_string(is) + " -> " + std::to_string(should_be);
  };
  compare("tcp", found.tcp, wanted.tcp);
  compare("tcp_fin", found.tcp_fin, wanted.tcp_fin);
  compare("udp", found.udp, wanted.udp);
  return text;
}

std::size_t hash_value(const ServerKey& key) {
  std::size_t seed = hash_value(key.address);
  boost::hash_combine(seed, key.port);
  boost::hash_combine(seed, static_cast<unsigned>(key.protocol));
  boost::hash_combine(seed, key.fwmark);
  return seed;
}

std::size_t hash_value(const Endpoint& endpoint) {
  std::size_t seed = hash_value(endpoint.address);
  boost::hash_combine(seed, endpoint.port);
  return seed;
}

}  // namespace ipvs
