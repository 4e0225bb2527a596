// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/statements.hpp"

#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

namespace ipvs {
namespace {

// ICMP_PORT_UNREACH of linux/icmp.h and ICMPV6_PORT_UNREACH of linux/icmpv6.h.
constexpr std::uint8_t kIcmpPortUnreachable = 3;
constexpr std::uint8_t kIcmp6PortUnreachable = 4;

}  // namespace

const std::array<FamilyFacts, 2> kFamilies{
    FamilyFacts{.family = Family::kIpv4,
                .protocol_family = NFPROTO_IPV4,
                .source = 12,
                .destination = 16,
                .length = 4,
                .second = NFT_REG32_01,
                .third = NFT_REG32_02,
                .fourth = NFT_REG32_03,
                .client_wrote = NFT_CT_DST_IP,
                .services = "services-4",
                .icmp = IPPROTO_ICMP,
                .port_unreachable = kIcmpPortUnreachable},
    FamilyFacts{.family = Family::kIpv6,
                .protocol_family = NFPROTO_IPV6,
                .source = 8,
                .destination = 24,
                .length = 16,
                .second = NFT_REG_2,
                .third = NFT_REG32_05,
                .fourth = NFT_REG32_06,
                .client_wrote = NFT_CT_DST_IP6,
                .services = "services-6",
                .icmp = IPPROTO_ICMPV6,
                .port_unreachable = kIcmp6PortUnreachable},
};

std::string_view FamilyFacts::set(ElementKind kind, TrafficClass traffic_class) const {
  return set_of({.kind = kind, .address = unspecified(family), .traffic_class = traffic_class})
      ->name;
}

Expressions operator+(Expressions left, const Expressions& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Expressions is_family(const FamilyFacts& f) {
  return {expression::LoadMeta{NFT_META_NFPROTO, NFT_REG_1},
          expression::Compare{NFT_CMP_EQ, NFT_REG_1, RegisterValue::of_u8(f.protocol_family)}};
}

expression::LoadPayload network_header(std::uint32_t offset, std::uint32_t length,
                                       std::uint32_t to) {
  return {NFT_PAYLOAD_NETWORK_HEADER, offset, length, to};
}

Expressions address_in(const FamilyFacts& f, std::uint32_t offset, std::string_view set) {
  return is_family(f) + Expressions{network_header(offset, f.length, NFT_REG_1),
                                    expression::Lookup{NFT_REG_1, set}};
}

Expressions load_protocol_port(std::uint32_t protocol, std::uint32_t port) {
  return {expression::LoadMeta{NFT_META_L4PROTO, protocol},
          expression::LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, port}};
}

Expressions load_destination_service(const FamilyFacts& f) {
  return Expressions{network_header(f.destination, f.length, NFT_REG_1)} +
         load_protocol_port(f.second, f.third);
}

Expressions load_source_service(const FamilyFacts& f) {
  return {network_header(f.source, f.length, NFT_REG_1),
          expression::LoadMeta{NFT_META_L4PROTO, f.second},
          expression::LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, f.third}};
}

Expressions destination_service_in(const FamilyFacts& f, std::string_view set) {
  return is_family(f) + load_destination_service(f) +
         Expressions{expression::Lookup{NFT_REG_1, set}};
}

Expressions node_port_in(const FamilyFacts& f, std::string_view set) {
  return address_in(f, f.destination, f.set(ElementKind::kNodeAddress)) +
         load_protocol_port(NFT_REG_1, NFT_REG32_01) +
         Expressions{expression::Lookup{NFT_REG_1, set}};
}

Expressions compare_network(const FamilyFacts& f, std::uint32_t offset, std::uint32_t operation,
                            const Network& network) {
  Expressions result{network_header(offset, f.length, NFT_REG_1)};
  const RegisterValue mask = RegisterValue::prefix_mask(f.family, network.prefix_length);
  if (network.prefix_length < f.length * 8) {
    result.push_back(expression::Bitwise{NFT_REG_1, mask, RegisterValue::zeros(mask.size)});
  }
  result.push_back(
      expression::Compare{operation, NFT_REG_1, RegisterValue::of(network.address) & mask});
  return result;
}

Expressions verdict(std::int32_t code, std::string_view chain) {
  return {expression::Verdict{code, chain}};
}

Expressions has_state(std::uint32_t bits) {
  return {expression::LoadConntrack{NFT_CT_STATE, NFT_REG_1},
          expression::Bitwise{NFT_REG_1, RegisterValue::of_u32(bits), RegisterValue::zeros(4)},
          expression::Compare{NFT_CMP_NEQ, NFT_REG_1, RegisterValue::zeros(4)}};
}

Expressions compare_protocol(std::uint32_t operation, std::uint8_t protocol) {
  return {expression::LoadMeta{NFT_META_L4PROTO, NFT_REG_1},
          expression::Compare{operation, NFT_REG_1, RegisterValue::of_u8(protocol)}};
}

Expressions masquerade() { return {expression::Masquerade{NF_NAT_RANGE_PROTO_RANDOM_FULLY}}; }

}  // namespace ipvs
