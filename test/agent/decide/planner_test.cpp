// SPDX-License-Identifier: Apache-2.0
//
// Fixtures are data: a Service, its endpoints, the node, and then the complete plan.
#include "agent/decide/planner.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::HolderKind;
using agent::NodeView;
using agent::PlanOptions;
using agent::ServiceEndpoint;

ServiceEndpoint endpoint(const std::string& address, std::uint16_t port = 8080) {
  return {.endpoint = {ip(address), port}, .ready = true, .serving = true, .local = false};
}

ServiceEndpoint local(ServiceEndpoint e) {
  e.local = true;
  return e;
}

ServiceEndpoint unready(ServiceEndpoint e) {
  e.ready = e.serving = false;
  return e;
}

ServiceEndpoint terminating(ServiceEndpoint e) {
  e.ready = false;
  e.terminating = true;
  return e;
}

// The node of all fixtures: one address per family.
NodeView node_view() {
  return {.node_port_addresses = kernel_ips({"192.168.1.1", "fd00:1::1"}),
          .addresses = agent::AddressPolicy({ip("192.168.1.1"), ip("fd00:1::1")})};
}

std::string planned(const k8s::Service& service, const std::vector<ServiceEndpoint>& endpoints,
                    const NodeView& node = node_view(), const PlanOptions& options = {}) {
  const agent::ServiceEndpoints of_ports(service.ports.size(), endpoints);
  return "\n" + plan_text(agent::plan_service(service, of_ports, node, options));
}

k8s::Service node_port_service() {
  k8s::Service service = make_service("web", {"10.96.0.1"});
  service.type = k8s::ServiceType::kNodePort;
  service.ports[0].node_port = 30080;
  return service;
}

}  // namespace

TEST_CASE("a ClusterIP Service: a virtual server, its address bound, both in our sets") {
  CHECK(planned(make_service("web", {"10.96.0.1"}),
                {endpoint("10.244.0.2"), endpoint("10.244.0.1")}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
  -> 10.244.0.2:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
virtual-ips-4 10.96.0.1
)");
}

TEST_CASE(
    "no endpoints: the virtual server stays, without destinations, and clients are refused at "
    "once") {
  const std::string empty = R"(
TCP 10.96.0.1:80 rr
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
virtual-ips-4 10.96.0.1
refused-ips-4 10.96.0.1 . tcp . 80
)";
  const auto service = make_service("web", {"10.96.0.1"});
  CHECK(planned(service, {}) == empty);
  CHECK(planned(service, {unready(endpoint("10.244.0.1"))}) == empty);
  CHECK(planned(service, {unready(terminating(endpoint("10.244.0.1")))}) == empty);
  CHECK(planned(service, {endpoint("0.0.0.0"), endpoint("224.0.0.1")}) == empty);
}

