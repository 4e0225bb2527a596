// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/service.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "k8s/manifests/pool.hpp"

namespace k8s {
namespace {

using Extras = ManifestExtras<Service>;

std::string range_text(const Cidr& range) {
  return range.address.to_string() + "/" + std::to_string(range.prefix_length);
}

template <typename Range, typename Value>
bool holds(const Range& range, const Value& value) {
  return std::find(range.begin(), range.end(), value) != range.end();
}

std::string address_fault(const Service& service, const AllocationRanges& ranges) {
  for (const Address& address : service.cluster_ips) {
    const auto range = std::find_if(
        ranges.cluster_ips.begin(), ranges.cluster_ips.end(),
        [&](const Cidr& candidate) { return candidate.address.is_v4() == address.is_v4(); });
    if (range == ranges.cluster_ips.end()) {
      return "spec.clusterIP: there is no " + std::string(name_of_family(family_of(address))) +
             " range for " + address.to_string() + " (--service-cluster-ip-range)";
    }
    if (!AddressPool(*range).usable(address)) {
      return "spec.clusterIP: " + address.to_string() + " is not an address of the range " +
             range_text(*range) + " (--service-cluster-ip-range)";
    }
  }
  const auto& given = service.cluster_ips;
  if (given.size() > 2 || (given.size() == 2 && given[0].is_v4() == given[1].is_v4())) {
    return "spec.clusterIPs: at most one address of each family";
  }
  return {};
}

std::string family_fault(const Extras& extras, const AllocationRanges& ranges) {
  if (extras.family_policy == FamilyPolicy::kRequireDualStack && ranges.cluster_ips.size() < 2) {
    return "spec.ipFamilyPolicy: RequireDualStack needs two ranges (--service-cluster-ip-range)";
  }
  for (const IpFamily family : extras.families) {
    const bool served =
        std::any_of(ranges.cluster_ips.begin(), ranges.cluster_ips.end(),
                    [&](const Cidr& range) { return family_of(range.address) == family; });
    if (!served) {
      return "spec.ipFamilies: there is no " + std::string(name_of_family(family)) +
             " range (--service-cluster-ip-range)";
    }
  }
  return {};
}

std::string port_fault(const Service& service, const AllocationRanges& ranges) {
  const auto in_range = [&](std::uint16_t port) {
    return port >= ranges.node_port_first && port <= ranges.node_port_last;
  };
  const std::string limits =
      std::to_string(ranges.node_port_first) + "-" + std::to_string(ranges.node_port_last);
  std::set<std::pair<std::uint16_t, Protocol>> seen;
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    const ServicePort& port = service.ports[i];
    if (port.node_port == 0) continue;
    const std::string field = "spec.ports[" + std::to_string(i) + "].nodePort: ";
    const std::string number = std::to_string(port.node_port);
    if (!may_have_node_ports(service))
      return field + "only types NodePort and LoadBalancer have one";
    if (!in_range(port.node_port)) return field + number + " is not in the range " + limits;
    if (!seen.emplace(port.node_port, port.protocol).second)
      return field + number + " is used twice";
  }
  if (const std::uint16_t health = service.health_check_node_port;
      health != 0 && has_health_check_port(service)) {
    const std::string field = "spec.healthCheckNodePort: " + std::to_string(health);
    if (!in_range(health)) return field + " is not in the range " + limits;
    if (seen.contains({health, Protocol::kTcp}))
      return field + " is also a node port of the Service";
  }
  return {};
}

}  // namespace

IpFamily family_of(const Address& address) {
  return address.is_v4() ? IpFamily::kIpv4 : IpFamily::kIpv6;
}

const char* name_of_family(IpFamily family) { return family == IpFamily::kIpv4 ? "IPv4" : "IPv6"; }

const char* name_of_protocol(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "";
}

bool has_cluster_ip(const Service& service) {
  return service.type != ServiceType::kExternalName && !service.headless;
}

bool may_have_node_ports(const Service& service) {
  return service.type == ServiceType::kNodePort || service.type == ServiceType::kLoadBalancer;
}

bool wants_node_ports(const Service& service, const ManifestExtras<Service>& extras) {
  return service.type == ServiceType::kNodePort ||
         (service.type == ServiceType::kLoadBalancer && extras.allocate_node_ports);
}

bool has_health_check_port(const Service& service) {
  return service.type == ServiceType::kLoadBalancer &&
         service.external_traffic_policy == TrafficPolicy::kLocal;
}

std::vector<IpFamily> missing_families(const Service& service,
                                       const ManifestExtras<Service>& extras,
                                       const AllocationRanges& ranges) {
  if (!has_cluster_ip(service)) return {};
  std::vector<IpFamily> wanted;
  for (const Address& address : service.cluster_ips) wanted.push_back(family_of(address));
  if (wanted.empty()) wanted = extras.families;
  if (wanted.empty() && !ranges.cluster_ips.empty()) {
    wanted.push_back(family_of(ranges.cluster_ips.front().address));
  }
  if (extras.family_policy != FamilyPolicy::kSingleStack || extras.families.size() == 2) {
    for (const Cidr& range : ranges.cluster_ips) {
      if (!holds(wanted, family_of(range.address))) wanted.push_back(family_of(range.address));
    }
  }
  wanted.erase(wanted.begin(),
               wanted.begin() + static_cast<std::ptrdiff_t>(service.cluster_ips.size()));
  return wanted;
}

std::string allocation_fault(const Service& service, const ManifestExtras<Service>& extras,
                             const AllocationRanges& ranges) {
  if (has_cluster_ip(service)) {
    if (std::string fault = address_fault(service, ranges); !fault.empty()) return fault;
    if (std::string fault = family_fault(extras, ranges); !fault.empty()) return fault;
  }
  return service.type == ServiceType::kExternalName ? std::string() : port_fault(service, ranges);
}

}  // namespace k8s
