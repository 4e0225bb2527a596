// SPDX-License-Identifier: Apache-2.0
//
// What one Service needs from this node's kernel. Pure: the same inputs always give the same plan,
// so a dry run, a drift repair and a restart are the same call.
//
// Rules (kube-proxy's, pkg/proxy/topology.go and pkg/proxy/ipvs/proxier.go in 1.36, without its
// deviations):
//   - one virtual server per cluster IP, external IP and load balancer IP with each port, and per
//     node address with each node port;
//   - endpoints that are ready; where none is, those that are serving while they terminate; each
//     for all nodes and for this one by itself;
//   - internalTrafficPolicy Local: the cluster IP leads to this node's endpoints, and refuses where
//     there is none;
//   - externalTrafficPolicy Local: external addresses lead to this node's endpoints and drop where
//     there is none, but clients of the cluster are led to the cluster IP with all endpoints by a
//     short cut in nftables (agent/decide/adr-two-endpoint-sets.md);
//   - what has no endpoint anywhere refuses.
#pragma once

#include <string>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "agent/decide/node_view.hpp"
#include "agent/decide/service_options.hpp"
#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

struct PlanOptions {
  ServiceOptions service{};
  // --compat=kube-proxy: a Local policy with no local endpoint falls back to all of them where the
  // Service is exposed, and clients of the cluster get no endpoints of their own.
  bool kube_proxy = false;
  k8s::UnixSeconds now = 0;  // for weights that grow
};

// True for Services that are served at all: not headless, not ExternalName, not labelled headless,
// and ours: the label service.kubernetes.io/service-proxy-name is `proxy_name`, or missing where
// that is empty.
bool is_served(const k8s::Service& service, const std::string& proxy_name = {});

// The endpoints traffic goes to: ready ones, or else those serving while they terminate. Ordered by
// address and port, each once; `local_only` leaves out those on other nodes.
std::vector<ServiceEndpoint> choose_endpoints(const std::vector<ServiceEndpoint>& candidates,
                                              ipvs::Family family, bool local_only);

// Whether a policy of Local, which the Service has, finds no endpoint here though there are some.
struct LacksLocal {
  bool internal = false;
  bool external = false;
  bool operator==(const LacksLocal&) const = default;
};
LacksLocal lacks_local(const k8s::Service& service, const ServiceEndpoints& endpoints);

// The weight of an endpoint by now: what its Pod asks for; with a slow start, a hundred times that,
// reached from a tenth on in equal steps from the second it got ready.
std::uint32_t weight_of(const ServiceEndpoint& endpoint, const PlanOptions& options);
// Whether some weight will be another one a second later.
bool is_ramping(const ServiceEndpoints& endpoints, const PlanOptions& options);

// The external and load balancer addresses a Service asks for, ordered, each once; not those of
// ipMode Proxy.
std::vector<ipvs::Address> external_addresses(const k8s::Service& service);

// Those of them it does not get, each with the reason.
struct RefusedAddress {
  ipvs::Address address{};
  std::string reason{};
};
std::vector<RefusedAddress> refused_addresses(const k8s::Service& service, const NodeView& node);

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