TEST_CASE("dual stack: each family has its own address and its own endpoints") {
  CHECK(planned(make_service("web", {"10.96.0.1", "fd00:96::1"}),
                {endpoint("fd00:244::1"), endpoint("10.244.0.1")}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP [fd00:96::1]:80 rr
  -> [fd00:244::1]:8080 weight 1
address 10.96.0.1
address fd00:96::1
cluster-ips-4 10.96.0.1 . tcp . 80
cluster-ips-6 fd00:96::1 . tcp . 80
virtual-ips-4 10.96.0.1
virtual-ips-6 fd00:96::1
)");
}

TEST_CASE("TCP, UDP and SCTP on one port are three virtual servers behind one address") {
  auto service =
      make_service("dns", {"10.96.0.10"},
                   {make_port(53, 53, "a"), make_port(53, 53, "b"), make_port(53, 53, "c")});
  service.ports[1].protocol = k8s::Protocol::kUdp;
  service.ports[2].protocol = k8s::Protocol::kSctp;
  CHECK(planned(service, {endpoint("10.244.0.1", 53)}) == R"(
TCP 10.96.0.10:53 rr
  -> 10.244.0.1:53 weight 1
UDP 10.96.0.10:53 rr
  -> 10.244.0.1:53 weight 1
SCTP 10.96.0.10:53 rr
  -> 10.244.0.1:53 weight 1
address 10.96.0.10
cluster-ips-4 10.96.0.10 . tcp . 53
cluster-ips-4 10.96.0.10 . udp . 53
cluster-ips-4 10.96.0.10 . sctp . 53
virtual-ips-4 10.96.0.10
)");
}

TEST_CASE("NodePort: one more virtual server on each address of the node, which is not bound") {
  CHECK(planned(node_port_service(), {endpoint("10.244.0.1"), endpoint("fd00:244::1")}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP 192.168.1.1:30080 rr
  -> 10.244.0.1:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
node-ports tcp . 30080
virtual-ips-4 10.96.0.1
)");
}

TEST_CASE("NodePort on a node without node port addresses: the cluster IP only") {
  CHECK(planned(node_port_service(), {endpoint("10.244.0.1")}, NodeView{}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
virtual-ips-4 10.96.0.1
)");
}

TEST_CASE("LoadBalancer and external IPs are bound and masqueraded; one given twice counts once") {
  auto service = node_port_service();
  service.type = k8s::ServiceType::kLoadBalancer;
  service.external_ips = ips({"198.51.100.9", "192.0.2.1"});
  service.load_balancer_ingress = {{.ip = ip("192.0.2.1")}};
  const NodeView no_node_ports{};
  CHECK(planned(service, {endpoint("10.244.0.1")}, no_node_ports) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP 192.0.2.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP 198.51.100.9:80 rr
  -> 10.244.0.1:8080 weight 1
address 10.96.0.1
address 192.0.2.1
address 198.51.100.9
cluster-ips-4 10.96.0.1 . tcp . 80
external-ips-4 192.0.2.1 . tcp . 80
external-ips-4 198.51.100.9 . tcp . 80
virtual-ips-4 10.96.0.1
virtual-ips-4 192.0.2.1
virtual-ips-4 198.51.100.9
)");
}

TEST_CASE("a load balancer IP with ipMode Proxy is not served") {
  auto service = make_service("web", {"10.96.0.1"});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.load_balancer_ingress = {{.ip = ip("192.0.2.1"), .proxy_mode = true}};
  CHECK(planned(service, {}) == planned(make_service("web", {"10.96.0.1"}), {}));
}

TEST_CASE("an external IP that is the node's own address is served and never bound") {
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"192.168.1.1"});
  CHECK(planned(service, {endpoint("10.244.0.1")}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP 192.168.1.1:80 rr
  -> 10.244.0.1:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
external-ips-4 192.168.1.1 . tcp . 80
virtual-ips-4 10.96.0.1
)");
}

TEST_CASE("externalTrafficPolicy Local: from outside only to this node, with the source kept") {
  auto service = node_port_service();
  service.type = k8s::ServiceType::kLoadBalancer;
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.load_balancer_ingress = {{.ip = ip("192.0.2.1")}};
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {endpoint("10.244.1.1"), local(endpoint("10.244.0.1"))}, node) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
  -> 10.244.1.1:8080 weight 1
TCP 192.0.2.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP 192.168.1.1:30080 rr
  -> 10.244.0.1:8080 weight 1
address 10.96.0.1
address 192.0.2.1
cluster-ips-4 10.96.0.1 . tcp . 80
external-local-ips-4 192.0.2.1 . tcp . 80
node-ports-local tcp . 30080
virtual-ips-4 10.96.0.1
virtual-ips-4 192.0.2.1
hairpin-4 10.244.0.1 . 10.244.0.1
short-cuts-4 192.0.2.1 . tcp . 80 : 10.96.0.1 . 80
short-cut-node-ports-4 tcp . 30080 : 10.96.0.1 . 80
)");
}

