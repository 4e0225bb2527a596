// SPDX-License-Identifier: Apache-2.0
//
// What the kernel can hold for us, as values: virtual servers with their destinations, addresses, and the
// elements of our nftables sets. No I/O, no Kubernetes.
//
// Source of names and ranges: include/uapi/linux/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "ipvs/state/address.hpp"

namespace ipvs {

// IP protocol numbers (IPPROTO_*).
enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };

enum class Family : std::uint8_t { kIpv4, kIpv6 };
inline Family family_of(const Address& address) {
  return address.is_v4() ? Family::kIpv4 : Family::kIpv6;
}

// Identity of a virtual server. Either fwmark is 0 and (address, port, protocol) identify it, or fwmark is
// not 0, `address` is the unspecified address of its family, port is 0 and protocol is kTcp (that is what the
// kernel reads back).
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
  std::uint32_t weight = 1;  // 0-65535; 0: no new connections
  bool operator==(const Destination&) const = default;
};

// A virtual server with its destinations, ordered by endpoint.
struct Server {
  VirtualServer settings{};
  std::vector<Destination> destinations{};
  bool operator==(const Server&) const = default;
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
  Counters counters{};
};

// A virtual server as read from the kernel.
struct ServerReading {
  VirtualServer settings{};
  Counters counters{};
  std::vector<DestinationReading> destinations{};  // ordered by endpoint
};

// IPVS timeouts in seconds (SET_CONFIG); 0 leaves the kernel's value as it is.
struct Timeouts {
  std::uint32_t tcp = 0;
  std::uint32_t tcp_fin = 0;
  std::uint32_t udp = 0;
  bool operator==(const Timeouts&) const = default;
};

// What our nftables table does with new flows to an address and port.
enum class TrafficClass : std::uint8_t {
  kClusterIp,      // masquerade by --masquerade-all / --cluster-cidr rules
  kExternal,       // load balancer and external IPs, node ports: always masquerade
  kExternalLocal,  // externalTrafficPolicy Local: source address kept
  // Of kGuardedIp and kGuardedNodePort, before IPVS sees the flow:
  kRefused,    // nobody serves it: TCP reset, ICMP port unreachable
  kElsewhere,  // externalTrafficPolicy Local, and served on other nodes only: dropped
};

// One element of one of our nftables sets or maps. See ipvs/state/table.hpp for the table they live in.
enum class ElementKind : std::uint8_t {
  kServiceIp,    // address . protocol . port : class     every VIP:port that has a virtual server
  kNodePort,     // protocol . port : class               every node port
  kNodeAddress,  // address                               where node ports are served
  kVirtualIp,  // address                               every address we bind: host ports are closed there
  kHairpin,  // address . address                     a pod that reaches itself through a VIP is masqueraded
  kGuardedIp,        // address . protocol . port : class            VIP:port that takes no new flow
  kGuardedNodePort,  // protocol . port : class                      the same of a node port, per family
  kShortCutIp,  // address . protocol . port : address . port   where clients of the cluster are led instead
  kShortCutNodePort,  // protocol . port : address . port             the same of a node port, per family
  kLimitedIp,  // address . protocol . port                    VIP:port with loadBalancerSourceRanges
  kAllowedSource,  // address . protocol . port . network          who may use a limited one
};

struct Element {
  ElementKind kind = ElementKind::kVirtualIp;
  Address
      address{};  // of kNodePort, kGuardedNodePort and kShortCutNodePort: unspecified, of their family
  Protocol protocol = Protocol::kTcp;  // of those with a port
  std::uint16_t port = 0;
  TrafficClass traffic_class =
      TrafficClass::kClusterIp;  // kServiceIp, kNodePort, kGuarded*: which set
  Address other_address{};  // kShortCut*: where to; kAllowedSource: the network (a part of the key)
  std::uint16_t other_number = 0;  // kShortCut*: the port there; kAllowedSource: the prefix length

  bool operator==(const Element&) const = default;
  // The key alone orders: two elements that differ only in class or target are the same element with another
  // value.
  bool same_key(const Element& other) const;
  std::string text() const;
};

// Strict weak order over keys (kind, address, protocol, port; of kAllowedSource the network as well).
struct ElementKeyLess {
  bool operator()(const Element& a, const Element& b) const {
    if (a.kind != b.kind) return a.kind < b.kind;
    if (a.address != b.address) return a.address < b.address;
    if (a.protocol != b.protocol) return a.protocol < b.protocol;
    if (a.port != b.port) return a.port < b.port;
    if (a.kind != ElementKind::kAllowedSource) return false;
    return std::tie(a.other_address, a.other_number) < std::tie(b.other_address, b.other_number);
  }
};

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
