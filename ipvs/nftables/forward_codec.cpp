// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/forward_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_conntrack.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "ipvs/nftables/expressions.hpp"
#include "ipvs/nftables/message.hpp"
#include "ipvs/nftables/table.hpp"

namespace ipvs {
namespace {

constexpr std::string_view kComment = "kube-ipvs: replies of endpoints";
constexpr std::uint8_t kUserDataComment = 0;  // NFTNL_UDATA_RULE_COMMENT
constexpr std::uint32_t kReplies =
    NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);

std::vector<std::byte> comment() {
  std::vector<std::byte> bytes{std::byte{kUserDataComment}, std::byte{kComment.size() + 1}};
  for (const char c : kComment) bytes.push_back(static_cast<std::byte>(c));
  bytes.push_back(std::byte{0});
  return bytes;
}

// The chains of iptables-nft, which refuses to list a chain that has a rule it cannot read.
bool is_iptables(const ForwardChain& chain) {
  return chain.family != NFPROTO_INET && chain.table == "filter" && chain.name == "FORWARD";
}

expression::ExtensionMatch replies_as_iptables() {
  xt_conntrack_mtinfo3 info{};
  info.match_flags = XT_CONNTRACK_STATE;
  info.state_mask = kReplies;
  // XT_ALIGN() of the kernel's headers is C in some of their versions.
  constexpr std::size_t kUnit = alignof(_xt_align);
  std::vector<std::byte> bytes((sizeof(info) + kUnit - 1) / kUnit * kUnit);
  std::memcpy(bytes.data(), &info, sizeof(info));
  return {.name = "conntrack", .revision = 3, .info = std::move(bytes)};
}

Expressions accept_replies(const ForwardChain& chain) {
  Expressions expressions;
  if (is_iptables(chain)) {
    expressions.push_back(replies_as_iptables());
  } else {
    const RegisterValue none = RegisterValue::zeros(sizeof(std::uint32_t));
    expressions.push_back(expression::LoadConntrack{.key = NFT_CT_STATE, .to = NFT_REG_1});
    expressions.push_back(expression::Bitwise{
        .in_place = NFT_REG_1, .mask = RegisterValue::of_u32(kReplies), .flip = none});
    expressions.push_back(
        expression::Compare{.operation = NFT_CMP_NEQ, .from = NFT_REG_1, .value = none});
  }
  expressions.push_back(expression::Verdict{.code = NF_ACCEPT, .chain = {}});
  return expressions;
}

void begin_rule(MessageBatch& batch, const ForwardChain& chain, int command, int flags) {
  begin_nft_message(batch, chain.family, command, flags);
  batch.put_string(NFTA_RULE_TABLE, chain.table);
  batch.put_string(NFTA_RULE_CHAIN, chain.name);
}

// The message's attributes; none where it is shorter than its header.
AttributeReader attributes(Bytes payload) { return AttributeReader(payload, sizeof(nfgenmsg)); }

std::optional<std::uint32_t> number_of_hook(Bytes nest) {
  for (AttributeReader reader(nest); const auto found = reader.next();) {
    if (found->type == NFTA_HOOK_HOOKNUM) return found->be32();
  }
  return std::nullopt;
}

}  // namespace

void encode_get_chains(MessageBatch& batch) {
  begin_nft_message(batch, NFPROTO_UNSPEC, NFT_MSG_GETCHAIN, 0);
}

void encode_get_rules(MessageBatch& batch, const ForwardChain& chain) {
  begin_rule(batch, chain, NFT_MSG_GETRULE, 0);
}

MessageBatch encode_accept_replies(const ForwardChain& chain) {
  MessageBatch batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  begin_rule(batch, chain, NFT_MSG_NEWRULE, NLM_F_CREATE);  // without NLM_F_APPEND: the first
  put_expressions(batch, accept_replies(chain));
  batch.put_bytes(NFTA_RULE_USERDATA, comment());
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  return batch;
}

MessageBatch encode_withdraw(const ForwardChain& chain) {
  MessageBatch batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  for (const std::uint64_t handle : chain.our_rules) {
    begin_rule(batch, chain, NFT_MSG_DELRULE, 0);
    batch.put_be64(NFTA_RULE_HANDLE, handle);
  }
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  return batch;
}

std::optional<ForwardChain> decode_forward_chain(Bytes payload) {
  nfgenmsg header;
  if (payload.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, payload.data(), sizeof(header));
  const std::uint8_t family = header.nfgen_family;
  if (family != NFPROTO_IPV4 && family != NFPROTO_IPV6 && family != NFPROTO_INET) {
    return std::nullopt;
  }
  ForwardChain chain{.family = family, .table = {}, .name = {}};
  std::optional<std::uint32_t> hook;
  bool filters = false;
  for (AttributeReader reader = attributes(payload); const auto found = reader.next();) {
    if (found->type == NFTA_CHAIN_TABLE) chain.table = found->string();
    if (found->type == NFTA_CHAIN_NAME) chain.name = found->string();
    if (found->type == NFTA_CHAIN_TYPE) filters = found->string() == "filter";
    if (found->type == NFTA_CHAIN_HOOK) hook = number_of_hook(found->payload);
    if (found->type == NFTA_CHAIN_POLICY) chain.drops = found->be32() == NF_DROP;
  }
  const bool ours = family == NFPROTO_INET && chain.table == kTableName;
  if (hook != NF_INET_FORWARD || !filters || ours) return std::nullopt;
  return chain;
}

std::optional<std::uint64_t> decode_our_rule(Bytes payload) {
  std::optional<std::uint64_t> handle;
  bool ours = false;
  const std::vector<std::byte> mine = comment();
  for (AttributeReader reader = attributes(payload); const auto found = reader.next();) {
    if (found->type == NFTA_RULE_HANDLE) handle = found->be64();
    if (found->type == NFTA_RULE_USERDATA) {
      ours = std::search(found->payload.begin(), found->payload.end(), mine.begin(), mine.end()) !=
             found->payload.end();
    }
  }
  return ours ? handle : std::nullopt;
}

bool concerns_forwarding(std::uint16_t message_type, Bytes payload) {
  if (NFNL_SUBSYS_ID(message_type) != NFNL_SUBSYS_NFTABLES) return false;
  switch (NFNL_MSG_TYPE(message_type)) {
    case NFT_MSG_NEWCHAIN:
      return decode_forward_chain(payload).has_value();
    case NFT_MSG_DELRULE:
      return decode_our_rule(payload).has_value();
    default:
      return false;
  }
}

}  // namespace ipvs