TEST_CASE(
    "externalTrafficPolicy Local with endpoints only elsewhere: dropped from outside, all of them "
    "from inside") {
  auto service = node_port_service();
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.external_ips = ips({"192.0.2.7"});
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {endpoint("10.244.1.1")}, node) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.1.1:8080 weight 1
TCP 192.0.2.7:80 rr
TCP 192.168.1.1:30080 rr
address 10.96.0.1
address 192.0.2.7
cluster-ips-4 10.96.0.1 . tcp . 80
external-local-ips-4 192.0.2.7 . tcp . 80
node-ports-local tcp . 30080
virtual-ips-4 10.96.0.1
virtual-ips-4 192.0.2.7
elsewhere-ips-4 192.0.2.7 . tcp . 80
elsewhere-node-ports-4 tcp . 30080
short-cuts-4 192.0.2.7 . tcp . 80 : 10.96.0.1 . 80
short-cut-node-ports-4 tcp . 30080 : 10.96.0.1 . 80
)");
}

TEST_CASE("externalTrafficPolicy Local with no endpoint anywhere refuses, as any Service does") {
  auto service = node_port_service();
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {}, node) == R"(
TCP 10.96.0.1:80 rr
TCP 192.168.1.1:30080 rr
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
node-ports-local tcp . 30080
virtual-ips-4 10.96.0.1
refused-ips-4 10.96.0.1 . tcp . 80
refused-node-ports-4 tcp . 30080
short-cut-node-ports-4 tcp . 30080 : 10.96.0.1 . 80
)");
}

TEST_CASE(
    "internalTrafficPolicy Local refuses where this node has no endpoint, also when the Service is "
    "exposed") {
  auto service = node_port_service();
  service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {endpoint("10.244.1.1")}, node) == R"(
TCP 10.96.0.1:80 rr
TCP 192.168.1.1:30080 rr
  -> 10.244.1.1:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
node-ports tcp . 30080
virtual-ips-4 10.96.0.1
refused-ips-4 10.96.0.1 . tcp . 80
)");
}

TEST_CASE("with both policies Local all clients get this node's endpoints: there is no short cut") {
  auto service = node_port_service();
  service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {endpoint("10.244.1.1")}, node) == R"(
TCP 10.96.0.1:80 rr
TCP 192.168.1.1:30080 rr
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
node-ports-local tcp . 30080
virtual-ips-4 10.96.0.1
refused-ips-4 10.96.0.1 . tcp . 80
elsewhere-node-ports-4 tcp . 30080
)");
}

TEST_CASE(
    "with --compat=kube-proxy a Local policy without local endpoints falls back to all of them") {
  auto service = node_port_service();
  service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {endpoint("10.244.1.1")}, node, {.kube_proxy = true}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.1.1:8080 weight 1
TCP 192.168.1.1:30080 rr
  -> 10.244.1.1:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
node-ports-local tcp . 30080
virtual-ips-4 10.96.0.1
)");
  auto internal = make_service("web", {"10.96.0.1"});
  internal.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  CHECK(planned(internal, {endpoint("10.244.1.1")}, node, {.kube_proxy = true}) == R"(
TCP 10.96.0.1:80 rr
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
virtual-ips-4 10.96.0.1
refused-ips-4 10.96.0.1 . tcp . 80
)");
}

