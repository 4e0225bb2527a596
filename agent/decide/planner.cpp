// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/planner.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "agent/decide/entrances.hpp"
#include "agent/decide/topology.hpp"
#include "ipvs/state/networks.hpp"

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Family;
using ipvs::TrafficClass;

// The endpoints of one Service port, in one family.
struct EndpointSets {
  std::vector<ServiceEndpoint> cluster;
  std::vector<ServiceEndpoint> local;
};

constexpr std::uint32_t kRampScale = 100;
constexpr std::uint32_t kRampFirstPart = 10;  // a tenth

// An endpoint is large: a pointer to it is moved and compared in its place.
using EndpointPointers = std::vector<const ServiceEndpoint*>;

// By address and port; those with the same ones stay as they are. False: they were ordered.
bool order(EndpointPointers& endpoints) {
  const auto less = [](const ServiceEndpoint* a, const ServiceEndpoint* b) {
    return a->endpoint < b->endpoint;
  };
  if (std::is_sorted(endpoints.begin(), endpoints.end(), less)) return false;
  std::stable_sort(endpoints.begin(), endpoints.end(), less);
  return true;
}

std::vector<ServiceEndpoint> values_of(const EndpointPointers& endpoints) {
  std::vector<ServiceEndpoint> values;
  values.reserve(endpoints.size());
  for (const ServiceEndpoint* each : endpoints) values.push_back(*each);
  return values;
}

bool is_usable_endpoint(const Address& address) {
  return !address.is_unspecified() && !address.is_multicast();
}

bool is_ramping(const ServiceEndpoint& endpoint, const PlanOptions& options) {
  const std::int64_t length = options.service.slow_start_seconds;
  return length != 0 && endpoint.ready_since != 0 && options.now - endpoint.ready_since < length;
}

ipvs::VirtualServer virtual_server(const k8s::Service& service, const k8s::ServicePort& port,
                                   const Entrance& entrance, const PlanOptions& options) {
  ipvs::VirtualServer server{
      .key = {entrance.address, entrance.port, to_ipvs(port.protocol)},
      .scheduler = options.service.scheduler,
      .flags = options.service.scheduler_flags,
      .timeout_seconds = service.client_ip_affinity_seconds.value_or(0),
  };
  if (service.client_ip_affinity_seconds) server.flags |= ipvs::kFlagPersistent;
  return server;
}

bool is_within(const k8s::Cidr& inner, const k8s::Cidr& outer) {
  return inner.prefix_length >= outer.prefix_length &&
         ipvs::is_in(inner.address, outer.address, outer.prefix_length);
}

// The kernel refuses ranges that overlap; two networks overlap only if one contains the other.
std::vector<k8s::Cidr> without_nested(const std::vector<k8s::Cidr>& ranges) {
  std::vector<k8s::Cidr> kept;
  for (const k8s::Cidr& range : ranges) {
    const auto covers = [&](const k8s::Cidr& other) { return is_within(range, other); };
    if (std::any_of(kept.begin(), kept.end(), covers)) continue;
    std::erase_if(kept, [&](const k8s::Cidr& other) { return is_within(other, range); });
    kept.push_back(range);
  }
  return kept;
}

class Plan {
 public:
  Plan(const k8s::Service& service, const NodeView& node, const PlanOptions& options)
      : service_(service), node_(node), options_(options) {}

  void add_port(const k8s::ServicePort& port, const std::vector<ServiceEndpoint>& candidates) {
    const std::array sets{sets_of(candidates, Family::kIpv4), sets_of(candidates, Family::kIpv6)};
    std::array<bool, 2> has_cluster_ip{};  // that is served
    for (const Entrance& entrance : entrances_of(service_, port, node_)) {
      const Family family = ipvs::family_of(entrance.address);
      const std::size_t index = family == Family::kIpv4 ? 0 : 1;
      if (entrance.field == AddressField::kClusterIp) has_cluster_ip[index] = true;
      const EndpointSets& endpoints = sets[index];
      const auto& chosen = chosen_for(entrance, endpoints);
      add_server(port, entrance, chosen);
      add_elements(port, entrance);
      if (chosen.empty()) add_guard(port, entrance, endpoints);
      if (leads_away(entrance) && has_cluster_ip[index]) add_short_cut(port, entrance);
      if (entrance.is_limited) add_limits(port, entrance);
    }
    add_hairpins(candidates);
  }

