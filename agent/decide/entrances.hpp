// SPDX-License-Identifier: Apache-2.0
//
// Where a Service accepts traffic on this node: every address and port with a virtual server, and
// what holds for it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/node_view.hpp"
#include "ipvs/state/element.hpp"
#include "k8s/types.hpp"

namespace agent {

// One address and port that accepts traffic for the Service.
struct Entrance {
  ipvs::Address address;
  std::uint16_t port = 0;
  ipvs::TrafficClass traffic_class = ipvs::TrafficClass::kClusterIp;
  bool local_only = false;
  bool is_limited = false;  // by loadBalancerSourceRanges
  AddressField field = AddressField::kClusterIp;
  bool is_node_port() const { return field == AddressField::kNodePort; }
};

// Those of the cluster IPs come first.
std::vector<Entrance> entrances_of(const k8s::Service& service, const k8s::ServicePort& port,
                                   const NodeView& node);

// The virtual servers that plan_service() would make, without destinations, each with the index of
// its Service port.
struct ServerOfPort {
  ipvs::ServerKey key{};
  std::size_t port_index = 0;
};
std::vector<ServerOfPort> servers_of(const k8s::Service& service, const NodeView& node);

// Whether the Service has a port 53: then it may be the node's nameserver.
bool answers_dns(const k8s::Service& service);
// The load balancer IPs of a Service, without those with ipMode Proxy.
std::vector<ipvs::Address> load_balancer_addresses(const k8s::Service& service);
// The external IPs and load balancer IPs (not those with ipMode Proxy) of a Service, ordered,
// without duplicates.
std::vector<ipvs::Address> external_addresses(const k8s::Service& service);

// What is not served because this node needs the address for something else
// (agent/decide/address_policy.hpp), with the reason; each once.
struct RefusedAddress {
  ipvs::Address address{};
  std::uint16_t port = 0;  // of an address of this node's own, whose other ports are served; else 0
  std::string reason{};    // "the address of Node worker-2"
  std::string text() const;
  bool operator==(const RefusedAddress&) const = default;
};
std::vector<RefusedAddress> refused_addresses(const k8s::Service& service, const NodeView& node);

// Those of external_addresses() that no load balancer gave: only spec.externalIPs names them.
std::vector<ipvs::Address> only_external_ips(const k8s::Service& service);

// The Service by which Pods reach the API server.
inline constexpr std::string_view kKubernetes = "default/kubernetes";
bool is_kubernetes(const k8s::Service& service);

// A Service is served only in the families that it has a cluster IP of, as in kube-proxy.
std::optional<ipvs::Address> cluster_ip_of(const k8s::Service& service, ipvs::Family family);

// The source ranges of one family; empty if everybody is allowed, because there is no range for the
// family or one of all addresses.
std::vector<k8s::Cidr> source_ranges(const k8s::Service& service, ipvs::Family family);

bool is_local(k8s::TrafficPolicy policy);
ipvs::Protocol to_ipvs(k8s::Protocol protocol);

}  // namespace agent
