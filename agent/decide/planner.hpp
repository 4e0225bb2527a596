// SPDX-License-Identifier: Apache-2.0
//
// What one Service needs from this node's kernel. Pure: the same inputs always give the same plan,
// so changes, drift repair and restarts share one code path.
//
// Rules (kube-proxy's, pkg/proxy/topology.go and pkg/proxy/ipvs/proxier.go in 1.36; the deviations
// of its ipvs mode only with --compat=kube-proxy):
//   - One virtual server for each port at each cluster IP, external IP and load balancer IP, and
//     one for each node port at each node address.
//   - Its destinations are the ready endpoints, or, if none is ready, the terminating ones that
//     still serve. The choice is made separately for all nodes and for this node.
//   - internalTrafficPolicy Local: the cluster IP has this node's endpoints only, and refuses
//     connections if there is none.
//   - externalTrafficPolicy Local: external addresses have this node's endpoints only, and drop
//     packets if there is none; clients in the cluster are redirected to the cluster IP, which has
//     all endpoints, by a short cut in nftables (agent/decide/adr-two-endpoint-sets.md).
//   - A Service without any endpoint refuses connections.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "agent/decide/entrances.hpp"
#include "agent/decide/node_view.hpp"
#include "agent/decide/service_options.hpp"
#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

struct PlanOptions {
  ServiceOptions service{};
  // --compat=kube-proxy: a Local policy without a local endpoint falls back to all endpoints if the
  // Service is exposed (type NodePort or LoadBalancer, or with external IPs), and there are no
  // short cuts.
  bool kube_proxy = false;
  MonotonicSeconds now = 0;  // for slow start
  // --cluster-cidr. An endpoint in none of a family's is a node's own: hostNetwork.
  std::span<const ipvs::Network> cluster_cidrs{};
};

// Whether the agent serves this Service: it has cluster IPs, is not ExternalName, and its label
// service.kubernetes.io/service-proxy-name is `proxy_name`, or missing if that is empty. The label
// service.kubernetes.io/headless says something of EndpointSlices only, as in kube-proxy since 1.31.
bool is_served(const k8s::Service& service, const std::string& proxy_name = {});

// Whether what the Service asks for may be the address of another Node: it is served at an external
// IP or a load balancer IP. What the API server allocates, cluster IPs and node ports, is never one.
bool may_ask_for_nodes(const k8s::Service& service, const std::string& proxy_name = {});

// Whether the Service has a healthCheckNodePort: it is of type LoadBalancer, with
// externalTrafficPolicy Local.
bool has_health_check(const k8s::Service& service);
// The load balancer IPs on which such a port is answered: those that this node serves.
std::vector<ipvs::Address> health_checked_addresses(const k8s::Service& service,
                                                    const NodeView& node);

// The endpoints that receive traffic: the ready ones, or, if none is ready, the terminating ones
// that still serve. Ordered by address and port, without duplicates; `local_only`: this node's
// only.
std::vector<ServiceEndpoint> choose_endpoints(const std::vector<ServiceEndpoint>& candidates,
                                              ipvs::Family family, bool local_only);
// Orders the endpoints of each port by address and port. choose_endpoints(), which is called several
// times for a Service, then has nothing left to order.
void order_endpoints(ServiceEndpoints& endpoints);

// Whether the Service has a policy of Local, no endpoint on this node, and some on other nodes.
struct LacksLocal {
  bool internal = false;
  bool external = false;
  bool operator==(const LacksLocal&) const = default;
};
LacksLocal lacks_local(const k8s::Service& service, const ServiceEndpoints& endpoints,
                       ipvs::Family family);

// Current weight. Without slow start, the Pod's weight. With it, the weight is scaled by 100 (65535
// at most) and ramps linearly from 10 % to 100 % after the endpoint becomes ready.
std::uint32_t weight_of(const ServiceEndpoint& endpoint, const PlanOptions& options);
// Whether the weight of some endpoint is still ramping, so that the Service must be planned again
// in a second.
bool is_ramping(const ServiceEndpoints& endpoints, const PlanOptions& options);

// Preconditions: is_served(service); `endpoints` has one entry per port.
ipvs::ServicePlan plan_service(const k8s::Service& service, const ServiceEndpoints& endpoints,
                               const NodeView& node, const PlanOptions& options);

}  // namespace agent
