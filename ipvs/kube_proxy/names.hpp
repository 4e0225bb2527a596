// SPDX-License-Identifier: Apache-2.0
//
// By which names kube-proxy's chains and ipsets are known, all modes of 1.20 to 1.37. Pure.
//
// Others have names that look alike and stay: a kubelet (KUBE-FIREWALL of the table filter,
// KUBE-MARK-DROP, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT), kube-router (KUBE-ROUTER-*,
// KUBE-NWPLCY-*, KUBE-POD-FW-*, and ipsets KUBE-SRC-*, KUBE-DST-*), Calico (cali40*).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/nftables/legacy_tables.hpp"
#include "ipvs/state/host_network.hpp"

namespace ipvs {

// The one of the table nat that says what of Services is masqueraded.
inline constexpr std::string_view kServicesChain = "KUBE-SERVICES";

// Whether a chain of this name is kube-proxy's alone: in the iptables and ipvs modes.
bool is_kube_proxy_chain(std::string_view name);
// Kubelets before 1.28 make these two as well, and CNI plugins may lead to them.
bool is_shared_chain(std::string_view name);
// Of all chains of a family those of kube-proxy, table by table. The shared ones count where there
// are others, and so does KUBE-FIREWALL of the table nat, which ipvs mode made until 1.25; the
// tables of the nftables mode count as a whole.
std::vector<KubeProxyChains> kube_proxy_chains(std::span<const ChainName> chains, bool legacy);

// Whether an ipset of this name is one of the 17 that ipvs mode makes for each family, or one that
// a release of 1.20 or later made in their place.
bool is_kube_proxy_set(std::string_view name);
// "CLUSTER-IP" of KUBE-CLUSTER-IP and KUBE-6-CLUSTER-IP; "": it is none of these.
std::string_view kube_proxy_set_kind(std::string_view name);

// What deletes them from a table of iptables-legacy, for the operator.
std::string legacy_command(const KubeProxyChains& chains);

}  // namespace ipvs
