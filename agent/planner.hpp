// SPDX-License-Identifier: Apache-2.0
//
// What one Service needs from this node's kernel. Pure: the same inputs always give the same plan,
// so a dry run, a drift repair and a restart are the same call.
//
// Rules (kube-proxy's, pkg/proxy/topology.go and pkg/proxy/ipvs/proxier.go in 1.36):
//   - one virtual server per cluster IP, external IP and load balancer IP with each port, and per
//   node address
//     with each node port;
//   - endpoints that are ready; where none is, those that are serving while they terminate;
//   - traffic policy Local: the endpoints on this node only, with no way out to others.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/endpoints.hpp"
#include "ipvs/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

// What the planner must know of this node.
struct NodeView {
  // Where node ports are served.
  std::vector<ipvs::Address> node_port_addresses;
  // On interfaces of this node other than kube-ipvs0: such an address is served, but never bound by
  // us.
  std::set<ipvs::Address> own_addresses;
  bool operator==(const NodeView&) const = default;
};

struct PlanOptions {
  std::string scheduler = "rr";
};

// True for Services that are served at all: not headless, not ExternalName, not claimed by another
// proxy (label service.kubernetes.io/service-proxy-name) nor labelled headless.
bool is_served(const k8s::Service& service);

// The endpoints traffic goes to: ready ones, or else those serving while they terminate. Ordered by
// address and port, each once; `local_only` leaves out those on other nodes.
std::vector<ServiceEndpoint> choose_endpoints(const std::vector<ServiceEndpoint>& candidates,
                                              ipvs::Family family, bool local_only);

// Preconditions: is_served(service); `endpoints` has one entry per port.
ipvs::ServicePlan plan_service(const k8s::Service& service, const ServiceEndpoints& endpoints,
                               const NodeView& node, const PlanOptions& options);

// The virtual servers of a Service, with the index of the port each is for; what plan_service()
// makes, without endpoints.
struct ServerOfPort {
  ipvs::ServerKey key{};
  std::size_t port_index = 0;
};
std::vector<ServerOfPort> servers_of(const k8s::Service& service, const NodeView& node);

ipvs::Protocol to_ipvs(k8s::Protocol protocol);

}  // namespace agent
