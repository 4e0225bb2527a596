// SPDX-License-Identifier: Apache-2.0
//
// When the Nodes of others are needed, and what waits for them. Here the source delivers them by a
// sink of their own, as an API server's does.
#include "agent/cluster/other_nodes.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using config::EndpointSource;
using Names = std::set<std::string>;

struct Fixture : private agent::ClusterObserver {
  explicit Fixture(EndpointSource source = EndpointSource::kSelector)
      : config{.node_name = kThisNode, .endpoint_source = source},
        state(config, *this, {.monotonic = [] { return 0; }}) {
    state.set_local_addresses({{.address = ip("192.168.1.1"), .interface_name = "eth0"}});
  }

  template <typename T>
  void list(k8s::Sink<T>* sink, const std::vector<T>& objects) {
    if (!sink) return;
    sink->list_started();
    for (const T& object : objects) sink->upsert(object);
    sink->list_finished();
  }
  // The first lists of all kinds.
  void begin(const std::vector<k8s::Service>& services, const std::vector<k8s::Pod>& pods = {},
             const std::string& own_zone = "zone-a") {
    const k8s::Sinks sinks = state.sinks();
    list(sinks.services, services);
    list(sinks.pods, pods);
    list(sinks.weighted_pods, std::vector<k8s::Pod>{});
    list(sinks.slices, std::vector<k8s::EndpointSlice>{});
    list(sinks.nodes, {make_node(kThisNode, own_zone)});
  }
  void deliver_others(const std::vector<k8s::Node>& nodes) {
    list(state.sinks().other_nodes, nodes);
  }
  std::string plan(const std::string& service) {
    return plan_text(state.plan("default/" + service)->plan);
  }
  bool serves(const std::string& service, const std::string& server) {
    return plan(service).find(server) != std::string::npos;
  }
  bool has_notices(const std::string& service) {
    return !state.plan("default/" + service)->notices.empty();
  }

  void on_dirty(const ipvs::Owner& service) override { dirty.insert(service); }
  void on_ready() override { ++ready; }
  bool request_other_nodes() override {
    ++requests;
    return true;
  }

  config::Config config;
  Names dirty;
  int ready = 0;
  int requests = 0;
  agent::ClusterState state;
};

k8s::Service external(const std::string& name, const std::string& address,
                      const std::string& cluster_ip = "10.96.0.9") {
  auto service = make_service(name, {cluster_ip});
  service.external_ips = ips({address});
  return service;
}

k8s::Service balanced(const std::string& name, const std::string& address) {
  auto service = make_service(name, {"10.96.0.8"});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.load_balancer_ingress = {{.ip = ip(address)}};
  return service;
}

k8s::Service near(const std::string& name, const std::string& distribution = "PreferSameZone") {
  auto service = make_service(name, {"10.96.0.7"});
  service.traffic_distribution = distribution;
  return service;
}

k8s::Pod away_pod(const std::string& zone = {}) {
  auto pod = make_pod("away", {"10.244.1.1"});
  pod.node_name = kOtherNode;
  if (!zone.empty()) pod.meta.labels["topology.kubernetes.io/zone"] = zone;
  return pod;
}

}  // namespace

TEST_CASE(
    "only a Service that is served at an external address may ask for one of a Node "
    "(item 2)") {
  CHECK(agent::may_ask_for_nodes(external("web", "192.0.2.1")));
  CHECK(agent::may_ask_for_nodes(balanced("web", "192.0.2.1")));
  auto port = make_service("web", {"10.96.0.9"});
  port.type = k8s::ServiceType::kNodePort;
  port.ports[0].node_port = 30080;
  CHECK_FALSE(agent::may_ask_for_nodes(port));
  auto by_proxy = balanced("web", "192.0.2.1");
  by_proxy.load_balancer_ingress[0].proxy_mode = true;
  CHECK_FALSE(agent::may_ask_for_nodes(by_proxy));
  CHECK_FALSE(agent::may_ask_for_nodes(external("web", "192.0.2.1"), "another-proxy"));
  CHECK_FALSE(agent::may_ask_for_nodes(external("web", "fd00::1")));  // no cluster IP in IPv6
  auto headless = external("web", "192.0.2.1");
  headless.headless = true;
  headless.cluster_ips.clear();
  CHECK_FALSE(agent::may_ask_for_nodes(headless));
}

TEST_CASE("without a Service that needs them, other Nodes are not requested (item 9)") {
  const auto source = GENERATE(EndpointSource::kSelector, EndpointSource::kEndpointSlice);
  Fixture f(source);
  f.begin({make_service("web", {"10.96.0.1"}), near("near")}, {away_pod("zone-b")});
  f.plan("near");
  f.plan("web");
  CHECK(f.requests == 0);
  CHECK(f.ready == 1);
}

TEST_CASE(
    "in both modes an external address waits for other Nodes, and nothing else does "
    "(item 2)") {
  const auto source = GENERATE(EndpointSource::kSelector, EndpointSource::kEndpointSlice);
  Fixture f(source);
  f.begin({make_service("web", {"10.96.0.1"})});
  CHECK(f.ready == 1);
  f.state.sinks().services->upsert(external("greedy", "172.20.0.2"));
  f.state.sinks().services->upsert(balanced("fine", "192.0.2.1"));
  f.state.sinks().services->upsert(external("own", "192.168.1.1", "10.96.0.6"));
  CHECK(f.requests == 1);
  CHECK_FALSE(f.serves("greedy", "172.20.0.2"));
  CHECK_FALSE(f.serves("fine", "192.0.2.1"));
  CHECK_FALSE(f.has_notices("greedy"));
  CHECK(f.serves("greedy", "TCP 10.96.0.9:80"));
  CHECK(f.serves("fine", "TCP 10.96.0.8:80"));
  CHECK(f.serves("own", "TCP 192.168.1.1:80"));
  CHECK(f.serves("web", "TCP 10.96.0.1:80"));
  f.dirty.clear();
  f.deliver_others({make_node(kOtherNode, "", "172.20.0.2")});
  CHECK(f.dirty == Names{"default/fine", "default/greedy", "default/own"});
  CHECK_FALSE(f.serves("greedy", "172.20.0.2"));
  CHECK(f.has_notices("greedy"));
  CHECK(f.serves("fine", "TCP 192.0.2.1:80"));
  CHECK(f.ready == 1);
}