TEST_CASE(
    "loadBalancerSourceRanges limit only load balancer addresses, each family by its own ranges, "
    "none twice") {
  auto service = make_service("web", {"10.96.0.1", "fd00:96::1"});
  service.load_balancer_ingress = {{.ip = ip("192.0.2.1")}, {.ip = ip("2001:db8::1")}};
  service.external_ips = ips({"192.0.2.9"});
  service.load_balancer_source_ranges = {{ip("203.0.113.0"), 24},
                                         {ip("203.0.113.128"), 25},
                                         {ip("203.0.112.0"), 23},
                                         {ip("198.51.100.4"), 32}};
  const NodeView node{.node_port_addresses = {},
                      .addresses = agent::AddressPolicy({ip("10.0.0.1")})};
  CHECK(planned(service, {}, node) == R"(
TCP 10.96.0.1:80 rr
TCP 192.0.2.1:80 rr
TCP 192.0.2.9:80 rr
TCP [2001:db8::1]:80 rr
TCP [fd00:96::1]:80 rr
address 10.96.0.1
address 192.0.2.1
address 192.0.2.9
address 2001:db8::1
address fd00:96::1
cluster-ips-4 10.96.0.1 . tcp . 80
external-ips-4 192.0.2.1 . tcp . 80
external-ips-4 192.0.2.9 . tcp . 80
external-ips-6 2001:db8::1 . tcp . 80
cluster-ips-6 fd00:96::1 . tcp . 80
virtual-ips-4 10.96.0.1
virtual-ips-4 192.0.2.1
virtual-ips-4 192.0.2.9
virtual-ips-6 2001:db8::1
virtual-ips-6 fd00:96::1
refused-ips-4 10.96.0.1 . tcp . 80
refused-ips-4 192.0.2.1 . tcp . 80
refused-ips-4 192.0.2.9 . tcp . 80
refused-ips-6 2001:db8::1 . tcp . 80
refused-ips-6 fd00:96::1 . tcp . 80
limited-ips-4 192.0.2.1 . tcp . 80
allowed-sources-4 192.0.2.1 . tcp . 80 . 198.51.100.4/32
allowed-sources-4 192.0.2.1 . tcp . 80 . 203.0.112.0/23
)");
}

TEST_CASE("a source range with this node admits the host, and one of all addresses limits nobody") {
  auto service = make_service("web", {"10.96.0.1"});
  service.load_balancer_ingress = {{.ip = ip("192.0.2.1")}};
  service.load_balancer_source_ranges = {{ip("10.0.0.0"), 8}};
  const NodeView node{.node_port_addresses = {},
                      .addresses = agent::AddressPolicy({ip("10.0.0.1")})};
  CHECK(
      planned(service, {}, node).find("allowed-sources-4 192.0.2.1 . tcp . 80 . 192.0.2.1/32\n") !=
      std::string::npos);
  service.load_balancer_source_ranges.push_back({ip("0.0.0.0"), 0});
  CHECK(planned(service, {}, node).find("limited") == std::string::npos);
}

TEST_CASE(
    "health checks are let in on the load balancer IPs that are served, and on no other (E4)") {
  auto service = make_service("web", {"10.96.0.1"});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.external_ips = ips({"198.51.100.9"});
  service.load_balancer_ingress = {{.ip = ip("192.0.2.1")},
                                   {.ip = ip("192.0.2.2"), .proxy_mode = true},
                                   {.ip = ip("192.168.1.2")},
                                   {.ip = ip("2001:db8::1")}};
  service.health_check_node_port = 32000;
  NodeView node;
  node.addresses.set({HolderKind::kNode, "node-2"}, {{ip("192.168.1.2")}});
  const auto health_checks = [&] {
    const std::string text = planned(service, {}, node);
    const auto begin = text.find("health-checks");
    return begin == std::string::npos ? "" : text.substr(begin);
  };
  CHECK(health_checks() == "health-checks-4 192.0.2.1 . tcp . 32000\n");
  service.external_traffic_policy = k8s::TrafficPolicy::kCluster;
  CHECK(health_checks().empty());
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.type = k8s::ServiceType::kNodePort;
  CHECK(health_checks().empty());
}

TEST_CASE("an external IP that is another Node's, or a gateway, is not served, and reported") {
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"192.168.1.2", "192.0.2.1"});
  service.load_balancer_ingress = {{.ip = ip("192.168.1.254")}};
  NodeView node;
  node.addresses.set({HolderKind::kNode, "node-2"}, {{ip("192.168.1.2")}});
  node.addresses.set({HolderKind::kGateway}, {{ip("192.168.1.254")}});
  CHECK(planned(service, {}, node).find("192.168") == std::string::npos);
  const auto refused = agent::refused_addresses(service, node);
  REQUIRE(refused.size() == 2);
  CHECK(refused[0].address == ip("192.168.1.2"));
  CHECK(refused[1].reason == "a gateway of this node");
}

