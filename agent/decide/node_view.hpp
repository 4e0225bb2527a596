// SPDX-License-Identifier: Apache-2.0
//
// What the planner must know of this node, from its interfaces and its Node object. Pure.
#pragma once

#include <optional>
#include <vector>

#include "agent/decide/address_policy.hpp"
#include "config/config.hpp"
#include "ipvs/state/host_network.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

struct NodeView {
  // Where node ports are served.
  std::vector<ipvs::Address> node_port_addresses;
  // Whose the addresses are that Services ask for.
  AddressPolicy addresses;
};

// The node's primary address of the family: --bind-address unless it is unspecified, else the
// Node's first InternalIP, else its first ExternalIP, else the first global address of an
// interface that is not in 169.254.0.0/16.
std::optional<ipvs::Address> primary_address(ipvs::Family family, const config::Config& config,
                                             const k8s::Node* node,
                                             const std::vector<ipvs::LocalAddress>& local);

// Node ports are served on every address of the node, or on those that --nodeport-addresses names:
// inside its networks, and with the word primary the primary ones. Never on VIPs, loopback or IPv6
// link-local addresses, which `local` must not contain (for loopback addresses see
// agent/decide/localhost_ports.hpp). The policy knows the own addresses only.
NodeView make_node_view(const config::Config& config, const k8s::Node* node,
                        const std::vector<ipvs::LocalAddress>& local);

}  // namespace agent