  // Load balancers that pass packets through probe the address that they balance.
  void add_health_checks() {
    if (!has_health_check(service_)) return;
    for (const Address& address : health_checked_addresses(service_, node_)) {
      plan_.elements.push_back({.kind = ElementKind::kHealthCheckIp,
                                .address = address,
                                .protocol = ipvs::Protocol::kTcp,
                                .port = service_.health_check_node_port});
    }
  }

  // Ordered, without duplicates: the first entrance wins if a Service names an address twice.
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
  EndpointSets sets_of(const std::vector<ServiceEndpoint>& candidates, Family family) const {
    if (!cluster_ip_of(service_, family)) return {};
    EndpointSets sets{.cluster = prefer_near(choose_endpoints(candidates, family, false)),
                      .local = {}};
    if (has_local_policy()) sets.local = choose_endpoints(candidates, family, true);
    return sets;
  }

  bool has_local_policy() const {
    return is_local(service_.internal_traffic_policy) || is_local(service_.external_traffic_policy);
  }

  bool is_exposed() const {
    return service_.type == k8s::ServiceType::kNodePort ||
           service_.type == k8s::ServiceType::kLoadBalancer || !service_.external_ips.empty();
  }

  const std::vector<ServiceEndpoint>& chosen_for(const Entrance& entrance,
                                                 const EndpointSets& sets) const {
    if (!entrance.local_only) return sets.cluster;
    const bool falls_back = options_.kube_proxy && is_exposed() && sets.local.empty();
    return falls_back ? sets.cluster : sets.local;
  }

  bool leads_away(const Entrance& entrance) const {
    return entrance.traffic_class == TrafficClass::kExternalLocal && !options_.kube_proxy &&
           !is_local(service_.internal_traffic_policy);
  }

  void add_server(const k8s::ServicePort& port, const Entrance& entrance,
                  const std::vector<ServiceEndpoint>& chosen) {
    ipvs::Server server{.settings = virtual_server(service_, port, entrance, options_)};
    server.destinations.reserve(chosen.size());
    for (const ServiceEndpoint& endpoint : chosen) {
      server.destinations.push_back(
          {.endpoint = endpoint.endpoint, .weight = weight_of(endpoint, options_)});
    }
    plan_.servers.push_back(std::move(server));
  }

  // An element for the entrance: of kind `for_ip` for an address and port, of kind `for_node_port`
  // for a node port, whose element covers all addresses of a family.
  Element element_of(const k8s::ServicePort& port, const Entrance& entrance, ElementKind for_ip,
                     ElementKind for_node_port) const {
    const Address any = ipvs::unspecified(ipvs::family_of(entrance.address));
    return {.kind = entrance.is_node_port() ? for_node_port : for_ip,
            .address = entrance.is_node_port() ? any : entrance.address,
            .protocol = to_ipvs(port.protocol),
            .port = entrance.port};
  }

  void add_elements(const k8s::ServicePort& port, const Entrance& entrance) {
    Element element = element_of(port, entrance, ElementKind::kServiceIp, ElementKind::kNodePort);
    element.traffic_class = entrance.traffic_class;
    if (entrance.is_node_port()) element.address = Address{};  // of both families
    plan_.elements.push_back(element);
    if (entrance.is_node_port() || node_.addresses.is_own(entrance.address)) return;
    plan_.addresses.push_back(entrance.address);
    plan_.elements.push_back({.kind = ElementKind::kVirtualIp, .address = entrance.address});
  }

  void add_guard(const k8s::ServicePort& port, const Entrance& entrance,
                 const EndpointSets& endpoints) {
    Element element =
        element_of(port, entrance, ElementKind::kGuardedIp, ElementKind::kGuardedNodePort);
    const bool elsewhere =
        entrance.traffic_class == TrafficClass::kExternalLocal && !endpoints.cluster.empty();
    element.traffic_class = elsewhere ? TrafficClass::kElsewhere : TrafficClass::kRefused;
    plan_.elements.push_back(element);
  }

