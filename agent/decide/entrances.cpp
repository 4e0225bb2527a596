// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/entrances.hpp"

#include <algorithm>

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

std::vector<Entrance> entrances_of(const k8s::Service& service, const k8s::ServicePort& port,
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
    if (!cluster_ip_of(service, family) || node.others_addresses.contains(address)) continue;
    const bool is_balanced = std::find(balanced.begin(), balanced.end(), address) != balanced.end();
    entrances.push_back({.address = address,
                         .port = port.port,
                         .traffic_class = external,
                         .local_only = external_local,
                         .is_limited = is_balanced && !source_ranges(service, family).empty()});
  }
  if (port.node_port == 0) return entrances;
  for (const Address& address : node.node_port_addresses) {
    if (!cluster_ip_of(service, ipvs::family_of(address))) continue;
    entrances.push_back({.address = address,
                         .port = port.node_port,
                         .traffic_class = external,
                         .local_only = external_local,
                         .is_node_port = true});
  }
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

std::vector<RefusedAddress> refused_addresses(const k8s::Service& service, const NodeView& node) {
  std::vector<RefusedAddress> refused;
  for (const Address& address : external_addresses(service)) {
    const auto other = node.others_addresses.find(address);
    if (other != node.others_addresses.end()) refused.push_back({address, other->second});
  }
  return refused;
}

}  // namespace agent
