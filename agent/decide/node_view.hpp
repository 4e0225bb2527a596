// SPDX-License-Identifier: Apache-2.0
//
// What the planner must know of this node, from its interfaces and its Node object. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "ipvs/state/host_network.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

struct NodeView {
  // Where node ports are served.
  std::vector<ipvs::Address> node_port_addresses;
  // On interfaces of this node other than kube-ipvs0. Such an address is served if a Service asks
  // for it, but never added to kube-ipvs0.
  std::set<ipvs::Address> own_addresses;
  // Addresses that belong to another Node or a gateway, with their owner ("the address of Node
  // worker-2"). Never served, even if a Service asks for them.
  std::map<ipvs::Address, std::string> others_addresses;
  bool operator==(const NodeView&) const = default;
};

// The node's primary address of the family: --bind-address unless it is unspecified, else the
// Node's first InternalIP, else its first ExternalIP, else the first global address of an
// interface.
std::optional<ipvs::Address> primary_address(ipvs::Family family, const config::Config& config,
                                             const k8s::Node* node,
                                             const std::vector<ipvs::LocalAddress>& local);

// Node ports are served on every address of the node, on those inside --nodeport-addresses, or on
// the primary ones; never on VIPs, loopback or link-local addresses, which `local` must not
// contain. Leaves others_addresses empty.
NodeView make_node_view(const config::Config& config, const k8s::Node* node,
                        const std::vector<ipvs::LocalAddress>& local);

}  // namespace agent
