// SPDX-License-Identifier: Apache-2.0
//
// --nodeport-addresses=localhost: which node ports are served on 127.0.0.1 and ::1, and where a
// connection there is led. IPVS cannot do that (agent/relay/adr-relay.md), so the agent relays. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/decide/node_view.hpp"
#include "config/config.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

// Node ports are served on the loopback address of the family: the word localhost was given, or a
// network of loopback addresses. Neither "all" nor 0.0.0.0/0 asks for that, as in KEP-6032.
bool serves_localhost(const config::Config& config, ipvs::Family family);

struct LocalhostPort {
  ipvs::Endpoint listen{};  // 127.0.0.1 or ::1, and the node port
  // A virtual server of this Service and port, by which IPVS chooses the endpoint.
  ipvs::Endpoint target{};
  bool operator==(const LocalhostPort&) const = default;
};

// Of TCP ports only, in the families that the Service has a cluster IP of.
//
// The target is the cluster IP: it has all endpoints, which is what clients on this host get at a
// node port, too. Where it has others (internalTrafficPolicy, or --compat=kube-proxy with
// externalTrafficPolicy Local), it is the node port itself on an address of this node; if none
// serves node ports, the cluster IP after all.
std::vector<LocalhostPort> localhost_ports(const k8s::Service& service, const NodeView& node,
                                           const config::Config& config);

}  // namespace agent