TEST_CASE("of an address of this node's own only the API server's port is refused (B1)") {
  auto service = make_service("web", {"10.96.0.1"}, {make_port(80), make_port(6443)});
  service.external_ips = ips({"192.168.1.1"});
  NodeView node = node_view();
  node.addresses.set({HolderKind::kApiServer}, {{ip("192.168.1.1"), 6443}});
  const std::string plan = planned(service, {}, node);
  CHECK(plan.find("TCP 192.168.1.1:80 ") != std::string::npos);
  CHECK(plan.find("TCP 192.168.1.1:6443") == std::string::npos);
  const auto refused = agent::refused_addresses(service, node);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].text() == "192.168.1.1:6443 is the address of the API server: not served");
}

TEST_CASE("a node port that is the API server's port on this node is refused there alone (B1)") {
  auto service = make_service("web", {"10.96.0.1"});
  service.type = k8s::ServiceType::kNodePort;
  service.ports[0].node_port = 30443;
  NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1", "192.168.1.2"})};
  node.addresses.set_own({ip("192.168.1.1"), ip("192.168.1.2")});
  node.addresses.set({HolderKind::kApiServer}, {{ip("192.168.1.1"), 30443}});
  const std::string plan = planned(service, {}, node);
  CHECK(plan.find("TCP 192.168.1.1:30443") == std::string::npos);
  CHECK(plan.find("TCP 192.168.1.2:30443") != std::string::npos);
}

TEST_CASE("no short cut leads to a cluster IP that is refused (B1)") {
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"192.0.2.1"});
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  NodeView node;
  CHECK(planned(service, {}, node).find("short-cuts-4") != std::string::npos);
  node.addresses.set({HolderKind::kGateway}, {{ip("10.96.0.1")}});
  const std::string plan = planned(service, {}, node);
  CHECK(plan.find("10.96.0.1") == std::string::npos);
  CHECK(plan.find("TCP 192.0.2.1:80") != std::string::npos);
}

TEST_CASE(
    "a Service labelled for another proxy is not served, or with --service-proxy-name served") {
  auto service = make_service("web", {"10.96.0.1"});
  CHECK(agent::is_served(service));
  CHECK_FALSE(agent::is_served(service, "edge"));
  service.meta.labels["service.kubernetes.io/service-proxy-name"] = "edge";
  CHECK_FALSE(agent::is_served(service));
  CHECK(agent::is_served(service, "edge"));
}

TEST_CASE("with slow start the weight of a new endpoint ramps linearly from 10 % to 100 %") {
  ServiceEndpoint fresh = endpoint("10.244.0.1");
  fresh.ready_since = 1000;
  fresh.weight = 2;
  PlanOptions options{.service = {.scheduler = "wrr", .slow_start_seconds = 10}};
  const auto at = [&](k8s::UnixSeconds now) {
    options.now = now;
    return agent::weight_of(fresh, options);
  };
  CHECK(at(999) == 20);  // this clock is behind the API server's
  CHECK(at(1000) == 20);
  CHECK(at(1005) == 110);
  CHECK(at(1009) == 182);
  CHECK(agent::is_ramping({{fresh}}, options));
  CHECK(at(1010) == 200);
  CHECK_FALSE(agent::is_ramping({{fresh}}, options));
  fresh.ready_since = 0;
  CHECK(at(1000) == 200);
  options.service.slow_start_seconds = 0;
  CHECK(at(1000) == 2);
}

TEST_CASE("a terminating endpoint that still serves continues its slow start") {
  ServiceEndpoint last = terminating(endpoint("10.244.0.1"));
  last.ready_since = 1000;
  const PlanOptions options{.service = {.scheduler = "wrr", .slow_start_seconds = 10}, .now = 1005};
  CHECK(agent::weight_of(last, options) == 55);
  CHECK(agent::is_ramping({{last}}, options));
}

