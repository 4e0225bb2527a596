// SPDX-License-Identifier: Apache-2.0
//
// The sets of our nftables table, and how their keys and values are laid out for the kernel. The
// sets follow from the table of element kinds (ipvs/state/element.hpp); chains and rules are in
// ipvs/nftables/rules.hpp. The whole table, as `nft list table inet kube-ipvs` prints it and `nft
// -f` reads it, is test/kernel/nft_table_text.hpp, which a test compares with the kernel's.
//
// A host that talks to a virtual IP has that very address as its source, because the address is
// local: "ip saddr @virtual-ips-4" in a rule means "from this host".
//
// What is masqueraded is decided where it happens, for the first packet of a flow, by what the
// client wrote as destination, which connection tracking keeps (ipvs/nftables/adr-masquerade.md). No
// mark of a packet or connection is read or written: other software uses them.
//
// Why the table looks like this (more in ipvs/nftables/adr-nftables.md):
//   * A set per traffic class, not one verdict map: with every jump added to a map the kernel walks
//     the whole map at commit, so that one more element costs as much as there are elements.
//   * Chains of type nat see the first packet of a flow only: an established flow runs no rule.
//   * `dnat to ip daddr` changes nothing, but it fixes the flow's destination: whoever redirects
//     local addresses after us (host ports of CNI plugins, at -100) does not get traffic for a
//     virtual IP, nor for a Service's port on an address of this node's own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ipvs/state/element.hpp"

namespace ipvs {

inline constexpr const char* kTableName = "kube-ipvs";

// One of the table's sets. Each component of a key is padded to 4 bytes (a register of nf_tables).
struct TableSet {
  std::string_view name;  // "cluster-ips-4", "node-ports"
  ElementKind kind;
  std::optional<Family>
      family;                  // of its addresses and its rules; none where both families share it
  TrafficClass traffic_class;  // of kinds that have one
  KeyShape key;                // with a network its elements are ranges
  std::uint32_t key_type;      // nft's datatype ids, 6 bits for each component
  std::uint32_t key_length;    // bytes
  std::uint32_t data_type;     // of a map's values
  std::uint32_t data_length;   // bytes; 0: no map
};

// In the order of the element kinds.
std::span<const TableSet> table_sets();
// The set an element belongs to; nullptr if there is none: a node port is never kClusterIp.
const TableSet* set_of(const Element& element);
const TableSet* set_named(std::string_view name);

}  // namespace ipvs
