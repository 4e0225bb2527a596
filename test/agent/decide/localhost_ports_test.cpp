// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/localhost_ports.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::localhost_ports;
using agent::LocalhostPort;
using agent::serves_localhost;
using ipvs::Family;
using Policy = k8s::TrafficPolicy;

config::Network network(const std::string& address, std::uint8_t prefix_length) {
  return {ip(address), prefix_length};
}

k8s::Service node_port_service(Policy internal, Policy external) {
  k8s::Service service = make_service("web", {"10.96.0.1", "fd00:96::1"});
  service.ports = {make_port(80)};
  service.ports[0].node_port = 30080;
  service.internal_traffic_policy = internal;
  service.external_traffic_policy = external;
  return service;
}

std::string targets(const k8s::Service& service, const agent::NodeView& node,
                    const config::Config& config) {
  std::string text;
  for (const LocalhostPort& port : localhost_ports(service, node, config))
    text += port.listen.text() + " to " + port.target.text() + "\n";
  return text;
}

const std::string kByClusterIp =
    "127.0.0.1:30080 to 10.96.0.1:80\n[::1]:30080 to [fd00:96::1]:80\n";

}  // namespace

TEST_CASE("localhost is served if the word or a loopback network is given, not with all (18.2)") {
  config::Config config;
  CHECK_FALSE(serves_localhost(config, Family::kIpv4));
  config.nodeport_addresses_all = true;
  config.nodeport_addresses = {network("0.0.0.0", 0), network("::", 0), network("126.0.0.0", 7)};
  CHECK_FALSE(serves_localhost(config, Family::kIpv4));
  CHECK_FALSE(serves_localhost(config, Family::kIpv6));
  config.nodeport_addresses = {network("127.0.0.1", 32)};
  CHECK(serves_localhost(config, Family::kIpv4));
  CHECK_FALSE(serves_localhost(config, Family::kIpv6));
  config.nodeport_addresses = {network("::1", 128), network("127.0.0.0", 8)};
  CHECK(serves_localhost(config, Family::kIpv4));
  CHECK(serves_localhost(config, Family::kIpv6));
  config.nodeport_addresses = {};
  config.nodeport_addresses_localhost = true;
  CHECK(serves_localhost(config, Family::kIpv6));
}

TEST_CASE("TCP node ports are led to the cluster IP, in the families of the Service (18.2)") {
  config::Config config;
  config.nodeport_addresses_localhost = true;
  k8s::Service service = node_port_service(Policy::kCluster, Policy::kCluster);
  CHECK(targets(service, {}, config) == kByClusterIp);
  service.ports.push_back(make_port(81));  // without a node port
  service.ports.push_back(make_port(53));
  service.ports.back().node_port = 30053;
  service.ports.back().protocol = k8s::Protocol::kUdp;
  CHECK(targets(service, {}, config) == kByClusterIp);
  service.cluster_ips = {ip("fd00:96::1")};
  CHECK(targets(service, {}, config) == "[::1]:30080 to [fd00:96::1]:80\n");
  config.nodeport_addresses_localhost = false;
  CHECK(targets(service, {}, config).empty());
}

TEST_CASE("localhost has the endpoints that the node port has for this host (18.2)") {
  config::Config config;
  config.nodeport_addresses_localhost = true;
  const agent::NodeView here{.node_port_addresses = kernel_ips({"10.0.0.5", "fd00:1::1"}),
                             .addresses = {}};
  const std::string by_node_port =
      "127.0.0.1:30080 to 10.0.0.5:30080\n[::1]:30080 to [fd00:1::1]:30080\n";
  // Short cuts lead clients here to the cluster IP, which has all.
  CHECK(targets(node_port_service(Policy::kCluster, Policy::kLocal), here, config) == kByClusterIp);
  CHECK(targets(node_port_service(Policy::kLocal, Policy::kLocal), here, config) == kByClusterIp);
  // The cluster IP has fewer.
  CHECK(targets(node_port_service(Policy::kLocal, Policy::kCluster), here, config) == by_node_port);
  CHECK(targets(node_port_service(Policy::kLocal, Policy::kCluster), {}, config) == kByClusterIp);
  // There are no short cuts.
  config.compat = config::Compat::kKubeProxy;
  CHECK(targets(node_port_service(Policy::kCluster, Policy::kLocal), here, config) == by_node_port);
  CHECK(targets(node_port_service(Policy::kCluster, Policy::kCluster), here, config) ==
        kByClusterIp);
}