  void add_short_cut(const k8s::ServicePort& port, const Entrance& entrance) {
    Element element =
        element_of(port, entrance, ElementKind::kShortCutIp, ElementKind::kShortCutNodePort);
    element.target = {*cluster_ip_of(service_, ipvs::family_of(entrance.address)), port.port};
    plan_.elements.push_back(element);
  }

  void add_limits(const k8s::ServicePort& port, const Entrance& entrance) {
    const Family family = ipvs::family_of(entrance.address);
    Element element = element_of(port, entrance, ElementKind::kLimitedIp, ElementKind::kLimitedIp);
    plan_.elements.push_back(element);
    element.kind = ElementKind::kAllowedSource;
    const std::vector<k8s::Cidr> ranges = without_nested(source_ranges(service_, family));
    const auto allowed = [&](const Address& address) {
      return std::any_of(ranges.begin(), ranges.end(), [&](const k8s::Cidr& range) {
        return ipvs::is_in(address, range.address, range.prefix_length);
      });
    };
    for (const k8s::Cidr& range : ranges) {
      element.source_network = {range.address, range.prefix_length};
      plan_.elements.push_back(element);
    }
    // This host uses the virtual IP itself as source address when it connects to it.
    const auto& own = node_.addresses.own();
    if (std::none_of(own.begin(), own.end(), allowed) || allowed(entrance.address)) return;
    const std::uint16_t whole = family == Family::kIpv4 ? 32 : 128;
    element.source_network = {entrance.address, whole};
    plan_.elements.push_back(element);
  }

  // Whether Pod networks are known, and the address is in none.
  bool is_outside_cidrs(const Address& address) const {
    bool is_known = false;
    for (const ipvs::Network& network : options_.cluster_cidrs) {
      if (ipvs::family_of(network.address) != ipvs::family_of(address)) continue;
      if (ipvs::is_in(address, network.address, network.prefix_length)) return false;
      is_known = true;
    }
    return is_known;
  }

  // For all local endpoints, chosen or not: so a change of readiness needs no nftables transaction,
  // and a draining pod can still be a client of itself. For other nodes' own addresses, too: their
  // invalid segments are not to be answered (ipvs/nftables/adr-masquerade.md), and such a node that
  // reaches itself through this one is masqueraded like a pod.
  void add_hairpins(const std::vector<ServiceEndpoint>& candidates) {
    for (const ServiceEndpoint& endpoint : candidates) {
      const Address& address = endpoint.endpoint.address;
      if (!is_usable_endpoint(address)) continue;
      if (!endpoint.local && !is_outside_cidrs(address)) continue;
      if (!cluster_ip_of(service_, ipvs::family_of(address))) continue;
      plan_.elements.push_back({.kind = ElementKind::kHairpin, .address = address});
    }
  }

  const k8s::Service& service_;
  const NodeView& node_;
  const PlanOptions& options_;
  ipvs::ServicePlan plan_;
};

}  // namespace

bool is_served(const k8s::Service& service, const std::string& proxy_name) {
  const k8s::Labels& labels = service.meta.labels;
  const auto named = labels.find("service.kubernetes.io/service-proxy-name");
  const bool is_ours = proxy_name.empty() ? named == labels.end()
                                          : named != labels.end() && named->second == proxy_name;
  return is_ours && service.type != k8s::ServiceType::kExternalName && !service.headless &&
         !service.cluster_ips.empty();
}

bool may_ask_for_nodes(const k8s::Service& service, const std::string& proxy_name) {
  if (!is_served(service, proxy_name)) return false;
  const std::vector<Address> external = external_addresses(service);
  return std::any_of(external.begin(), external.end(), [&](const Address& address) {
    return cluster_ip_of(service, ipvs::family_of(address)).has_value();
  });
}

bool has_health_check(const k8s::Service& service) {
  return service.type == k8s::ServiceType::kLoadBalancer &&
         is_local(service.external_traffic_policy) && service.health_check_node_port != 0;
}

