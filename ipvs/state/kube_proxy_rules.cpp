// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/kube_proxy_rules.hpp"

namespace ipvs {

// In the order of kube-proxy's rules.
std::optional<std::string> KubeProxyRules::masqueraded(const ServerKey& key) const {
  if (external_local.contains(key)) return kNoClients;
  if (external.contains(key)) return kAllClients;
  if (cluster_ips.contains(key)) {
    const auto found = cluster_ip_clients.find(family_of(key.address));
    if (found == cluster_ip_clients.end()) return std::nullopt;
    return found->second;
  }
  const Port port(key.port, key.protocol);
  return node_ports.contains(port) && !node_ports_local.contains(port) ? kAllClients : kNoClients;
}

std::string clients_outside(const std::set<Network>& networks) {
  std::string text = "clients outside ";
  const char* before = "";
  for (const Network& each : networks) {
    text += before + each.address.to_string() + "/" + std::to_string(each.prefix_length);
    before = ", ";
  }
  return text;
}

}  // namespace ipvs
