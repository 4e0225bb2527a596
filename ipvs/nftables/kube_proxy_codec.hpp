// SPDX-License-Identifier: Apache-2.0
//
// kube-proxy's chains in nf_tables: recognised in a dump of all chains, and deleted. Pure.
//
// Layout (include/uapi/linux/netfilter/nf_tables.h), of a rule `jump KUBE-SERVICES`:
//
//   NEWRULE  NFTA_RULE_TABLE, _CHAIN, _HANDLE,
//            NFTA_RULE_EXPRESSIONS { LIST_ELEM { EXPR_NAME "immediate", EXPR_DATA {
//              IMMEDIATE_DATA { DATA_VERDICT { VERDICT_CODE, VERDICT_CHAIN "KUBE-SERVICES" }}}}}
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/host_network.hpp"

namespace ipvs {

struct ChainName {
  std::uint8_t family = 0;  // NFPROTO_*
  std::string table;
  std::string name;
};
// A rule that leads to another chain of its table.
struct JumpRule {
  std::string chain;  // it is in
  std::uint64_t handle = 0;
  std::string target;
};

// Whether a chain of this name is kube-proxy's alone: in the iptables and ipvs modes. Chains that a
// kubelet makes, too, are not (KUBE-FIREWALL, KUBE-KUBELET-CANARY), and stay.
bool is_kube_proxy_chain(std::string_view name);
// Of all chains of a family those of kube-proxy, table by table. KUBE-MARK-MASQ and
// KUBE-POSTROUTING count where there are others, and the tables of the nftables mode as a whole.
std::vector<KubeProxyChains> kube_proxy_chains(std::span<const ChainName> chains, bool legacy);

// `payload`: after the nlmsghdr.
std::optional<ChainName> decode_chain_name(Bytes payload);
std::optional<JumpRule> decode_jump(Bytes payload);

// Requests a dump of the rules of the table.
void encode_get_table_rules(MessageBatch& batch, const KubeProxyChains& chains);
// One transaction: the rules in `jumps` that lead to the chains from others, then the chains.
MessageBatch encode_remove_chains(const KubeProxyChains& chains, std::span<const JumpRule> jumps);

}  // namespace ipvs
