// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/chain_codec.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <cstring>
#include <string_view>

#include "ipvs/nftables/message.hpp"

namespace ipvs {
namespace {

constexpr std::string_view kOwnTable = "kube-proxy";  // of its nftables mode

constexpr std::uint16_t kWayToTarget[] = {NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT,
                                          NFTA_VERDICT_CHAIN};

AttributeReader attributes(Bytes payload) { return AttributeReader(payload, sizeof(nfgenmsg)); }

std::optional<Attribute> find(Bytes nest, std::uint16_t type) {
  for (AttributeReader reader(nest); const auto found = reader.next();) {
    if (found->type == type) return found;
  }
  return std::nullopt;
}

// What an expression says about its rule.
void read_expression(Bytes expression, TableRule& rule) {
  const auto name = find(expression, NFTA_EXPR_NAME);
  auto nest = find(expression, NFTA_EXPR_DATA);
  if (!name || !nest) return;
  if (name->string() == "match") {
    const auto match = find(nest->payload, NFTA_MATCH_NAME);
    rule.uses_set |= match && match->string() == "set";
  }
  if (name->string() != "immediate") return;
  for (const std::uint16_t type : kWayToTarget) {
    nest = find(nest->payload, type);
    if (!nest) return;
  }
  rule.target = nest->string();
}

void begin(MessageBatch& batch, const KubeProxyChains& chains, int command) {
  begin_nft_message(batch, chains.family, command, 0);
}

}  // namespace

std::optional<ChainName> decode_chain_name(Bytes payload) {
  nfgenmsg header;
  if (payload.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, payload.data(), sizeof(header));
  ChainName chain{.family = header.nfgen_family, .table = {}, .name = {}};
  for (AttributeReader reader = attributes(payload); const auto found = reader.next();) {
    if (found->type == NFTA_CHAIN_TABLE) chain.table = found->string();
    if (found->type == NFTA_CHAIN_NAME) chain.name = found->string();
  }
  if (chain.table.empty() || chain.name.empty()) return std::nullopt;
  return chain;
}

std::optional<TableRule> decode_table_rule(Bytes payload) {
  TableRule rule;
  for (AttributeReader reader = attributes(payload); const auto found = reader.next();) {
    if (found->type == NFTA_RULE_CHAIN) rule.chain = found->string();
    if (found->type == NFTA_RULE_HANDLE) rule.handle = found->be64().value_or(0);
    if (found->type != NFTA_RULE_EXPRESSIONS) continue;
    for (AttributeReader list(found->payload); const auto expression = list.next();) {
      read_expression(expression->payload, rule);
    }
  }
  if (rule.chain.empty() || rule.handle == 0) return std::nullopt;
  return rule;
}

void encode_get_table_rules(MessageBatch& batch, const KubeProxyChains& chains) {
  begin(batch, chains, NFT_MSG_GETRULE);
  batch.put_string(NFTA_RULE_TABLE, chains.table);
}

MessageBatch encode_remove_chains(const KubeProxyChains& chains, const ChainRemoval& removal) {
  MessageBatch batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  if (chains.table == kOwnTable) {
    begin(batch, chains, NFT_MSG_DELTABLE);
    batch.put_string(NFTA_TABLE_NAME, chains.table);
    put_nft_boundary(batch, NFNL_MSG_BATCH_END);
    return batch;
  }
  for (const TableRule& rule : removal.rules) {
    begin(batch, chains, NFT_MSG_DELRULE);
    batch.put_string(NFTA_RULE_TABLE, chains.table);
    batch.put_string(NFTA_RULE_CHAIN, rule.chain);
    batch.put_be64(NFTA_RULE_HANDLE, rule.handle);
  }
  // All rules first, because the chains lead to each other.
  for (const std::string& name : removal.emptied) {
    begin(batch, chains, NFT_MSG_DELRULE);
    batch.put_string(NFTA_RULE_TABLE, chains.table);
    batch.put_string(NFTA_RULE_CHAIN, name);
  }
  for (const std::string& name : removal.deleted) {
    begin(batch, chains, NFT_MSG_DELCHAIN);
    batch.put_string(NFTA_CHAIN_TABLE, chains.table);
    batch.put_string(NFTA_CHAIN_NAME, name);
  }
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  return batch;
}

}  // namespace ipvs
