// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/expressions.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

namespace ipvs {
namespace {

template <typename Fill>
void put_nest(MessageBatch& batch, int type, Fill fill) {
  const std::size_t nest = batch.begin_nest(static_cast<std::uint16_t>(type));
  fill();
  batch.end_nest(nest);
}

// NFTA_*: a nest with the value in NFTA_DATA_VALUE.
void put_value(MessageBatch& batch, int type, const RegisterValue& value) {
  put_nest(batch, type,
           [&] { batch.put_bytes(NFTA_DATA_VALUE, Bytes(value.bytes).first(value.size)); });
}

// One overload per expression: its name, and the attributes in NFTA_EXPR_DATA.
const char* name_of(const expression::LoadMeta&) { return "meta"; }
void put(MessageBatch& batch, const expression::LoadMeta& load) {
  batch.put_be32(NFTA_META_KEY, load.key);
  batch.put_be32(NFTA_META_DREG, load.to);
}

const char* name_of(const expression::LoadPayload&) { return "payload"; }
void put(MessageBatch& batch, const expression::LoadPayload& load) {
  batch.put_be32(NFTA_PAYLOAD_DREG, load.to);
  batch.put_be32(NFTA_PAYLOAD_BASE, load.base);
  batch.put_be32(NFTA_PAYLOAD_OFFSET, load.offset);
  batch.put_be32(NFTA_PAYLOAD_LEN, load.length);
}

const char* name_of(const expression::LoadConntrack&) { return "ct"; }
void put(MessageBatch& batch, const expression::LoadConntrack& load) {
  batch.put_be32(NFTA_CT_KEY, load.key);
  batch.put_be32(NFTA_CT_DREG, load.to);
  if (load.direction) batch.put_u8(NFTA_CT_DIRECTION, *load.direction);
}

const char* name_of(const expression::LoadValue&) { return "immediate"; }
void put(MessageBatch& batch, const expression::LoadValue& load) {
  batch.put_be32(NFTA_IMMEDIATE_DREG, load.to);
  put_value(batch, NFTA_IMMEDIATE_DATA, load.value);
}

const char* name_of(const expression::SetConntrack&) { return "ct"; }
void put(MessageBatch& batch, const expression::SetConntrack& set) {
  batch.put_be32(NFTA_CT_KEY, set.key);
  batch.put_be32(NFTA_CT_SREG, set.from);
}

const char* name_of(const expression::LoadSourceType&) { return "fib"; }
void put(MessageBatch& batch, const expression::LoadSourceType& load) {
  batch.put_be32(NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR);
  batch.put_be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  batch.put_be32(NFTA_FIB_DREG, load.to);
}

const char* name_of(const expression::Bitwise&) { return "bitwise"; }
void put(MessageBatch& batch, const expression::Bitwise& bitwise) {
  batch.put_be32(NFTA_BITWISE_SREG, bitwise.in_place);
  batch.put_be32(NFTA_BITWISE_DREG, bitwise.in_place);
  batch.put_be32(NFTA_BITWISE_LEN, static_cast<std::uint32_t>(bitwise.mask.size));
  put_value(batch, NFTA_BITWISE_MASK, bitwise.mask);
  put_value(batch, NFTA_BITWISE_XOR, bitwise.flip);
}

const char* name_of(const expression::Compare&) { return "cmp"; }
void put(MessageBatch& batch, const expression::Compare& compare) {
  batch.put_be32(NFTA_CMP_SREG, compare.from);
  batch.put_be32(NFTA_CMP_OP, compare.operation);
  put_value(batch, NFTA_CMP_DATA, compare.value);
}

const char* name_of(const expression::Lookup&) { return "lookup"; }
void put(MessageBatch& batch, const expression::Lookup& lookup) {
  batch.put_string(NFTA_LOOKUP_SET, lookup.set);
  batch.put_be32(NFTA_LOOKUP_SREG, lookup.from);
  if (lookup.to) batch.put_be32(NFTA_LOOKUP_DREG, *lookup.to);
  if (lookup.inverted) batch.put_be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

const char* name_of(const expression::Verdict&) { return "immediate"; }
void put(MessageBatch& batch, const expression::Verdict& verdict) {
  batch.put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  put_nest(batch, NFTA_IMMEDIATE_DATA, [&] {
    put_nest(batch, NFTA_DATA_VERDICT, [&] {
      batch.put_be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(verdict.code));
      if (!verdict.chain.empty()) batch.put_string(NFTA_VERDICT_CHAIN, verdict.chain);
    });
  });
}

const char* name_of(const expression::DestinationNat&) { return "nat"; }
void put(MessageBatch& batch, const expression::DestinationNat& nat) {
  batch.put_be32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
  batch.put_be32(NFTA_NAT_FAMILY, nat.family == Family::kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  batch.put_be32(NFTA_NAT_REG_ADDR_MIN, nat.from);
  if (nat.port_from) batch.put_be32(NFTA_NAT_REG_PROTO_MIN, *nat.port_from);
}

const char* name_of(const expression::Masquerade&) { return "masq"; }
void put(MessageBatch& batch, const expression::Masquerade& masquerade) {
  batch.put_be32(NFTA_MASQ_FLAGS, masquerade.flags);
}

const char* name_of(const expression::Reject&) { return "reject"; }
void put(MessageBatch& batch, const expression::Reject& reject) {
  batch.put_be32(NFTA_REJECT_TYPE, reject.type);
  batch.put_u8(NFTA_REJECT_ICMP_CODE, reject.code);
}

const char* name_of(const expression::ExtensionMatch&) { return "match"; }
void put(MessageBatch& batch, const expression::ExtensionMatch& match) {
  batch.put_string(NFTA_MATCH_NAME, match.name);
  batch.put_be32(NFTA_MATCH_REV, match.revision);
  batch.put_bytes(NFTA_MATCH_INFO, match.info);
}

template <typename T>
RegisterValue value_of(const T& data) {
  RegisterValue value;
  static_assert(sizeof(data) <= sizeof(value.bytes));
  std::memcpy(value.bytes.data(), &data, sizeof(data));
  value.size = sizeof(data);
  return value;
}

}  // namespace

RegisterValue RegisterValue::of_u8(std::uint8_t value) { return value_of(value); }
RegisterValue RegisterValue::of_u32(std::uint32_t value) { return value_of(value); }
RegisterValue RegisterValue::of(const Address& address) {
  RegisterValue value = zeros(address.bytes().size());
  std::memcpy(value.bytes.data(), address.bytes().data(), value.size);
  return value;
}
RegisterValue RegisterValue::zeros(std::size_t size) { return {.bytes = {}, .size = size}; }

RegisterValue RegisterValue::of_text(std::string_view text) {
  RegisterValue value;
  value.size = std::min(text.size(), value.bytes.size());
  std::memcpy(value.bytes.data(), text.data(), value.size);
  return value;
}

RegisterValue RegisterValue::of_name(std::string_view name) {
  RegisterValue value = of_text(name);
  value.size = value.bytes.size();
  return value;
}

RegisterValue RegisterValue::prefix_mask(Family family, std::uint16_t prefix_length) {
  RegisterValue mask = zeros(family == Family::kIpv4 ? 4 : 16);
  const std::size_t bits = std::min<std::size_t>(prefix_length, mask.size * 8);
  for (std::size_t bit = 0; bit < bits; ++bit) mask.bytes[bit / 8] |= std::byte{0x80} >> (bit % 8);
  return mask;
}

RegisterValue RegisterValue::operator&(const RegisterValue& mask) const {
  RegisterValue result = *this;
  for (std::size_t i = 0; i < result.size; ++i) result.bytes[i] &= mask.bytes[i];
  return result;
}

void put_expressions(MessageBatch& batch, std::span<const Expression> expressions) {
  put_nest(batch, NFTA_RULE_EXPRESSIONS, [&] {
    for (const Expression& any : expressions) {
      put_nest(batch, NFTA_LIST_ELEM, [&] {
        std::visit(
            [&](const auto& one) {
              batch.put_string(NFTA_EXPR_NAME, name_of(one));
              put_nest(batch, NFTA_EXPR_DATA, [&] { put(batch, one); });
            },
            any);
      });
    }
  });
}

}  // namespace ipvs
