// SPDX-License-Identifier: Apache-2.0
//
// From the node's interfaces and its Node object to what the planner must know of the node. Pure.
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

// What the planner must know of this node.
struct NodeView {
  // Where node ports are served.
  std::vector<ipvs::Address> node_port_addresses;
  // On interfaces of this node other than kube-ipvs0: such an address is served, but never bound by
  // us.
  std::set<ipvs::Address> own_addresses;
  // Another Node's addresses and this node's gateways, with what they are ("the address of Node
  // worker-2"): never served, whoever asks for them.
  std::map<ipvs::Address, std::string> others_addresses;
  bool operator==(const NodeView&) const = default;
};

// The node's primary address of that family: --bind-address where it is a real one of that family,
// else the Node's first InternalIP, else its first ExternalIP, else (no Node object) the first
// global address found.
std::optional<ipvs::Address> primary_address(ipvs::Family family, const config::Config& config,
                                             const k8s::Node* node,
                                             const std::vector<ipvs::LocalAddress>& local);

// Node ports are served on every address of the node, or those inside --nodeport-addresses, or the
// primary ones; never on VIPs, loopback or link-local addresses (which `local` does not contain).
NodeView make_node_view(const config::Config& config, const k8s::Node* node,
                        const std::vector<ipvs::LocalAddress>& local);

}  // namespace agent
