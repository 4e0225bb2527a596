// SPDX-License-Identifier: Apache-2.0
#include "agent/planner.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::TrafficClass;

// One address and port traffic may come in by.
struct Entrance {
  Address address;
  std::uint16_t port = 0;
  TrafficClass traffic_class = TrafficClass::kClusterIp;
  bool local_only = false;
  bool is_node_port = false;
};

bool is_usable_endpoint(const Address& address) {
  return !address.is_unspecified() && !address.is_multicast();
}

// mh and sh fall back to another destination when the hashed one has weight 0 (flag 1); without it
// a draining pod's share of clients is refused. mh also hashes the client's port (flag 2), as
// kube-proxy sets it.
std::uint32_t scheduler_flags(const std::string& scheduler) {
  if (scheduler == "mh") return ipvs::kFlagSched1 | ipvs::kFlagSched2;
  if (scheduler == "sh") return ipvs::kFlagSched1;
  return 0;
}

ipvs::VirtualServer virtual_server(const k8s::Service& service, const k8s::ServicePort& port,
                                   const Entrance& entrance, const PlanOptions& options) {
  ipvs::VirtualServer server{
      .key = {entrance.address, entrance.port, to_ipvs(port.protocol)},
      .scheduler = options.scheduler,
      .flags = scheduler_flags(options.scheduler),
      .timeout_seconds = service.client_ip_affinity_seconds.value_or(0),
  };
  if (service.client_ip_affinity_seconds) server.flags |= ipvs::kFlagPersistent;
  return server;
}

