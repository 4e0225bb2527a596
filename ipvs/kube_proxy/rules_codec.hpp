// SPDX-License-Identifier: Apache-2.0
//
// The members of kube-proxy's ipsets, and its rule for clients of cluster IPs. Pure.
//
// Layout (include/uapi/linux/netfilter/ipset/ip_set.h): struct nfgenmsg, then in each reply to LIST
//
//   IPSET_ATTR_SETNAME, IPSET_ATTR_ADT { IPSET_ATTR_DATA {
//     IPSET_ATTR_IP { IPSET_ATTR_IPADDR_IPV4 or _IPV6 }, IPSET_ATTR_PORT be16, IPSET_ATTR_PROTO u8,
//     IPSET_ATTR_IP2 { the same }, IPSET_ATTR_CIDR2 u8 }}         of sets with a source
//
// The rule, the first of KUBE-SERVICES that leads to KUBE-MARK-MASQ, is one of these:
//
//   [! -s NETWORK | ! -i INTERFACE]  -m set --match-set KUBE-CLUSTER-IP dst,dst
//                                    -m set --match-set KUBE-CLUSTER-IP src,dst
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/kube_proxy_rules.hpp"

namespace ipvs {

void encode_list_members(MessageBatch& batch);
// Adds what the reply says of one set, or a part of it. `payload`: after the nlmsghdr.
void decode_members(Bytes payload, KubeProxyRules& rules);

// In words, as KubeProxyRules has it; nullopt: it is another rule.
std::optional<std::string> decode_cluster_ip_clients(Bytes payload);
// Of the table nat as iptables-save writes it; nullopt: there is no such rule.
std::optional<std::string> parse_cluster_ip_clients(std::string_view saved);

}  // namespace ipvs
