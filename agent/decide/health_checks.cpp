// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/health_checks.hpp"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <set>

#include "agent/decide/planner.hpp"

namespace agent {

bool needs_health_check(const k8s::Service& service, const std::string& proxy_name) {
  return is_served(service, proxy_name) && has_health_check(service);
}

std::size_t count_local_endpoints(const k8s::Service& service, const ServiceEndpoints& endpoints) {
  std::size_t most = 0;
  for (const ipvs::Address cluster_ip : service.cluster_ips) {
    std::set<ipvs::Address> addresses;
    for (const auto& of_port : endpoints) {
      for (const ServiceEndpoint& e : of_port) {
        const ipvs::Address& address = e.endpoint.address;
        if (e.ready && e.local && ipvs::family_of(address) == ipvs::family_of(cluster_ip)) {
          addresses.insert(address);
        }
      }
    }
    most = std::max(most, addresses.size());
  }
  return most;
}

std::map<std::uint16_t, k8s::ObjectKey> health_check_owners(const HealthChecks& checks) {
  std::map<std::uint16_t, k8s::ObjectKey> owners;
  for (const auto& [service, check] : checks) {
    const auto [place, added] = owners.emplace(check.port, service);
    // Of two equally old ones the first by name, which is the order of `checks`.
    if (!added && check.since < checks.at(place->second).since) place->second = service;
  }
  return owners;
}

std::vector<ipvs::Address> health_check_addresses(const config::Config& config,
                                                  const NodeView& node) {
  const bool is_restricted = config.nodeport_addresses_primary ||
                             config.nodeport_addresses_localhost ||
                             !config.nodeport_addresses.empty();
  if (is_restricted && !config.nodeport_addresses_all) return node.node_port_addresses;
  return {boost::asio::ip::address_v6::any()};  // and IPv4 with it
}

}  // namespace agent