std::vector<Address> external_addresses(const k8s::Service& service) {
  std::vector<Address> addresses = service.external_ips;
  for (const k8s::LoadBalancerIngress& ingress : service.load_balancer_ingress) {
    if (!ingress.proxy_mode) addresses.push_back(ingress.ip);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// A Service is served in the families it has a cluster IP of, and in no other, as kube-proxy does.
bool has_family(const k8s::Service& service, const Address& address) {
  return std::any_of(
      service.cluster_ips.begin(), service.cluster_ips.end(),
      [&](const Address& own) { return ipvs::family_of(own) == ipvs::family_of(address); });
}

std::vector<Entrance> entrances_of(const k8s::Service& service, const k8s::ServicePort& port,
                                   const NodeView& node) {
  std::vector<Entrance> entrances;
  const bool internal_local = service.internal_traffic_policy == k8s::TrafficPolicy::kLocal;
  const bool external_local = service.external_traffic_policy == k8s::TrafficPolicy::kLocal;
  const TrafficClass external =
      external_local ? TrafficClass::kExternalLocal : TrafficClass::kExternal;
  for (const Address& address : service.cluster_ips) {
    entrances.push_back({.address = address, .port = port.port, .local_only = internal_local});
  }
  for (const Address& address : external_addresses(service)) {
    if (!has_family(service, address)) continue;
    entrances.push_back({.address = address,
                         .port = port.port,
                         .traffic_class = external,
                         .local_only = external_local});
  }
  if (port.node_port == 0) return entrances;
  for (const Address& address : node.node_port_addresses) {
    if (!has_family(service, address)) continue;
    entrances.push_back({.address = address,
                         .port = port.node_port,
                         .traffic_class = external,
                         .local_only = external_local,
                         .is_node_port = true});
  }
  return entrances;
}

class Plan {
 public:
  Plan(const k8s::Service& service, const NodeView& node, const PlanOptions& options)
      : service_(service), node_(node), options_(options) {}

  void add_port(const k8s::ServicePort& port, const std::vector<ServiceEndpoint>& candidates) {
    for (const Entrance& entrance : entrances_of(service_, port, node_)) {
      const auto chosen =
          choose_endpoints(candidates, ipvs::family_of(entrance.address), entrance.local_only);
      add_server(port, entrance, chosen);
      add_elements(port, entrance);
    }
    add_hairpins(candidates);
  }

  // Ordered, each key once: the first entrance wins where one Service names an address twice.
  ipvs::ServicePlan finish() {
    const auto key_less = [](const ipvs::Server& a, const ipvs::Server& b) {
      return a.settings.key < b.settings.key;
    };
    std::stable_sort(plan_.servers.begin(), plan_.servers.end(), key_less);
    plan_.servers.erase(
        std::unique(plan_.servers.begin(), plan_.servers.end(),
                    [](const auto& a, const auto& b) { return a.settings.key == b.settings.key; }),
        plan_.servers.end());
    std::sort(plan_.addresses.begin(), plan_.addresses.end());
    plan_.addresses.erase(std::unique(plan_.addresses.begin(), plan_.addresses.end()),
                          plan_.addresses.end());
    std::stable_sort(plan_.elements.begin(), plan_.elements.end(), ipvs::ElementKeyLess{});
    plan_.elements.erase(
        std::unique(plan_.elements.begin(), plan_.elements.end(),
                    [](const Element& a, const Element& b) { return a.same_key(b); }),
        plan_.elements.end());
    return std::move(plan_);
  }

 private:
  void add_server(const k8s::ServicePort& port, const Entrance& entrance,
                  const std::vector<ServiceEndpoint>& chosen) {
    ipvs::Server server{.settings = virtual_server(service_, port, entrance, options_)};
    server.destinations.reserve(chosen.size());
    for (const ServiceEndpoint& endpoint : chosen) {
      server.destinations.push_back({.endpoint = endpoint.endpoint, .weight = endpoint.weight});
    }
    plan_.servers.push_back(std::move(server));
  }

  void add_elements(const k8s::ServicePort& port, const Entrance& entrance) {
    const ipvs::Protocol protocol = to_ipvs(port.protocol);
    if (entrance.is_node_port) {
      plan_.elements.push_back({.kind = ElementKind::kNodePort,
                                .protocol = protocol,
                                .port = entrance.port,
                                .traffic_class = entrance.traffic_class});
      return;
    }
    plan_.elements.push_back({.kind = ElementKind::kServiceIp,
                              .address = entrance.address,
                              .protocol = protocol,
                              .port = entrance.port,
                              .traffic_class = entrance.traffic_class});
    if (node_.own_addresses.contains(entrance.address)) return;
    plan_.addresses.push_back(entrance.address);
    plan_.elements.push_back({.kind = ElementKind::kVirtualIp, .address = entrance.address});
  }

  // Of all local endpoints, whether they are chosen or not: so readiness that comes and goes costs no
  // nftables transaction, and a pod that drains still meets itself.
  void add_hairpins(const std::vector<ServiceEndpoint>& candidates) {
    for (const ServiceEndpoint& endpoint : candidates) {
      const Address& address = endpoint.endpoint.address;
      if (!endpoint.local || !is_usable_endpoint(address) || !has_family(service_, address)) continue;
      plan_.elements.push_back({.kind = ElementKind::kHairpin, .address = address});
    }
  }

  const k8s::Service& service_;
  const NodeView& node_;
  const PlanOptions& options_;
  ipvs::ServicePlan plan_;
};

}  // namespace

ipvs::Protocol to_ipvs(k8s::Protocol protocol) {
  switch (protocol) {
    case k8s::Protocol::kTcp:
      return ipvs::Protocol::kTcp;
    case k8s::Protocol::kUdp:
      return ipvs::Protocol::kUdp;
    case k8s::Protocol::kSctp:
      return ipvs::Protocol::kSctp;
  }
  return ipvs::Protocol::kTcp;
}

bool is_served(const k8s::Service& service) {
  return service.type != k8s::ServiceType::kExternalName && !service.headless &&
         !service.cluster_ips.empty() &&
         !service.meta.labels.contains("service.kubernetes.io/service-proxy-name") &&
         !service.meta.labels.contains("service.kubernetes.io/headless");
}

std::vector<ServiceEndpoint> choose_endpoints(const std::vector<ServiceEndpoint>& candidates,
                                              ipvs::Family family, bool local_only) {
  const auto eligible = [&](const ServiceEndpoint& e) {
    return ipvs::family_of(e.endpoint.address) == family && (e.local || !local_only) &&
           is_usable_endpoint(e.endpoint.address);
  };
  std::vector<ServiceEndpoint> chosen;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(chosen),
               [&](const ServiceEndpoint& e) { return e.ready && eligible(e); });
  if (chosen.empty()) {
    std::copy_if(
        candidates.begin(), candidates.end(), std::back_inserter(chosen),
        [&](const ServiceEndpoint& e) { return e.serving && e.terminating && eligible(e); });
  }
  const auto by_endpoint = [](const ServiceEndpoint& a, const ServiceEndpoint& b) {
    return a.endpoint < b.endpoint;
  };
  std::stable_sort(chosen.begin(), chosen.end(), by_endpoint);
  chosen.erase(std::unique(chosen.begin(), chosen.end(),
                           [](const auto& a, const auto& b) { return a.endpoint == b.endpoint; }),
               chosen.end());
  return chosen;
}

ipvs::ServicePlan plan_service(const k8s::Service& service, const ServiceEndpoints& endpoints,
                               const NodeView& node, const PlanOptions& options) {
  Plan plan(service, node, options);
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    plan.add_port(service.ports[i], endpoints[i]);
  }
  return plan.finish();
}

std::vector<ServerOfPort> servers_of(const k8s::Service& service, const NodeView& node) {
  std::vector<ServerOfPort> servers;
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    const k8s::ServicePort& port = service.ports[i];
    for (const Entrance& entrance : entrances_of(service, port, node)) {
      servers.push_back(
          {.key = {entrance.address, entrance.port, to_ipvs(port.protocol)}, .port_index = i});
    }
  }
  return servers;
}

}  // namespace agent
