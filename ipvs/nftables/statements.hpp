// SPDX-License-Identifier: Apache-2.0
//
// The statements of nft that our rules use, as expressions, and what differs between the two
// families. Pure. Used by rules.cpp and guard_rules.cpp only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ipvs/nftables/expressions.hpp"
#include "ipvs/nftables/table.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {

// What differs between the two families: the offsets of the addresses in the header, and the
// registers after an address in NFT_REG_1.
struct FamilyFacts {
  Family family;
  std::uint8_t protocol_family;
  std::uint32_t source, destination, length;
  std::uint32_t second, third;  // registers of the next components of a concatenation
  std::uint32_t fourth;         // register after address . protocol . port
  std::uint32_t client_wrote;   // NFT_CT_*: the destination address of a flow's first packet
  std::string_view services;    // chain
  std::uint8_t icmp;
  std::uint8_t port_unreachable;

  // The family's set of such elements.
  std::string_view set(ElementKind kind, TrafficClass traffic_class = {}) const;
};

extern const std::array<FamilyFacts, 2> kFamilies;

Expressions operator+(Expressions left, const Expressions& right);

// `nft` writes this before every match on a layer 3 header, and leaves it out when it lists the
// rule.
Expressions is_family(const FamilyFacts& f);

expression::LoadPayload network_header(std::uint32_t offset, std::uint32_t length,
                                       std::uint32_t to);

Expressions address_in(const FamilyFacts& f, std::uint32_t offset, std::string_view set);

// meta l4proto . th dport
Expressions load_protocol_port(std::uint32_t protocol, std::uint32_t port);

// ip daddr . meta l4proto . th dport
Expressions load_destination_service(const FamilyFacts& f);

// ip saddr . meta l4proto . th sport
Expressions load_source_service(const FamilyFacts& f);

Expressions destination_service_in(const FamilyFacts& f, std::string_view set);

// A node port, on any of the node's addresses.
Expressions node_port_in(const FamilyFacts& f, std::string_view set);

// The address at `offset` compared with a network, without the family's own test.
Expressions compare_network(const FamilyFacts& f, std::uint32_t offset, std::uint32_t operation,
                            const Network& network);

Expressions verdict(std::int32_t code, std::string_view chain = {});

// ct state: one of these bits.
Expressions has_state(std::uint32_t bits);

Expressions compare_protocol(std::uint32_t operation, std::uint8_t protocol);

Expressions masquerade();

}  // namespace ipvs