TEST_CASE("internalTrafficPolicy Local: the cluster IP has this node's endpoints only") {
  auto service = node_port_service();
  service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  const NodeView node{.node_port_addresses = kernel_ips({"192.168.1.1"})};
  CHECK(planned(service, {endpoint("10.244.1.1"), local(endpoint("10.244.0.1"))}, node) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
TCP 192.168.1.1:30080 rr
  -> 10.244.0.1:8080 weight 1
  -> 10.244.1.1:8080 weight 1
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
node-ports tcp . 30080
virtual-ips-4 10.96.0.1
hairpin-4 10.244.0.1 . 10.244.0.1
)");
}

TEST_CASE("traffic policy Local without a local endpoint does not use endpoints on other nodes") {
  auto service = make_service("web", {"10.96.0.1"});
  service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  CHECK(planned(service, {endpoint("10.244.1.1")}) == planned(service, {}));
}

TEST_CASE("session affinity is a persistent virtual server with the Service's timeout") {
  auto service = make_service("web", {"10.96.0.1"});
  service.client_ip_affinity_seconds = 10800;
  CHECK(planned(service, {}) == R"(
TCP 10.96.0.1:80 rr persistent 10800 s
address 10.96.0.1
cluster-ips-4 10.96.0.1 . tcp . 80
virtual-ips-4 10.96.0.1
refused-ips-4 10.96.0.1 . tcp . 80
)");
}

TEST_CASE(
    "hashing schedulers get the fallback flag, so that clients of a draining endpoint are served") {
  const auto first_line = [](const std::string& scheduler, const k8s::Service& service) {
    const PlanOptions options{
        .service = agent::read_service_options({}, {.scheduler = scheduler}).options};
    const std::string text = planned(service, {}, node_view(), options);
    return text.substr(1, text.find('\n', 1) - 1);
  };
  auto service = make_service("web", {"10.96.0.1"});
  CHECK(first_line("sh", service) == "TCP 10.96.0.1:80 sh flag-1");
  CHECK(first_line("mh", service) == "TCP 10.96.0.1:80 mh flag-1 flag-2");
  CHECK(first_line("wlc", service) == "TCP 10.96.0.1:80 wlc");
  service.client_ip_affinity_seconds = 60;
  CHECK(first_line("mh", service) == "TCP 10.96.0.1:80 mh persistent 60 s flag-1 flag-2");
}

TEST_CASE("only endpoints on this node get a hairpin element") {
  CHECK(planned(make_service("web", {"10.96.0.1", "fd00:96::1"}),
                {local(endpoint("10.244.0.1")), endpoint("10.244.1.1"),
                 local(endpoint("fd00:244::1")), local(unready(endpoint("10.244.0.7")))}) == R"(
TCP 10.96.0.1:80 rr
  -> 10.244.0.1:8080 weight 1
  -> 10.244.1.1:8080 weight 1
TCP [fd00:96::1]:80 rr
  -> [fd00:244::1]:8080 weight 1
address 10.96.0.1
address fd00:96::1
cluster-ips-4 10.96.0.1 . tcp . 80
cluster-ips-6 fd00:96::1 . tcp . 80
virtual-ips-4 10.96.0.1
virtual-ips-6 fd00:96::1
hairpin-4 10.244.0.1 . 10.244.0.1
hairpin-4 10.244.0.7 . 10.244.0.7
hairpin-6 fd00:244::1 . fd00:244::1
)");
}

