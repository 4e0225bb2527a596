// SPDX-License-Identifier: Apache-2.0
//
// Virtual servers with their destinations, as values. No I/O, no Kubernetes.
//
// Source of names and ranges: include/uapi/linux/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/state/address.hpp"

namespace ipvs {

// IP protocol numbers (IPPROTO_*).
enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };
std::string_view name_of(Protocol protocol);  // "TCP", "UDP", "SCTP"
// Nullopt: it is none of these.
std::optional<Protocol> protocol_named(std::string_view name);
std::optional<Protocol> protocol_numbered(std::optional<std::uint32_t> number);

enum class Family : std::uint8_t { kIpv4, kIpv6 };
inline Family family_of(const Address& address) {
  return address.is_v4() ? Family::kIpv4 : Family::kIpv6;
}

// Identity of a virtual server. Either fwmark is 0 and (address, port, protocol) identify it, or
// fwmark is not 0, `address` is the unspecified address of its family, port is 0 and protocol is
// kTcp (that is what the kernel reads back).
struct ServerKey {
  Address address{};
  std::uint16_t port = 0;
  Protocol protocol = Protocol::kTcp;
  std::uint32_t fwmark = 0;

  bool operator==(const ServerKey&) const = default;
  std::strong_ordering operator<=>(const ServerKey&) const = default;
  std::string text() const;  // "TCP 10.96.0.10:80", "UDP [fd00::1]:53", "FWM 0x1a IPv6"
};

// Service flags (IP_VS_SVC_F_*). kHashed is set by the kernel itself and never compared.
inline constexpr std::uint32_t kFlagPersistent = 0x0001;
inline constexpr std::uint32_t kFlagHashed = 0x0002;
inline constexpr std::uint32_t kFlagOnePacket = 0x0004;
inline constexpr std::uint32_t kFlagSched1 = 0x0008;  // sh-fallback, mh-fallback
inline constexpr std::uint32_t kFlagSched2 = 0x0010;  // sh-port, mh-port

struct VirtualServer {
  ServerKey key{};
  std::string scheduler{};            // module name without "ip_vs_": "rr", "lc", ...
  std::uint32_t flags = 0;            // kFlag*, without kFlagHashed
  std::uint32_t timeout_seconds = 0;  // of persistence; 0 without kFlagPersistent
  bool operator==(const VirtualServer&) const = default;
};

struct Endpoint {
  Address address{};
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
  std::strong_ordering operator<=>(const Endpoint&) const = default;
  std::string text() const;  // "10.244.1.7:8080", "[fd00::7]:8080"
};

// A real server behind a virtual server. Forwarding is always NAT ("masq").
struct Destination {
  Endpoint endpoint{};
  std::uint32_t weight = 1;  // 0-65535; 0: no new connections, it drains
  bool operator==(const Destination&) const = default;
};

// A virtual server with its destinations, ordered by endpoint.
struct Server {
  VirtualServer settings{};
  std::vector<Destination> destinations{};
  bool operator==(const Server&) const = default;
  const Destination* find(const Endpoint& endpoint) const;  // nullptr: it has no such destination
};

// IP_VS_STATS as 64-bit counters (IPVS_*_ATTR_STATS64, Linux 4.1).
struct Counters {
  std::uint64_t connections = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  bool operator==(const Counters&) const = default;
};

struct DestinationReading {
  Destination destination{};
  std::uint32_t active_connections = 0;
  std::uint32_t inactive_connections = 0;
  std::uint32_t persistent_connections = 0;
  bool is_masqueraded = true;  // its forwarding method; ours always are
  Counters counters{};
};

// A virtual server as read from the kernel.
struct ServerReading {
  VirtualServer settings{};
  Counters counters{};
  std::vector<DestinationReading> destinations{};  // ordered by endpoint
};

Server to_server(const ServerReading& reading);  // without counters

// IPVS timeouts in seconds (SET_CONFIG); 0 leaves the kernel's value as it is.
struct Timeouts {
  std::uint32_t tcp = 0;
  std::uint32_t tcp_fin = 0;
  std::uint32_t udp = 0;
  bool operator==(const Timeouts&) const = default;
};

// "tcp 900 -> 600, udp 300 -> 30": where `wanted` sets another value than was found; "" if nowhere.
std::string difference_text(const Timeouts& found, const Timeouts& wanted);

std::size_t hash_value(const ServerKey& key);
std::size_t hash_value(const Endpoint& endpoint);

}  // namespace ipvs

template <>
struct std::hash<ipvs::ServerKey> {
  std::size_t operator()(const ipvs::ServerKey& key) const { return ipvs::hash_value(key); }
};
template <>
struct std::hash<ipvs::Endpoint> {
  std::size_t operator()(const ipvs::Endpoint& endpoint) const {
    return ipvs::hash_value(endpoint);
  }
};
