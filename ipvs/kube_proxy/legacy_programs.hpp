// SPDX-License-Identifier: Apache-2.0
//
// Deletes kube-proxy's chains from a table of iptables-legacy with the distribution's
// iptables-legacy-save and iptables-legacy-restore, or iptables-save and -restore where these are
// the legacy ones; for IPv6 ip6tables-*. In one step of the kernel; others who change the table at
// the same moment are kept out by the lock that all iptables-legacy programs take.
//
// Threading: blocks until both programs have ended, 20 s each at most.
// Errors: a line with the program's own message; where there is no program, with the command for
// the operator.
#pragma once

#include <optional>
#include <string>

#include "ipvs/kube_proxy/removal.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

// Precondition: the table exists, else iptables-legacy-save would load its module.
Result<RemovedChains> remove_legacy_chains(const KubeProxyChains& chains);

// Which clients of cluster IPs a table nat masquerades (rules_codec.hpp). The same precondition;
// without the programs nobody knows.
Result<std::optional<std::string>> read_legacy_cluster_ip_clients(const KubeProxyChains& chains);

}  // namespace ipvs
