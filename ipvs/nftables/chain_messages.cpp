// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/chain_messages.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>

#include "ipvs/nftables/message.hpp"

namespace ipvs {

void put_chain(MessageBatch& batch, std::string_view table, const Chain& chain) {
  begin_nft_message(batch, NFPROTO_INET, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
  batch.put_string(NFTA_CHAIN_TABLE, table);
  batch.put_string(NFTA_CHAIN_NAME, chain.name);
  if (!chain.hook) return;
  batch.put_string(NFTA_CHAIN_TYPE, chain.hook->type);
  const std::size_t hook = batch.begin_nest(NFTA_CHAIN_HOOK);
  batch.put_be32(NFTA_HOOK_HOOKNUM, chain.hook->number);
  batch.put_be32(NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(chain.hook->priority));
  batch.end_nest(hook);
  batch.put_be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
}

void put_rule(MessageBatch& batch, std::string_view table, const Rule& rule) {
  begin_nft_message(batch, NFPROTO_INET, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  batch.put_string(NFTA_RULE_TABLE, table);
  batch.put_string(NFTA_RULE_CHAIN, rule.chain);
  put_expressions(batch, rule.expressions);
}

}  // namespace ipvs
