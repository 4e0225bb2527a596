// SPDX-License-Identifier: Apache-2.0
//
// The expressions of nf_tables that our rules are made of, as values, and their encoding. A rule is
// a list of them, run in order; the first that does not match ends the rule. They are composed as
// `nft` composes them, because `nft list` recognises only its own patterns.
//
// Layout (include/uapi/linux/netfilter/nf_tables.h); integers are big-endian, nests carry
// NLA_F_NESTED:
//
//   NFTA_RULE_EXPRESSIONS
//     NFTA_LIST_ELEM                     one per expression
//       NFTA_EXPR_NAME  "meta", "payload", ...
//       NFTA_EXPR_DATA                   the attributes of that expression
//
// Registers: NFT_REG_1 to _4 are 16 bytes each, NFT_REG32_00 to _15 the same 64 bytes in words of
// 4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

// A constant of at most 16 bytes, as in a register.
struct RegisterValue {
  std::array<std::byte, 16> bytes{};
  std::size_t size = 0;
  bool operator==(const RegisterValue&) const = default;

  static RegisterValue of_u8(std::uint8_t value);
  static RegisterValue of_u32(std::uint32_t value);  // host order: marks, conntrack state
  static RegisterValue of(const Address& address);   // network order
  static RegisterValue prefix_mask(Family family, std::uint16_t prefix_length);
  static RegisterValue zeros(std::size_t size);
  static RegisterValue of_text(std::string_view text);  // its bytes: the beginning of a name
  static RegisterValue of_name(std::string_view name);  // of an interface, padded to 16 bytes
  RegisterValue operator&(const RegisterValue& mask) const;
};

namespace expression {

struct LoadMeta {
  std::uint32_t key;  // NFT_META_*
  std::uint32_t to;   // register
  bool operator==(const LoadMeta&) const = default;
};
struct LoadPayload {
  std::uint32_t base;  // NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER
  std::uint32_t offset;
  std::uint32_t length;
  std::uint32_t to;
  bool operator==(const LoadPayload&) const = default;
};
struct LoadConntrack {
  std::uint32_t key;  // NFT_CT_*
  std::uint32_t to;
  std::optional<std::uint8_t> direction = {};  // IP_CT_DIR_*, of keys that have two values
  bool operator==(const LoadConntrack&) const = default;
};
struct LoadValue {
  std::uint32_t to;
  RegisterValue value;
  bool operator==(const LoadValue&) const = default;
};
// Sets the packet's connection's NFT_CT_* to what is in register `from`.
struct SetConntrack {
  std::uint32_t key;
  std::uint32_t from;
  bool operator==(const SetConntrack&) const = default;
};
// The RTN_* type of the packet's source address, by the routing table.
struct LoadSourceType {
  std::uint32_t to;
  bool operator==(const LoadSourceType&) const = default;
};
// register = (register & mask) ^ flip
struct Bitwise {
  std::uint32_t in_place;  // register
  RegisterValue mask;
  RegisterValue flip;
  bool operator==(const Bitwise&) const = default;
};
struct Compare {
  std::uint32_t operation;  // NFT_CMP_EQ, NFT_CMP_NEQ
  std::uint32_t from;
  RegisterValue value;
  bool operator==(const Compare&) const = default;
};
// Matches if the key at register `from` is in the set, or with `inverted` if it is not. A map's
// value is written to register `to`.
struct Lookup {
  std::uint32_t from;
  std::string_view set;
  std::optional<std::uint32_t> to = {};
  bool inverted = false;
  bool operator==(const Lookup&) const = default;
};
struct Verdict {
  std::int32_t code;       // NFT_JUMP, NFT_GOTO, NFT_RETURN, NF_DROP
  std::string_view chain;  // of NFT_JUMP and NFT_GOTO
  bool operator==(const Verdict&) const = default;
};
// The destination becomes the address in `from`, and the port in `port_from`.
struct DestinationNat {
  Family family;
  std::uint32_t from;
  std::optional<std::uint32_t> port_from = {};
  bool operator==(const DestinationNat&) const = default;
};
struct Masquerade {
  std::uint32_t flags;  // NF_NAT_RANGE_*
  bool operator==(const Masquerade&) const = default;
};
struct Reject {
  std::uint32_t type;  // NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMP_UNREACH, NFT_REJECT_TCP_RST
  std::uint8_t code;   // NFT_REJECT_ICMPX_*, or of ICMP or ICMPv6
  bool operator==(const Reject&) const = default;
};

// A match of iptables, in the form that `iptables-nft` writes; it lists no rule with other
// conditions.
struct ExtensionMatch {
  std::string_view name;  // "conntrack"
  std::uint32_t revision;
  std::vector<std::byte> info;  // struct xt_*_mtinfo of that revision
  bool operator==(const ExtensionMatch&) const = default;
};

}  // namespace expression

using Expression =
    std::variant<expression::LoadMeta, expression::LoadPayload, expression::LoadConntrack,
                 expression::LoadValue, expression::SetConntrack, expression::LoadSourceType,
                 expression::Bitwise, expression::Compare, expression::Lookup, expression::Verdict,
                 expression::DestinationNat, expression::Masquerade, expression::Reject,
                 expression::ExtensionMatch>;
using Expressions = std::vector<Expression>;

// Appends NFTA_RULE_EXPRESSIONS to the current message.
void put_expressions(MessageBatch& batch, std::span<const Expression> expressions);

}  // namespace ipvs
