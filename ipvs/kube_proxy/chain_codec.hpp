// SPDX-License-Identifier: Apache-2.0
//
// Chains and rules of nf_tables that kube-proxy made: from and to messages. Pure.
//
// Layout (include/uapi/linux/netfilter/nf_tables.h, nf_tables_compat.h), of a rule
// `-m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ` as iptables-nft writes it:
//
//   NEWRULE  NFTA_RULE_TABLE, _CHAIN, _HANDLE,
//            NFTA_RULE_EXPRESSIONS {
//              LIST_ELEM { EXPR_NAME "match", EXPR_DATA { MATCH_NAME "set", MATCH_REV, MATCH_INFO }}
//              LIST_ELEM { EXPR_NAME "counter", EXPR_DATA ... }
//              LIST_ELEM { EXPR_NAME "immediate", EXPR_DATA {
//                IMMEDIATE_DATA { DATA_VERDICT { VERDICT_CODE, VERDICT_CHAIN "KUBE-MARK-MASQ" }}}}}
#pragma once

#include <optional>

#include "ipvs/kube_proxy/removal.hpp"
#include "ipvs/netlink/message.hpp"
#include "ipvs/nftables/legacy_tables.hpp"

namespace ipvs {

// `payload`: after the nlmsghdr.
std::optional<ChainName> decode_chain_name(Bytes payload);
std::optional<TableRule> decode_table_rule(Bytes payload);

// Requests a dump of the rules of the table.
void encode_get_table_rules(MessageBatch& batch, const KubeProxyChains& chains);
// One transaction. A table of the nftables mode is deleted as a whole.
MessageBatch encode_remove_chains(const KubeProxyChains& chains, const ChainRemoval& removal);

}  // namespace ipvs
