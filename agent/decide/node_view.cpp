// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/node_view.hpp"

#include <algorithm>
#include <utility>

#include "ipvs/state/networks.hpp"

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Family;

std::optional<Address> node_ip(Family family, const k8s::Node& node) {
  for (const auto type : {k8s::NodeAddressType::kInternalIp, k8s::NodeAddressType::kExternalIp}) {
    for (const k8s::NodeAddress& candidate : node.addresses) {
      if (candidate.type == type && ipvs::family_of(candidate.address) == family) {
        return candidate.address;
      }
    }
  }
  return std::nullopt;
}

bool serves_node_ports(const Address& address, const config::Config& config, const k8s::Node* node,
                       const std::vector<ipvs::LocalAddress>& local) {
  if (config.nodeport_addresses_all) return true;
  if (config.nodeport_addresses_primary &&
      address == primary_address(ipvs::family_of(address), config, node, local)) {
    return true;
  }
  // Each word stands for networks of both families (KEP-6032), localhost for none that is in `local`.
  // A family without a word and a network is served on all of its addresses, as in kube-proxy.
  const auto& networks = config.nodeport_addresses;
  const bool restricted =
      config.nodeport_addresses_primary || config.nodeport_addresses_localhost ||
      std::any_of(networks.begin(), networks.end(),
                  [&](const auto& network) { return network.address.is_v4() == address.is_v4(); });
  return !restricted || std::any_of(networks.begin(), networks.end(), [&](const auto& network) {
    return ipvs::is_in(address, network.address, network.prefix_length);
  });
}

}  // namespace

std::optional<Address> primary_address(Family family, const config::Config& config,
                                       const k8s::Node* node,
                                       const std::vector<ipvs::LocalAddress>& local) {
  const Address bind = config.bind_address;
  if (!bind.is_unspecified() && ipvs::family_of(bind) == family) return bind;
  if (node) {
    if (const auto address = node_ip(family, *node)) return address;
  }
  for (const ipvs::LocalAddress& candidate : local) {
    const bool is_global = candidate.scope == 0 && !candidate.address.is_link_local();
    if (is_global && ipvs::family_of(candidate.address) == family) {
      return candidate.address;
    }
  }
  return std::nullopt;
}

NodeView make_node_view(const config::Config& config, const k8s::Node* node,
                        const std::vector<ipvs::LocalAddress>& local) {
  NodeView view;
  AddressPolicy::Addresses own;
  for (const ipvs::LocalAddress& candidate : local) {
    own.insert(candidate.address);
    if (serves_node_ports(candidate.address, config, node, local)) {
      view.node_port_addresses.push_back(candidate.address);
    }
  }
  std::sort(view.node_port_addresses.begin(), view.node_port_addresses.end());
  view.node_port_addresses.erase(
      std::unique(view.node_port_addresses.begin(), view.node_port_addresses.end()),
      view.node_port_addresses.end());
  view.addresses.set_own(std::move(own));
  return view;
}

}  // namespace agent
