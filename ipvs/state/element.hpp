// SPDX-License-Identifier: Apache-2.0
//
// The elements of our nftables sets and maps, and the table that says what each kind of element is.
//
// kElementKinds is read by the code that
//   - orders, compares and writes elements                    here
//   - lays out the sets and their keys for the kernel         ipvs/nftables/table.hpp
//   - keeps an element before, during and after its servers   ipvs/state/apply.hpp
//   - decides what a Service keeps when it loses a server     agent/decide/claims.hpp
//   - numbers the sets, to leave out rules for empty ones     ipvs/state/sets_in_use.hpp
// A new kind of element is one more row, the rules that read its sets (ipvs/nftables/rules.cpp),
// and the place that plans it (agent/decide/planner.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "ipvs/state/model.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {

// What our nftables table does with new flows to an address and port.
enum class TrafficClass : std::uint8_t {
  kClusterIp,      // masquerade by --masquerade-all / --cluster-cidr rules
  kExternal,       // load balancer and external IPs, node ports: always masquerade
  kExternalLocal,  // externalTrafficPolicy Local: source address kept
  // Of kGuardedIp and kGuardedNodePort, before IPVS sees the flow:
  kRefused,    // no endpoint anywhere: TCP reset, ICMP port unreachable
  kElsewhere,  // externalTrafficPolicy Local and endpoints on other nodes only: dropped
};

enum class ElementKind : std::uint8_t {
  kServiceIp,         // every VIP:port that has a virtual server
  kNodePort,          // every node port
  kNodeAddress,       // the node's addresses on which node ports are served
  kVirtualIp,         // every address we bind: host ports are closed there
  kHairpin,           // a Pod that reaches itself through a VIP is masqueraded
  kGuardedIp,         // VIP:port that accepts no new flow
  kGuardedNodePort,   // the same of a node port, per family
  kShortCutIp,        // VIP:port from which clients of the cluster are redirected, and where to
  kShortCutNodePort,  // the same of a node port, per family
  kLimitedIp,         // VIP:port with loadBalancerSourceRanges
  kAllowedSource,     // a network whose clients may use a limited VIP:port
  kHealthCheckIp,     // VIP:port where the agent answers a load balancer's health checks
};

struct Element {
  ElementKind kind = ElementKind::kVirtualIp;
  Address address{};  // unspecified, of their family, in kinds whose key has no address
  Protocol protocol = Protocol::kTcp;                     // of kinds with a port
  TrafficClass traffic_class = TrafficClass::kClusterIp;  // of kinds with several sets: which
  std::uint16_t port = 0;
  // Which one depends on the kind; all 0 in kinds with neither. Both begin with an address and have
  // a number after it, so that either may be read (a common initial sequence, [class.mem]). GCC 12
  // gives a struct with such a union no default constructor: write Element{}.
  union {
    Endpoint target{};       // kShortCut*: the cluster IP and its port
    Network source_network;  // kAllowedSource; part of the key
  };

  bool operator==(const Element& other) const {
    return kind == other.kind && address == other.address && protocol == other.protocol &&
           traffic_class == other.traffic_class && port == other.port &&
           target.address == other.target.address && target.port == other.target.port;
  }
  // The key alone orders: two elements that differ only in class or target are the same element
  // with another value.
  bool same_key(const Element& other) const;
  // As nft writes it: "cluster-ips-4 10.96.0.1 . tcp . 80",
  // "short-cuts-4 192.0.2.1 . tcp . 80 : 10.96.0.1 . 80".
  std::string text() const;
};
// There are tens of thousands of them.
static_assert(sizeof(Element) == 42 && std::is_trivially_copyable_v<Element>);
static_assert(sizeof(Endpoint) == sizeof(Network) && std::is_standard_layout_v<Endpoint> &&
              std::is_standard_layout_v<Network>);

// The components of a key, in this order.
struct KeyShape {
  bool address = false;
  bool address_again = false;  // as both source and destination
  bool port = false;           // protocol, port
  bool network = false;        // source_network: the element is a range
};

// The virtual servers an element is for.
enum class ElementScope : std::uint8_t {
  kServer,    // the one with its address, protocol and port
  kNodePort,  // those with its protocol and port, on any address
  kAddress,   // those on its address
  kService,   // all of its Service's
};

struct ElementKindRow {
  ElementKind kind;
  KeyShape key;
  bool has_target = false;  // a map from the key to Element::target
  ElementScope scope = ElementScope::kServer;
  // No virtual server in its scope may exist without it: it is added before them and outlives them.
  bool outlives_servers = false;
  // Nor may its address be bound without it.
  bool outlives_address = false;
  // One set for both families; else there are two, with -4 and -6 after the name.
  bool shares_families = false;
  // The set of each traffic class; of kinds without a class one, whatever the element's class is.
  struct Set {
    std::string_view name{};
    TrafficClass traffic_class{};
  };
  std::array<Set, 3> sets{};

  constexpr bool has_class() const { return !sets[1].name.empty(); }
};

