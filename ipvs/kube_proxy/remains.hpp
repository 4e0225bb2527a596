// SPDX-License-Identifier: Apache-2.0
//
// What kube-proxy leaves in nf_tables, iptables-legacy and ipset when it is stopped and not cleaned
// up. Its chain KUBE-IPVS-FILTER refuses every new flow to an address of kube-ipvs0 whose port is
// not in its ipsets: a port that a Service gets later is refused, without a trace. Other chains
// redirect node ports to Pods that are gone.
//
// Threading: not thread-safe; calls block.
// Errors: as in ipvs/nftables/client.hpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ipvs/kube_proxy/removal.hpp"
#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/host_network.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/kube_proxy_rules.hpp"

namespace ipvs {

class KubeProxyRemains {
 public:
  static Result<KubeProxyRemains> open();

  // Table by table, those of iptables-legacy last. Loads no module.
  Result<std::vector<KubeProxyChains>> read_chains();
  // Whether `nat`, a table of read_chains(), masquerades for Services. At its start kube-proxy makes
  // empty chains; the rules, all at once, follow seconds later.
  Result<bool> masquerades(const KubeProxyChains& nat);
  // In one transaction; of iptables-legacy by its programs (legacy_programs.hpp).
  Result<RemovedChains> remove_chains(const KubeProxyChains& chains);

  // Ordered. Loads no module: none where ip_set is not loaded.
  Result<std::vector<std::string>> read_sets();
  // What its rules do with clients. Precondition: `chains` are those of read_chains().
  Result<KubeProxyRules> read_rules(std::span<const KubeProxyChains> chains);
  // One errno for each; EBUSY: a rule uses it.
  std::vector<int> remove_sets(std::span<const std::string> names);

 private:
  explicit KubeProxyRemains(NetlinkSocket socket);
  // Not of iptables-legacy.
  Result<std::vector<TableRule>> read_table_rules(const KubeProxyChains& chains);
  Result<std::optional<std::string>> read_cluster_ip_clients(const KubeProxyChains& chains);

  NetlinkSocket socket_;
};

}  // namespace ipvs
