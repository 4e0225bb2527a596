// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/entrances.hpp"

#include <algorithm>
#include <utility>

namespace agent {

using ipvs::Address;
using ipvs::Family;
using ipvs::TrafficClass;

std::vector<Address> load_balancer_addresses(const k8s::Service& service) {
  std::vector<Address> addresses;
  for (const k8s::LoadBalancerIngress& ingress : service.load_balancer_ingress) {
    if (!ingress.proxy_mode) addresses.push_back(ingress.ip);
  }
  return addresses;
}

bool answers_dns(const k8s::Service& service) {
  return std::any_of(service.ports.begin(), service.ports.end(),
                     [](const k8s::ServicePort& port) { return port.port == 53; });
}

namespace {

template <typename T>
bool contains(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// Everything that the Service asks for, whoever has the address.
std::vector<Entrance> wanted_entrances(const k8s::Service& service, const k8s::ServicePort& port,
                                       const NodeView& node) {
  std::vector<Entrance> entrances;
  const bool external_local = is_local(service.external_traffic_policy);
  const TrafficClass external =
      external_local ? TrafficClass::kExternalLocal : TrafficClass::kExternal;
  for (const Address address : service.cluster_ips) {
    entrances.push_back({.address = address,
                         .port = port.port,
                         .local_only = is_local(service.internal_traffic_policy)});
  }
  const std::vector<Address> balanced = load_balancer_addresses(service);
  for (const Address& address : external_addresses(service)) {
    const Family family = ipvs::family_of(address);
    if (!cluster_ip_of(service, family)) continue;
    const bool is_balanced = contains(balanced, address);
    entrances.push_back(
        {.address = address,
         .port = port.port,
         .traffic_class = external,
         .local_only = external_local,
         .is_limited = is_balanced && !source_ranges(service, family).empty(),
         .field = is_balanced ? AddressField::kLoadBalancer : AddressField::kExternalIp});
  }
  if (port.node_port == 0) return entrances;
  for (const Address& address : node.node_port_addresses) {
    if (!cluster_ip_of(service, ipvs::family_of(address))) continue;
    entrances.push_back({.address = address,
                         .port = port.node_port,
                         .traffic_class = external,
                         .local_only = external_local,
                         .field = AddressField::kNodePort});
  }
  return entrances;
}

std::optional<std::string> refusal(const k8s::Service& service, const k8s::ServicePort& port,
                                   const Entrance& entrance, const NodeView& node) {
  if (!node.addresses.has_holder(entrance.address)) return std::nullopt;  // nearly always
  return node.addresses.refusal({.address = entrance.address,
                                 .port = entrance.port,
                                 .protocol = to_ipvs(port.protocol),
                                 .field = entrance.field,
                                 .is_kubernetes = is_kubernetes(service),
                                 .answers_dns = answers_dns(service)});
}

// Spares most Services the rest.
bool may_be_refused(const k8s::Service& service, const NodeView& node) {
  const auto held = [&](const Address& address) { return node.addresses.has_holder(address); };
  const auto any_of = [&](const auto& all) { return std::any_of(all.begin(), all.end(), held); };
  return any_of(service.cluster_ips) || any_of(service.external_ips) ||
         any_of(load_balancer_addresses(service)) || any_of(node.node_port_addresses);
}

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

bool is_local(k8s::TrafficPolicy policy) { return policy == k8s::TrafficPolicy::kLocal; }

std::optional<Address> cluster_ip_of(const k8s::Service& service, Family family) {
  const auto found =
      std::find_if(service.cluster_ips.begin(), service.cluster_ips.end(),
                   [&](const Address& own) { return ipvs::family_of(own) == family; });
  if (found == service.cluster_ips.end()) return std::nullopt;
  return *found;
}

std::vector<k8s::Cidr> source_ranges(const k8s::Service& service, Family family) {
  std::vector<k8s::Cidr> ranges;
  for (const k8s::Cidr& range : service.load_balancer_source_ranges) {
    if (ipvs::family_of(range.address) != family) continue;
    if (range.prefix_length == 0) return {};
    ranges.push_back(range);
  }
  return ranges;
}

bool is_kubernetes(const k8s::Service& service) {
  return service.meta.key.name == "kubernetes" && service.meta.key.ns == "default";
}

std::vector<Entrance> entrances_of(const k8s::Service& service, const k8s::ServicePort& port,
                                   const NodeView& node) {
  std::vector<Entrance> entrances = wanted_entrances(service, port, node);
  std::erase_if(entrances, [&](const Entrance& entrance) {
    return node.addresses.is_awaited({.address = entrance.address, .field = entrance.field}) ||
           refusal(service, port, entrance, node).has_value();
  });
  return entrances;
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

std::vector<Address> external_addresses(const k8s::Service& service) {
  std::vector<Address> addresses = load_balancer_addresses(service);
  addresses.insert(addresses.end(), service.external_ips.begin(), service.external_ips.end());
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

std::vector<Address> only_external_ips(const k8s::Service& service) {
  if (service.external_ips.empty()) return {};
  const std::vector<Address> balanced = load_balancer_addresses(service);
  std::vector<Address> addresses = external_addresses(service);
  std::erase_if(addresses, [&](const Address& address) { return contains(balanced, address); });
  return addresses;
}

std::vector<RefusedAddress> refused_addresses(const k8s::Service& service, const NodeView& node) {
  std::vector<RefusedAddress> all;
  if (!may_be_refused(service, node)) return all;
  for (const k8s::ServicePort& port : service.ports) {
    for (const Entrance& entrance : wanted_entrances(service, port, node)) {
      auto reason = refusal(service, port, entrance, node);
      if (!reason) continue;
      const bool whole = !node.addresses.is_own(entrance.address);
      RefusedAddress refused{.address = entrance.address,
                             .port = whole ? std::uint16_t{0} : entrance.port,
                             .reason = std::move(*reason)};
      if (!contains(all, refused)) all.push_back(std::move(refused));
    }
  }
  return all;
}

std::string RefusedAddress::text() const {
  const std::string what = port == 0 ? address.to_string() : ipvs::Endpoint{address, port}.text();
  return what + " is " + reason + ": not served";
}

}  // namespace agent