inline constexpr std::array kElementKinds{
    ElementKindRow{.kind = ElementKind::kServiceIp,
                   .key = {.address = true, .port = true},
                   .outlives_servers = true,
                   .sets = {{{"cluster-ips", TrafficClass::kClusterIp},
                             {"external-ips", TrafficClass::kExternal},
                             {"external-local-ips", TrafficClass::kExternalLocal}}}},
    ElementKindRow{.kind = ElementKind::kNodePort,
                   .key = {.port = true},
                   .scope = ElementScope::kNodePort,
                   .outlives_servers = true,
                   .shares_families = true,
                   .sets = {{{"node-ports", TrafficClass::kExternal},
                             {"node-ports-local", TrafficClass::kExternalLocal}}}},
    ElementKindRow{.kind = ElementKind::kNodeAddress,
                   .key = {.address = true},
                   .scope = ElementScope::kAddress,
                   .outlives_servers = true,
                   .sets = {{{"node-addresses"}}}},
    ElementKindRow{.kind = ElementKind::kVirtualIp,
                   .key = {.address = true},
                   .scope = ElementScope::kAddress,
                   .outlives_servers = true,
                   .outlives_address = true,
                   .sets = {{{"virtual-ips"}}}},
    ElementKindRow{.kind = ElementKind::kHairpin,
                   .key = {.address = true, .address_again = true},
                   .scope = ElementScope::kService,
                   .sets = {{{"hairpin"}}}},
    ElementKindRow{.kind = ElementKind::kGuardedIp,
                   .key = {.address = true, .port = true},
                   .sets = {{{"refused-ips", TrafficClass::kRefused},
                             {"elsewhere-ips", TrafficClass::kElsewhere}}}},
    ElementKindRow{.kind = ElementKind::kGuardedNodePort,
                   .key = {.port = true},
                   .scope = ElementScope::kNodePort,
                   .sets = {{{"refused-node-ports", TrafficClass::kRefused},
                             {"elsewhere-node-ports", TrafficClass::kElsewhere}}}},
    ElementKindRow{.kind = ElementKind::kShortCutIp,
                   .key = {.address = true, .port = true},
                   .has_target = true,
                   .sets = {{{"short-cuts"}}}},
    ElementKindRow{.kind = ElementKind::kShortCutNodePort,
                   .key = {.port = true},
                   .has_target = true,
                   .scope = ElementScope::kNodePort,
                   .sets = {{{"short-cut-node-ports"}}}},
    ElementKindRow{.kind = ElementKind::kLimitedIp,
                   .key = {.address = true, .port = true},
                   .outlives_servers = true,
                   .sets = {{{"limited-ips"}}}},
    ElementKindRow{.kind = ElementKind::kAllowedSource,
                   .key = {.address = true, .port = true, .network = true},
                   .outlives_servers = true,
                   .sets = {{{"allowed-sources"}}}},
    ElementKindRow{.kind = ElementKind::kHealthCheckIp,
                   .key = {.address = true, .port = true},
                   .scope = ElementScope::kService,
                   .sets = {{{"health-checks"}}}},
};

constexpr const ElementKindRow& row_of(ElementKind kind) {
  return kElementKinds[static_cast<std::size_t>(kind)];
}
static_assert([] {
  for (std::size_t i = 0; i < kElementKinds.size(); ++i) {
    if (kElementKinds[i].kind != static_cast<ElementKind>(i)) return false;
  }
  return true;
}());

// The bits 1 << kind of the kinds with a network in their key. A constant: to compare elements is
// most of the work where there are many.
inline constexpr std::uint32_t kKindsWithNetwork = [] {
  std::uint32_t bits = 0;
  for (const ElementKindRow& row : kElementKinds) {
    if (row.key.network) bits |= 1U << static_cast<unsigned>(row.kind);
  }
  return bits;
}();

// Strict weak order over keys.
struct ElementKeyLess {
  bool operator()(const Element& a, const Element& b) const {
    if (a.kind != b.kind) return a.kind < b.kind;
    if (a.address != b.address) return a.address < b.address;
    if (a.protocol != b.protocol) return a.protocol < b.protocol;
    if (a.port != b.port) return a.port < b.port;
    if ((kKindsWithNetwork >> static_cast<unsigned>(a.kind) & 1U) == 0) return false;
    return a.source_network < b.source_network;
  }
};

// The element's set in its kind's row; nullptr: there is none for its class (a node port is never
// kClusterIp).
const ElementKindRow::Set* set_of_class(const Element& element);

// Whether `server` must not exist without this element.
bool depends_on(const ServerKey& server, const Element& element);

// Whether two elements are ranges for the same virtual server.
bool same_server(const Element& a, const Element& b);
// Whether two different ranges of one virtual server have an address in common. The kernel holds
// only one of them at a time and refuses the other with EEXIST (nft_pipapo_insert in
// nft_set_pipapo.c).
bool overlap(const Element& a, const Element& b);

}  // namespace ipvs
