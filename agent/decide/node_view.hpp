// SPDX-License-Identifier: Apache-2.0
//
// From the node's interfaces and its Node object to what the planner must know of the node. Pure.
#pragma once

#include <optional>
#include <vector>

#include "agent/decide/planner.hpp"
#include "config/config.hpp"
#include "ipvs/host/local_addresses.hpp"

namespace agent {

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
