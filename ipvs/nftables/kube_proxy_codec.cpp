// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/kube_proxy_codec.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "ipvs/nftables/message.hpp"

namespace ipvs {
namespace {

constexpr std::string_view kOwnTable = "kube-proxy";  // of its nftables mode

constexpr std::string_view kNames[] = {
    "KUBE-SERVICES",        "KUBE-EXTERNAL-SERVICES",     "KUBE-NODEPORTS",
    "KUBE-NODE-PORT",       "KUBE-LOAD-BALANCER",         "KUBE-FORWARD",
    "KUBE-PROXY-CANARY",    "KUBE-PROXY-FIREWALL",        "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER", "KUBE-SOURCE-RANGES-FIREWALL"};
constexpr std::string_view kPrefixes[] = {"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-",
                                          "KUBE-EXT-", "KUBE-XLB-", "KUBE-FW-"};
// Older kubelets make them, too; alone they do nothing.
constexpr std::string_view kHelpers[] = {"KUBE-MARK-MASQ", "KUBE-POSTROUTING"};

constexpr std::uint16_t kWayToTarget[] = {NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT,
                                          NFTA_VERDICT_CHAIN};

template <typename Range>
bool contains(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

AttributeReader attributes(Bytes payload) { return AttributeReader(payload, sizeof(nfgenmsg)); }

std::optional<Attribute> find(Bytes nest, std::uint16_t type) {
  for (AttributeReader reader(nest); const auto found = reader.next();) {
    if (found->type == type) return found;
  }
  return std::nullopt;
}

// The chain that an expression leads to; "" if it leads nowhere.
std::string target_of(Bytes expression) {
  const auto name = find(expression, NFTA_EXPR_NAME);
  if (!name || name->string() != "immediate") return {};
  auto nest = find(expression, NFTA_EXPR_DATA);
  for (const std::uint16_t type : kWayToTarget) {
    if (!nest) return {};
    nest = find(nest->payload, type);
  }
  return nest ? std::string(nest->string()) : std::string();
}

void begin(MessageBatch& batch, const KubeProxyChains& chains, int command) {
  begin_nft_message(batch, chains.family, command, 0);
}

}  // namespace

bool is_kube_proxy_chain(std::string_view name) {
  return contains(kNames, name) ||
         std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::vector<KubeProxyChains> kube_proxy_chains(std::span<const ChainName> chains, bool legacy) {
  std::map<std::pair<std::uint8_t, std::string>, std::set<std::string>> certain, possible;
  for (const ChainName& chain : chains) {
    if (chain.family != NFPROTO_IPV4 && chain.family != NFPROTO_IPV6) continue;
    const std::pair table(chain.family, chain.table);
    if (is_kube_proxy_chain(chain.name) || (!legacy && chain.table == kOwnTable)) {
      certain[table].insert(chain.name);
    } else if (contains(kHelpers, chain.name)) {
      possible[table].insert(chain.name);
    }
  }
  std::vector<KubeProxyChains> found;
  for (auto& [table, names] : certain) {
    names.merge(possible[table]);
    found.push_back({.family = table.first,
                     .table = table.second,
                     .names = {names.begin(), names.end()},
                     .legacy = legacy});
  }
  return found;
}

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

std::optional<JumpRule> decode_jump(Bytes payload) {
  JumpRule rule;
  for (AttributeReader reader = attributes(payload); const auto found = reader.next();) {
    if (found->type == NFTA_RULE_CHAIN) rule.chain = found->string();
    if (found->type == NFTA_RULE_HANDLE) rule.handle = found->be64().value_or(0);
    if (found->type != NFTA_RULE_EXPRESSIONS) continue;
    for (AttributeReader list(found->payload); const auto expression = list.next();) {
      const std::string target = target_of(expression->payload);
      if (!target.empty()) rule.target = target;
    }
  }
  if (rule.target.empty() || rule.handle == 0) return std::nullopt;
  return rule;
}

void encode_get_table_rules(MessageBatch& batch, const KubeProxyChains& chains) {
  begin(batch, chains, NFT_MSG_GETRULE);
  batch.put_string(NFTA_RULE_TABLE, chains.table);
}

MessageBatch encode_remove_chains(const KubeProxyChains& chains, std::span<const JumpRule> jumps) {
  MessageBatch batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  if (chains.table == kOwnTable) {
    begin(batch, chains, NFT_MSG_DELTABLE);
    batch.put_string(NFTA_TABLE_NAME, chains.table);
    put_nft_boundary(batch, NFNL_MSG_BATCH_END);
    return batch;
  }
  for (const JumpRule& jump : jumps) {
    if (!contains(chains.names, jump.target) || contains(chains.names, jump.chain)) continue;
    begin(batch, chains, NFT_MSG_DELRULE);
    batch.put_string(NFTA_RULE_TABLE, chains.table);
    batch.put_string(NFTA_RULE_CHAIN, jump.chain);
    batch.put_be64(NFTA_RULE_HANDLE, jump.handle);
  }
  // All rules first, because the chains lead to each other.
  for (const std::string& name : chains.names) {
    begin(batch, chains, NFT_MSG_DELRULE);
    batch.put_string(NFTA_RULE_TABLE, chains.table);
    batch.put_string(NFTA_RULE_CHAIN, name);
  }
  for (const std::string& name : chains.names) {
    begin(batch, chains, NFT_MSG_DELCHAIN);
    batch.put_string(NFTA_CHAIN_TABLE, chains.table);
    batch.put_string(NFTA_CHAIN_NAME, name);
  }
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  return batch;
}

}  // namespace ipvs