TEST_CASE("endpoints of other nodes outside the Pod networks get a hairpin element (E2)") {
  const auto service = make_service("web", {"10.96.0.1", "fd00:96::1"});
  const auto elements_with = [&](const std::vector<ipvs::Network>& cluster_cidrs) {
    const auto plan = agent::plan_service(
        service,
        {{local(endpoint("10.244.0.1")), endpoint("10.244.1.1"), endpoint("172.20.0.2"),
          endpoint("fd00:172::2"), endpoint("fd00:244:1::1")}},
        node_view(), {.cluster_cidrs = cluster_cidrs});
    std::vector<std::string> texts;
    for (const ipvs::Element& each : plan.elements) {
      if (each.kind == ipvs::ElementKind::kHairpin) texts.push_back(each.text());
    }
    return texts;
  };
  using Texts = std::vector<std::string>;
  const std::string here = "hairpin-4 10.244.0.1 . 10.244.0.1";
  const std::string host = "hairpin-4 172.20.0.2 . 172.20.0.2";
  CHECK(elements_with({}) == Texts{here});
  // A family without a Pod network: there every reset counts anyway.
  const ipvs::Network v4{.address = kernel_ips({"10.244.0.0"})[0], .prefix_length = 16};
  const ipvs::Network v6{.address = kernel_ips({"fd00:244::"})[0], .prefix_length = 32};
  CHECK(elements_with({v4}) == Texts{here, host});
  CHECK(elements_with({v4, v6}) == Texts{here, host, "hairpin-6 fd00:172::2 . fd00:172::2"});
}

TEST_CASE("each port has its own endpoints") {
  const auto service = make_service("web", {"10.96.0.1"}, {make_port(80), make_port(443)});
  const auto plan = agent::plan_service(
      service, {{endpoint("10.244.0.1", 8080)}, {endpoint("10.244.0.1", 8443)}}, node_view(), {});
  REQUIRE(plan.servers.size() == 2);
  CHECK(server_text(plan.servers[0]) == "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 1\n");
  CHECK(server_text(plan.servers[1]) == "TCP 10.96.0.1:443 rr\n  -> 10.244.0.1:8443 weight 1\n");
}

TEST_CASE("the plan does not depend on the order of endpoints or on duplicates") {
  const auto service = make_service("web", {"10.96.0.1"});
  const auto a = endpoint("10.244.0.1");
  const auto b = endpoint("10.244.0.2");
  CHECK(planned(service, {a, b}) == planned(service, {b, a, b}));
}

TEST_CASE("if no endpoint is ready, the terminating ones that still serve are chosen") {
  const auto chosen = [](const std::vector<ServiceEndpoint>& candidates, bool local_only = false) {
    std::string text;
    for (const auto& e : agent::choose_endpoints(candidates, ipvs::Family::kIpv4, local_only)) {
      text += e.endpoint.address.to_string() + " ";
    }
    return text;
  };
  const auto ready = endpoint("10.244.0.1");
  const auto leaving = terminating(endpoint("10.244.0.2"));
  const auto broken = unready(terminating(endpoint("10.244.0.3")));
  CHECK(chosen({ready, leaving, broken}) == "10.244.0.1 ");
  CHECK(chosen({unready(ready), leaving, broken}) == "10.244.0.2 ");
  CHECK(chosen({broken, unready(ready)}).empty());
  // Local: the ready ones elsewhere do not count.
  CHECK(chosen({ready, local(leaving)}, true) == "10.244.0.2 ");
  CHECK(chosen({ready, leaving}, true).empty());
  // The families are independent: one with terminating endpoints only uses those.
  CHECK(chosen({endpoint("fd00:244::1"), leaving}) == "10.244.0.2 ");
}

TEST_CASE("headless, ExternalName, unallocated and differently proxied Services are not served") {
  const auto service = make_service("web", {"10.96.0.1"});
  CHECK(agent::is_served(service));
  auto headless = service;
  headless.headless = true;
  headless.cluster_ips.clear();
  CHECK_FALSE(agent::is_served(headless));
  auto external = service;
  external.type = k8s::ServiceType::kExternalName;
  CHECK_FALSE(agent::is_served(external));
  auto unallocated = service;
  unallocated.cluster_ips.clear();
  CHECK_FALSE(agent::is_served(unallocated));
  auto labelled = service;
  labelled.meta.labels = {{"service.kubernetes.io/service-proxy-name", ""}};
  CHECK_FALSE(agent::is_served(labelled));
}

