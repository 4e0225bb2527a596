// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/localhost_ports.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "agent/decide/entrances.hpp"
#include "ipvs/state/networks.hpp"

namespace agent {
namespace {

using ipvs::Address;
using ipvs::Family;

Address loopback(Family family) {
  using boost::asio::ip::address_v4;
  using boost::asio::ip::address_v6;
  return family == Family::kIpv4 ? Address(address_v4::loopback())
                                 : Address(address_v6::loopback());
}

// Whether the cluster IP has the endpoints that the node port has for clients on this host.
bool is_like_node_port(const k8s::Service& service, const config::Config& config) {
  const bool has_local = is_local(service.internal_traffic_policy);
  const bool wants_local = is_local(service.external_traffic_policy);
  const bool is_led_away = wants_local && !has_local && config.compat == config::Compat::kNone;
  return has_local == wants_local || is_led_away;
}

}  // namespace

bool serves_localhost(const config::Config& config, Family family) {
  if (config.nodeport_addresses_localhost) return true;
  constexpr std::uint8_t kLoopbackBits = 8;
  return std::any_of(config.nodeport_addresses.begin(), config.nodeport_addresses.end(),
                     [&](const config::Network& network) {
                       if (ipvs::family_of(network.address) != family) return false;
                       return network.address.is_loopback() &&
                              (family == Family::kIpv6 ? network.prefix_length == 128
                                                       : network.prefix_length >= kLoopbackBits);
                     });
}

std::vector<LocalhostPort> localhost_ports(const k8s::Service& service, const NodeView& node,
                                           const config::Config& config) {
  std::vector<LocalhostPort> ports;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const auto cluster_ip = cluster_ip_of(service, family);
    if (!cluster_ip || !serves_localhost(config, family)) continue;
    const auto& own = node.node_port_addresses;
    const auto here = std::find_if(own.begin(), own.end(), [&](const Address& address) {
      return ipvs::family_of(address) == family;
    });
    const bool by_cluster_ip = is_like_node_port(service, config) || here == own.end();
    for (const k8s::ServicePort& port : service.ports) {
      if (port.node_port == 0 || port.protocol != k8s::Protocol::kTcp) continue;
      ports.push_back({.listen = {loopback(family), port.node_port},
                       .target = by_cluster_ip ? ipvs::Endpoint{*cluster_ip, port.port}
                                               : ipvs::Endpoint{*here, port.node_port}});
    }
  }
  return ports;
}

}  // namespace agent