TEST_CASE("the first table waits for other Nodes that the first lists need (item 2)") {
  Fixture f;
  f.begin({balanced("fine", "192.0.2.1")});
  CHECK(f.requests == 1);
  CHECK(f.ready == 0);
  CHECK(f.state.lists_awaited() == "other Nodes");
  SECTION("until they are there") { f.deliver_others({make_node(kOtherNode)}); }
  SECTION("until there are none") { f.deliver_others({}); }
  SECTION("until they are not to be had") { f.state.other_nodes_unavailable("403"); }
  CHECK(f.ready == 1);
  CHECK(f.state.lists_awaited().empty());
  CHECK(f.serves("fine", "TCP 192.0.2.1:80"));
  f.deliver_others({make_node(kOtherNode)});
  CHECK(f.ready == 1);
}

TEST_CASE("other Nodes that are there before the other kinds begin nothing (item 2)") {
  Fixture f;
  f.state.sinks().services->list_started();
  f.state.sinks().services->upsert(balanced("fine", "192.0.2.1"));
  CHECK(f.requests == 1);
  f.deliver_others({});
  CHECK(f.ready == 0);
  f.begin({balanced("fine", "192.0.2.1")});
  CHECK(f.ready == 1);
  CHECK(f.requests == 1);
}

TEST_CASE("other Nodes that come after they were given up protect their addresses (item 2)") {
  Fixture f;
  f.begin({external("greedy", "172.20.0.2")});
  f.state.other_nodes_unavailable("Node list: 403 Forbidden");
  CHECK(f.serves("greedy", "TCP 172.20.0.2:80"));
  CHECK(f.state.other_nodes().fault() == "Node list: 403 Forbidden");
  f.dirty.clear();
  f.deliver_others({make_node(kOtherNode, "", "172.20.0.2")});
  CHECK(f.dirty == Names{"default/greedy"});
  CHECK_FALSE(f.serves("greedy", "172.20.0.2"));
  CHECK(f.state.other_nodes().fault().empty());
  // Faults of a watch that was there are the source's own business.
  f.state.other_nodes_unavailable("Node watch: 503");
  CHECK(f.state.other_nodes().fault().empty());
}

TEST_CASE("a Pod without a label for its zone needs its Node's, before the first table (item 9)") {
  Fixture f;
  f.begin({near("near")}, {make_pod("here", {"10.244.0.1"}), away_pod()});
  CHECK(f.requests == 1);
  CHECK(f.ready == 0);
  f.deliver_others({make_node(kOtherNode, "zone-b")});
  CHECK(f.ready == 1);
}

TEST_CASE("a Pod that comes without a label for its zone needs its Node's (item 9)") {
  Fixture f;
  f.begin({near("near")}, {make_pod("here", {"10.244.0.1"}), away_pod("zone-b")});
  CHECK(f.requests == 0);
  auto later = make_pod("later", {"10.244.1.2"});
  later.node_name = kOtherNode;
  f.state.sinks().pods->upsert(later);
  CHECK(f.serves("near", "10.244.1.2:8080"));  // no hint for all: all of them, meanwhile
  CHECK(f.requests == 1);
  CHECK(f.serves("near", "TCP 10.96.0.7:80"));
  f.dirty.clear();
  f.deliver_others({make_node(kOtherNode, "zone-b")});
  CHECK(f.dirty == Names{"default/near"});
  CHECK_FALSE(f.serves("near", "10.244.1.2:8080"));
}

TEST_CASE("without a zone of this node, or a Pod on another one, no zone is needed (item 9)") {
  Fixture f;
  SECTION("no zone here") { f.begin({near("near")}, {away_pod()}, ""); }
  SECTION("no Pod elsewhere") { f.begin({near("near")}, {make_pod("here", {"10.244.0.1"})}); }
  SECTION("no such Service") { f.begin({make_service("web", {"10.96.0.1"})}, {away_pod()}); }
  SECTION("EndpointSlices have the hints") {
    Fixture slices(EndpointSource::kEndpointSlice);
    slices.begin({near("near")});
    slices.state.sinks().slices->upsert(
        make_slice("near-abc", "near", {make_slice_endpoint("10.244.1.1")}));
    slices.plan("near");
    CHECK(slices.requests == 0);
    f.begin({});
  }
  CHECK(f.requests == 0);
  CHECK(f.ready == 1);
}

TEST_CASE(
    "a health check is not answered on a load balancer's IP that waits for other Nodes "
    "(item 2)") {
  Fixture f;
  f.begin({});
  auto service = balanced("fine", "192.0.2.1");
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.health_check_node_port = 31000;
  f.state.sinks().services->upsert(service);
  CHECK(f.state.health_check(key_of("fine"))->load_balancer_ips.empty());
  f.deliver_others({});
  CHECK(f.state.health_check(key_of("fine"))->load_balancer_ips == kernel_ips({"192.0.2.1"}));
}