TEST_CASE("a Service with the label of headless ones and a cluster IP is served (E8)") {
  auto service = make_service("web", {"10.96.0.1"});
  service.meta.labels = {{"service.kubernetes.io/headless", ""}};
  CHECK(agent::is_served(service));
  service.meta.labels["service.kubernetes.io/headless"] = "true";
  service.meta.labels["service.kubernetes.io/service-proxy-name"] = "edge";
  CHECK(agent::is_served(service, "edge"));
  CHECK_FALSE(agent::is_served(service));
  service.headless = true;  // clusterIP: None
  service.cluster_ips.clear();
  CHECK_FALSE(agent::is_served(service, "edge"));
}

TEST_CASE("policies of Local without a local endpoint are counted if other nodes have endpoints") {
  auto service = node_port_service();
  const agent::ServiceEndpoints none{{}};
  const agent::ServiceEndpoints elsewhere{{endpoint("10.244.0.1")}};
  const agent::ServiceEndpoints here{{endpoint("10.244.0.1"), local(endpoint("10.244.0.2"))}};
  const auto lacks = [&](const agent::ServiceEndpoints& endpoints,
                         ipvs::Family family = ipvs::Family::kIpv4) {
    return agent::lacks_local(service, endpoints, family);
  };
  CHECK(lacks(elsewhere) == agent::LacksLocal{});
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  CHECK(lacks(elsewhere) == agent::LacksLocal{.external = true});
  CHECK(lacks(here) == agent::LacksLocal{});
  CHECK(lacks(none) == agent::LacksLocal{});
  service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  CHECK(lacks(elsewhere) == agent::LacksLocal{.internal = true, .external = true});

  // Each family by its own endpoints, and only if the Service has it.
  CHECK(lacks(elsewhere, ipvs::Family::kIpv6) == agent::LacksLocal{});
  const agent::ServiceEndpoints both{{local(endpoint("10.244.0.1")), endpoint("fd00:244::1")}};
  CHECK(lacks(both, ipvs::Family::kIpv6) == agent::LacksLocal{});
  service.cluster_ips.push_back(ip("fd00:96::1"));
  CHECK(lacks(both, ipvs::Family::kIpv6) == agent::LacksLocal{.internal = true, .external = true});
  CHECK(lacks(both, ipvs::Family::kIpv4) == agent::LacksLocal{});
}

TEST_CASE("servers_of returns the virtual servers of the plan, each with its port") {
  auto service = node_port_service();
  service.ports.push_back(make_port(443));
  service.external_ips = ips({"192.0.2.1"});
  std::vector<std::string> names;
  for (const auto& server : agent::servers_of(service, node_view())) {
    names.push_back(server.key.text() + " " + std::to_string(server.port_index));
  }
  CHECK(names == std::vector<std::string>{"TCP 10.96.0.1:80 0", "TCP 192.0.2.1:80 0",
                                          "TCP 192.168.1.1:30080 0", "TCP 10.96.0.1:443 1",
                                          "TCP 192.0.2.1:443 1"});
  const auto plan = agent::plan_service(service, {{}, {}}, node_view(), {});
  CHECK(plan.servers.size() == names.size());
}

TEST_CASE("a Service is served in the families of its cluster IPs, node ports included") {
  auto service = node_port_service();
  service.external_ips = ips({"192.0.2.1", "2001:db8::1"});
  const auto names = [&] {
    std::string all;
    for (const auto& server : agent::servers_of(service, node_view()))
      all += server.key.text() + "\n";
    return all;
  };
  CHECK(names() == "TCP 10.96.0.1:80\nTCP 192.0.2.1:80\nTCP 192.168.1.1:30080\n");
  service.cluster_ips = ips({"10.96.0.1", "fd00:96::1"});
  CHECK(names() ==
        "TCP 10.96.0.1:80\nTCP [fd00:96::1]:80\nTCP 192.0.2.1:80\nTCP [2001:db8::1]:80\n"
        "TCP 192.168.1.1:30080\nTCP [fd00:1::1]:30080\n");
}
