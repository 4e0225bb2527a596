// SPDX-License-Identifier: Apache-2.0
//
// spec.healthCheckNodePort: which Services have such a port, how many endpoints are reported there,
// and who has the port when several ask for it. Pure; agent/report/health_check_ports.hpp listens.
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
  bool operator==(const HealthCheck&) const = default;
};
using HealthChecks = std::map<k8s::ObjectKey, HealthCheck>;

bool needs_health_check(const k8s::Service& service, const std::string& proxy_name = {});
std::size_t count_local_endpoints(const k8s::Service& service, const ServiceEndpoints& endpoints);

// The Service that has each port. Of several that ask for it the older one has it.
std::map<std::uint16_t, k8s::ObjectKey> health_check_owners(const HealthChecks& checks);

// Where to listen: everywhere, or where --nodeport-addresses has node ports served.
std::vector<ipvs::Address> health_check_addresses(const config::Config& config,
                                                  const NodeView& node);

}  // namespace agent
