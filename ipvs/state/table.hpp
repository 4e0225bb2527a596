// SPDX-License-Identifier: Apache-2.0
//
// Our nftables table, in its own language. This is the picture that ipvs/nft_*.cpp build as netlink
// messages, that `nft list table inet kube-ipvs` prints, and that prints back in with `nft -f` (a
// test says so).
//
//   table inet kube-ipvs {
//     set cluster-ips-4        { type ipv4_addr . inet_proto . inet_service }
//     set external-ips-4       { type ipv4_addr . inet_proto . inet_service }
//     set external-local-ips-4 { type ipv4_addr . inet_proto . inet_service }
//     set node-ports           { type inet_proto . inet_service }
//     set node-ports-local     { type inet_proto . inet_service }
//     set node-addresses-4     { type ipv4_addr }
//     set virtual-ips-4        { type ipv4_addr }
//     set hairpin-4            { type ipv4_addr . ipv4_addr }
//     set refused-ips-4        { type ipv4_addr . inet_proto . inet_service }       # nobody serves them
//     set refused-node-ports-4 { type inet_proto . inet_service }
//     set elsewhere-ips-4        { type ipv4_addr . inet_proto . inet_service }     # other nodes serve them
//     set elsewhere-node-ports-4 { type inet_proto . inet_service }
//     map short-cuts-4           { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//     map short-cut-node-ports-4 { type inet_proto . inet_service : ipv4_addr . inet_service }
//     set limited-ips-4        { type ipv4_addr . inet_proto . inet_service }       # with source ranges
//     set allowed-sources-4    { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval }
//
//     chain cluster-ip {                                # one of three bodies
//       ct mark set ct mark | 0x00004000                           # --masquerade-all
//       ip saddr != CLUSTER_CIDR ct mark set ct mark | 0x00004000  # --cluster-cidr
//       ip saddr @virtual-ips-4 ct mark set ct mark | 0x00004000   # neither: a VIP as source
//     }
//     chain external       { ct mark set ct mark | 0x00004000 }
//     chain external-local { ip saddr @virtual-ips-4 ct mark set ct mark | 0x00004000 }
//     chain node-port {
//       meta l4proto . th dport @node-ports goto external
//       meta l4proto . th dport @node-ports-local goto external-local
//     }
//     chain services {
//       ip saddr 127.0.0.0/8 return
//       ip daddr . meta l4proto . th dport @cluster-ips-4 goto cluster-ip
//       ip daddr . meta l4proto . th dport @external-ips-4 goto external
//       ip daddr . meta l4proto . th dport @external-local-ips-4 goto external-local
//       ip daddr @node-addresses-4 goto node-port
//     }
//     chain short-cuts {
//       dnat ip to ip daddr . meta l4proto . th dport map @short-cuts-4
//       ip daddr @node-addresses-4 dnat ip to meta l4proto . th dport map @short-cut-node-ports-4
//     }
//     chain prerouting  { type nat hook prerouting priority -110;
//       jump services
//       ip saddr POD_SOURCE jump short-cuts
//       ip daddr @virtual-ips-4 dnat ip to ip daddr
//     }
//     chain output      { type nat hook output priority -110;
//       ip daddr . meta l4proto . th dport @external-local-ips-4 jump external   # and so for node ports
//       jump services
//       jump short-cuts
//       ip daddr @virtual-ips-4 dnat ip to ip daddr
//     }
//     chain limits {
//       ip daddr . meta l4proto . th dport @limited-ips-4
//           ip daddr . meta l4proto . th dport . ip saddr != @allowed-sources-4 drop
//     }
//     chain refuse   { meta l4proto tcp reject with tcp reset; reject }
//     chain refusals { ip daddr . meta l4proto . th dport @refused-ips-4 goto refuse }   # and node ports
//     chain guard-prerouting { type filter hook prerouting priority -120; ct state new jump limits }
//     chain guard-output     { type filter hook output priority -120;
//       ct state new jump limits
//       ct state new jump refusals
//     }
//     chain guard-input      { type filter hook input priority 90;   # IPVS is at 98 and 99
//       ct state new jump refusals
//       ct state new ip daddr . meta l4proto . th dport @elsewhere-ips-4 drop            # and node ports
//     }
//     chain input       { type filter hook input priority 110;      # IPVS is at 98 and 99
//       ct state new ip daddr @virtual-ips-4 meta l4proto tcp reject with tcp reset
//       ct state new ip daddr @virtual-ips-4 meta l4proto != icmp reject
//     }
//     chain postrouting { type nat hook postrouting priority 100;
//       ct mark & 0x00004000 == 0x00004000 masquerade fully-random
//       ip saddr . ip daddr @hairpin-4 masquerade fully-random
//     }
//   }
//
// Every set ending in -4 has its -6, and every rule that looks at IPv4 addresses its IPv6 form.
//
// A host that talks to a virtual IP has that very address as its source, because the address is
// local: "ip saddr @virtual-ips-4" means "from this host".
//
// The masquerade decision travels in one bit of the *conntrack* mark: the packet mark, which policy
// routing and other software use, is never touched.
//
// Why it looks like this (more in ipvs/nftables/adr-nftables.md):
//   * A set per traffic class, not one verdict map: with every jump added to a map the kernel walks
//     the whole map at commit, so that one more element costs as much as there are elements.
//   * Chains of type nat see the first packet of a flow only: an established flow runs no rule.
//   * `dnat to ip daddr` changes nothing, but the flow's destination is then settled: whoever
//     redirects local addresses after us (host ports of CNI plugins, at -100) does not get traffic
//     for a virtual IP.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ipvs/state/model.hpp"

namespace ipvs {

inline constexpr const char* kTableName = "kube-ipvs";
inline constexpr const char* kDeviceName = "kube-ipvs0";

// One of the table's sets: what it holds, and how its keys are laid out. Each component of a key is
// padded to 4 bytes (a register of nf_tables).
struct TableSet {
  std::string_view name;
  ElementKind kind;
  std::optional<Family>
      family;                  // of its addresses and its rules; none where both families share it
  TrafficClass traffic_class;  // of those kinds that have one
  bool has_address;            // the key begins with Element::address
  bool has_port;               // then come protocol and port
  bool interval;               // and then a network: its elements are ranges
  std::uint32_t key_type;      // nft's datatype ids, 6 bits for each component
  std::uint32_t key_length;    // bytes
  std::uint32_t data_type;     // of a map's values
  std::uint32_t data_length;   // bytes; 0: no map
};

std::span<const TableSet> table_sets();
// Where an element lives; nullptr for one that has no place: a node port is never kClusterIp.
const TableSet* set_of(const Element& element);
const TableSet* set_named(std::string_view name);

}  // namespace ipvs
