// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/entrance_names.hpp"

#include <algorithm>

#include "agent/answers/endpoint_reasons.hpp"

namespace agent {
namespace {

using ipvs::ElementKind;

// By the virtual server; where there is none, by the elements that outlive it.
ipvs::Owner find_owner(const ipvs::ServerKey& key, const ExplainView& view) {
  if (const ipvs::Owner* owner = view.desired.owner_of(key)) return *owner;
  const ipvs::Element entrance{.kind = ElementKind::kServiceIp,
                               .address = key.address,
                               .protocol = key.protocol,
                               .port = key.port};
  return ipvs::Owner(view.desired.some_owner_of(entrance));
}

// Spares most Services the rest.
bool may_have(const k8s::Service& service, const ipvs::ServerKey& key) {
  const auto& ports = service.ports;
  if (std::any_of(ports.begin(), ports.end(),
                  [&](const k8s::ServicePort& port) { return port.node_port == key.port; }))
    return true;
  if (std::none_of(ports.begin(), ports.end(),
                   [&](const k8s::ServicePort& port) { return port.port == key.port; }))
    return false;
  const auto is_it = [&](const k8s::Address& address) {
    return ipvs::Address(address) == key.address;
  };
  return std::any_of(service.cluster_ips.begin(), service.cluster_ips.end(), is_it) ||
         std::any_of(service.external_ips.begin(), service.external_ips.end(), is_it) ||
         std::any_of(service.load_balancer_ingress.begin(), service.load_balancer_ingress.end(),
                     [&](const auto& ingress) { return is_it(ingress.ip); });
}

// By the Services themselves: of an address that is asked for and not served.
std::optional<NamedEntrance> find_wish(const ipvs::ServerKey& key, const ExplainView& view) {
  std::optional<NamedEntrance> found;
  view.cluster.services().for_each([&](const k8s::Service& service) {
    if (found || !may_have(service, key)) return;
    if (!is_served(service, view.config.service_proxy_name)) return;
    for (const ServerOfPort& server : servers_of(service, view.cluster.node_view())) {
      if (server.key != key) continue;
      found = NamedEntrance{
          .owner = service.meta.key.text(), .service = &service, .port_index = server.port_index};
      return;
    }
  });
  return found;
}

void add_entrance(NamedEntrance& named, const ipvs::ServerKey& key, const ExplainView& view) {
  const auto& ports = named.service->ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (to_ipvs(ports[i].protocol) != key.protocol) continue;
    for (const Entrance& each : entrances_of(*named.service, ports[i], view.cluster.node_view())) {
      if (each.address != key.address || each.port != key.port) continue;
      named.port_index = i;
      named.entrance = each;
      return;
    }
  }
}

}  // namespace

std::string_view name_of(AddressField field) {
  switch (field) {
    case AddressField::kClusterIp:
      return "cluster IP";
    case AddressField::kNodePort:
      return "node port";
    case AddressField::kLoadBalancer:
      return "load balancer IP";
    case AddressField::kExternalIp:
      return "external IP";
  }
  return "";
}

std::string name_of(const k8s::ServicePort& port) {
  return port.name.empty() ? std::to_string(port.port) : port.name;
}

std::optional<NamedEntrance> entrance_at(const ipvs::ServerKey& key, const ExplainView& view) {
  NamedEntrance named{.owner = find_owner(key, view)};
  if (named.owner.empty()) {
    const auto wish = find_wish(key, view);
    if (!wish) return std::nullopt;
    named = *wish;
  }
  named.service = view.cluster.service(named.owner);
  if (named.service) add_entrance(named, key, view);
  return named;
}

std::string owner_of(const ipvs::Element& element, const ExplainView& view) {
  return std::string(view.desired.some_owner_of(element));
}

std::string why_no_endpoint(const NamedEntrance& entrance, const ExplainView& view) {
  if (!entrance.service || !entrance.entrance) return {};
  return why_no_endpoint(*entrance.service,
                         view.cluster.endpoints().endpoints_of(*entrance.service),
                         entrance.port_index, ipvs::family_of(entrance.entrance->address),
                         entrance.entrance->local_only);
}

}  // namespace agent
