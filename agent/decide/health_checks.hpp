// SPDX-License-Identifier: Apache-2.0
//
// spec.healthCheckNodePort: which Services have such a port, how many endpoints it reports, and
// which Service gets the port if several ask for it. Pure; agent/report/health_check_ports.hpp
// listens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "agent/decide/node_view.hpp"
#include "config/config.hpp"
#include "k8s/types.hpp"

namespace agent {

struct HealthCheck {
  k8s::UnixSeconds since = 0;  // the Service's creation
  std::uint16_t port = 0;
  std::size_t local_endpoints = 0;
  std::vector<ipvs::Address> load_balancer_ips{};  // that this node serves
  bool operator==(const HealthCheck&) const = default;
};
using HealthChecks = std::map<k8s::ObjectKey, HealthCheck>;

// Served Services of type LoadBalancer with externalTrafficPolicy Local and such a port.
bool needs_health_check(const k8s::Service& service, const std::string& proxy_name = {});
// Addresses of ready endpoints on this node, each once for all ports. Counted per family of the
// Service's cluster IPs; the greater number, because kube-proxy has one proxy per family.
std::size_t count_local_endpoints(const k8s::Service& service, const ServiceEndpoints& endpoints);

// The Service that gets each port: the oldest one; of equally old ones, the first by namespace and
// name.
std::map<std::uint16_t, k8s::ObjectKey> health_check_owners(const HealthChecks& checks);

// Where to listen for all Services: on all addresses, or, if --nodeport-addresses is given, where
// node ports are served; then also on the load balancer IPs of each Service.
std::vector<ipvs::Address> health_check_addresses(const config::Config& config,
                                                  const NodeView& node);

}  // namespace agent
