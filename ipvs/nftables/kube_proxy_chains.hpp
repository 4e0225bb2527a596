// SPDX-License-Identifier: Apache-2.0
//
// What kube-proxy leaves in nf_tables and iptables-legacy when it is stopped and not cleaned up.
// Its chain KUBE-IPVS-FILTER refuses every new flow to an address of kube-ipvs0 whose port is not in
// its ipsets: a port that a Service gets later is refused, without a trace. Other chains redirect
// node ports to Pods that are gone.
//
// Threading: not thread-safe; calls block.
// Errors: as in ipvs/nftables/client.hpp.
#pragma once

#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/host_network.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

class KubeProxyRules {
 public:
  static Result<KubeProxyRules> open();

  // Table by table, those of iptables-legacy last. Loads no module.
  Result<std::vector<KubeProxyChains>> read();
  // In one transaction. Not for legacy tables, which can only be replaced as a whole: EOPNOTSUPP.
  int remove(const KubeProxyChains& chains);

 private:
  explicit KubeProxyRules(NetlinkSocket socket);

  NetlinkSocket socket_;
};

}  // namespace ipvs
