// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/kube_proxy_rules.hpp"

#include <algorithm>

namespace ipvs {
namespace {

std::string text_of(const Network& network) {
  return network.address.to_string() + "/" + std::to_string(network.prefix_length);
}

bool is_within_another(const Network& network, const std::set<Network>& networks) {
  return std::any_of(networks.begin(), networks.end(), [&](const Network& each) {
    return each.prefix_length < network.prefix_length &&
           is_in(network.address, each.address, each.prefix_length);
  });
}

}  // namespace

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

std::string SourceLimits::clients(const ServerKey& key) const {
  if (!limited.contains(key)) return kAllClients;
  const auto found = allowed.find(key);
  return found == allowed.end() ? kNoClients : clients_inside(found->second, key.address);
}

std::string clients_outside(const std::set<Network>& networks) {
  std::string text = "clients outside ";
  const char* before = "";
  for (const Network& each : networks) {
    text += before + text_of(each);
    before = ", ";
  }
  return text;
}

std::string clients_not_from(std::string_view interface) {
  return "clients that do not come from " + std::string(interface);
}

std::string clients_inside(const std::set<Network>& networks, const Address& own) {
  std::string text;
  std::string this_node;
  for (const Network& each : networks) {
    if (is_within_another(each, networks)) continue;
    if (each.address == own) {
      this_node = "this node";
    } else {
      text += (text.empty() ? "clients in " : ", ") + text_of(each);
    }
  }
  if (!text.empty() && !this_node.empty()) text += ", ";
  text += this_node;
  return text.empty() ? kNoClients : text;
}

}  // namespace ipvs