std::uint32_t weight_of(const ServiceEndpoint& endpoint, const PlanOptions& options) {
  const std::uint64_t slow_start = options.service.slow_start_seconds;
  if (slow_start == 0) return endpoint.weight;
  const std::uint64_t full =
      std::min(std::uint64_t{endpoint.weight} * kRampScale, std::uint64_t{65535});
  if (!is_ramping(endpoint, options)) return static_cast<std::uint32_t>(full);
  const auto age =
      static_cast<std::uint64_t>(std::max<std::int64_t>(options.now - endpoint.ready_since, 0));
  const std::uint64_t least =
      std::min(full, std::max<std::uint64_t>(full * kRampFirstPart / 100, 1));
  return static_cast<std::uint32_t>(least + (full - least) * age / slow_start);
}

bool is_ramping(const ServiceEndpoints& endpoints, const PlanOptions& options) {
  if (options.service.slow_start_seconds == 0) return false;
  return std::any_of(endpoints.begin(), endpoints.end(), [&](const auto& of_port) {
    return std::any_of(of_port.begin(), of_port.end(),
                       [&](const ServiceEndpoint& e) { return is_ramping(e, options); });
  });
}

std::vector<Address> health_checked_addresses(const k8s::Service& service, const NodeView& node) {
  std::vector<Address> addresses = load_balancer_addresses(service);
  std::erase_if(addresses, [&](const Address& address) {
    const AddressUse use{.address = address,
                         .port = service.health_check_node_port,
                         .field = AddressField::kLoadBalancer,
                         .answers_dns = answers_dns(service)};
    return !cluster_ip_of(service, ipvs::family_of(address)) || node.addresses.is_awaited(use) ||
           node.addresses.refusal(use);
  });
  return addresses;
}

LacksLocal lacks_local(const k8s::Service& service, const ServiceEndpoints& endpoints,
                       Family family) {
  const bool internal = is_local(service.internal_traffic_policy);
  const bool external = is_local(service.external_traffic_policy);
  if ((!internal && !external) || !cluster_ip_of(service, family)) return {};
  const auto lacks = [family](const std::vector<ServiceEndpoint>& of_port) {
    return !choose_endpoints(of_port, family, false).empty() &&
           choose_endpoints(of_port, family, true).empty();
  };
  const bool some = std::any_of(endpoints.begin(), endpoints.end(), lacks);
  return {.internal = internal && some, .external = external && some};
}

std::vector<ServiceEndpoint> choose_endpoints(const std::vector<ServiceEndpoint>& candidates,
                                              ipvs::Family family, bool local_only) {
  const auto eligible = [&](const ServiceEndpoint& e) {
    return ipvs::family_of(e.endpoint.address) == family && (e.local || !local_only) &&
           is_usable_endpoint(e.endpoint.address);
  };
  EndpointPointers chosen;
  chosen.reserve(candidates.size());
  for (const ServiceEndpoint& e : candidates) {
    if (e.ready && eligible(e)) chosen.push_back(&e);
  }
  if (chosen.empty()) {
    for (const ServiceEndpoint& e : candidates) {
      if (e.serving && e.terminating && eligible(e)) chosen.push_back(&e);
    }
  }
  order(chosen);
  const auto is_same = [](const ServiceEndpoint* a, const ServiceEndpoint* b) {
    return a->endpoint == b->endpoint;
  };
  chosen.erase(std::unique(chosen.begin(), chosen.end(), is_same), chosen.end());
  return values_of(chosen);
}

void order_endpoints(ServiceEndpoints& endpoints) {
  for (std::vector<ServiceEndpoint>& of_port : endpoints) {
    EndpointPointers pointers;
    pointers.reserve(of_port.size());
    for (const ServiceEndpoint& e : of_port) pointers.push_back(&e);
    if (order(pointers)) of_port = values_of(pointers);
  }
}

ipvs::ServicePlan plan_service(const k8s::Service& service, const ServiceEndpoints& endpoints,
                               const NodeView& node, const PlanOptions& options) {
  Plan plan(service, node, options);
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    plan.add_port(service.ports[i], endpoints[i]);
  }
  plan.add_health_checks();
  return plan.finish();
}

}  // namespace agent
