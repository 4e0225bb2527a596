// SPDX-License-Identifier: Apache-2.0
//
// Addresses that Services name and this node needs for something else, as ClusterState learns of
// both, in any order.
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::HolderKind;
using Names = std::set<std::string>;

struct Fixture : private agent::ClusterObserver {
  Fixture() : state(config, *this) {
    state.set_local_addresses({{.address = ip("192.168.1.1"), .interface_name = "eth0"}});
  }

  void add(const k8s::Service& service) { state.sinks().services->upsert(service); }
  void add(const k8s::Node& node) { state.sinks().nodes->upsert(node); }
  void remove(const k8s::Node& node) { state.sinks().nodes->remove(node.meta.key); }

  // The Services that are marked, planned until no more are.
  Names replan() {
    Names planned;
    while (!dirty.empty()) {
      const std::string next = *dirty.begin();
      dirty.erase(dirty.begin());
      planned.insert(next);
      state.plan(next);
    }
    return planned;
  }
  bool serves(const std::string& service, const std::string& server) {
    return plan_text(state.plan("default/" + service)->plan).find(server + " rr\n") !=
           std::string::npos;
  }
  bool binds(const std::string& service, const std::string& address) {
    return plan_text(state.plan("default/" + service)->plan).find("address " + address + "\n") !=
           std::string::npos;
  }
  std::string notes(const std::string& service) {
    std::string text;
    const auto plan = state.plan("default/" + service);
    for (const auto& notice : plan->notices) text += notice.note + "\n";
    return text;
  }

  void on_dirty(const ipvs::Owner& service) override { dirty.insert(service); }

  config::Config config{.node_name = kThisNode};
  Names dirty;
  agent::ClusterState state;
};

k8s::Service greedy(const std::string& address, const std::string& cluster_ip = "10.96.0.9") {
  auto service = make_service("greedy", {cluster_ip});
  service.external_ips = ips({address});
  return service;
}

k8s::Service balanced(const std::string& address) {
  auto service = make_service("greedy", {"10.96.0.9"});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.load_balancer_ingress = {{.ip = ip(address)}};
  return service;
}

}  // namespace

TEST_CASE("the API server's address is never bound, and served when it is another one (B1)") {
  for (const auto& service : {greedy("198.51.100.77"), balanced("198.51.100.77")}) {
    Fixture f;
    f.state.set_holder({HolderKind::kApiServer, "configured"}, {{ip("198.51.100.77"), 8080}});
    f.add(service);
    CHECK_FALSE(f.serves("greedy", "TCP 198.51.100.77:80"));
    CHECK_FALSE(f.binds("greedy", "198.51.100.77"));
    CHECK(f.serves("greedy", "TCP 10.96.0.9:80"));
    CHECK(f.notes("greedy") == "198.51.100.77 is the address of the API server: not served\n");
    f.dirty.clear();
    f.state.set_holder({HolderKind::kApiServer, "configured"}, {{ip("198.51.100.78"), 8080}});
    CHECK(f.replan() == Names{"default/greedy"});
    CHECK(f.binds("greedy", "198.51.100.77"));
    CHECK(f.notes("greedy").empty());
  }
}

TEST_CASE("a cluster IP that is a gateway is refused until the gateway is another one (B1)") {
  Fixture f;
  f.state.set_gateways(kernel_ips({"10.96.0.9"}));
  f.add(make_service("web", {"10.96.0.9"}));
  f.add(make_service("other", {"10.96.0.8"}));
  CHECK_FALSE(f.binds("web", "10.96.0.9"));
  CHECK(f.notes("web") == "10.96.0.9 is a gateway of this node: not served\n");
  f.dirty.clear();
  f.state.set_gateways({});
  CHECK(f.replan() == Names{"default/web"});
  CHECK(f.binds("web", "10.96.0.9"));
}

TEST_CASE("the endpoints of default/kubernetes are API servers (B1)") {
  Fixture f;
  f.add(greedy("172.20.0.9"));
  CHECK(f.binds("greedy", "172.20.0.9"));
  auto kubernetes = make_service("kubernetes", {"10.96.0.1"}, {make_port(443, 6443)});
  kubernetes.selector.clear();
  f.add(kubernetes);
  f.replan();
  f.state.sinks().slices->upsert(
      make_slice("kubernetes", "kubernetes", {make_slice_endpoint("172.20.0.9")}, 6443));
  CHECK(f.replan() == Names{"default/greedy", "default/kubernetes"});
  CHECK_FALSE(f.binds("greedy", "172.20.0.9"));
  CHECK(f.serves("kubernetes", "TCP 10.96.0.1:443"));
  f.state.sinks().services->remove(kubernetes.meta.key);
  CHECK(f.replan() == Names{"default/greedy", "default/kubernetes"});
  CHECK(f.binds("greedy", "172.20.0.9"));
}

TEST_CASE("default/kubernetes is served at the address by which the API server is reached (B1)") {
  Fixture f;
  f.state.set_holder({HolderKind::kApiServer, "resolved"}, {{ip("10.96.0.1"), 443}});
  f.add(make_service("kubernetes", {"10.96.0.1"}, {make_port(443, 6443)}));
  f.add(greedy("10.96.0.1"));
  CHECK(f.binds("kubernetes", "10.96.0.1"));
  CHECK_FALSE(f.serves("greedy", "TCP 10.96.0.1:80"));
}

TEST_CASE("an address of this node's own is served, whatever a stale Node says (B2)") {
  Fixture f;
  f.add(make_node("node-old-name", "", "192.168.1.1"));
  f.add(balanced("192.168.1.1"));
  CHECK(f.serves("greedy", "TCP 192.168.1.1:80"));
  CHECK_FALSE(f.binds("greedy", "192.168.1.1"));
  CHECK(f.notes("greedy").empty());
  // It moves away, as one of keepalived's does: then it is the Node's.
  f.dirty.clear();
  f.state.set_local_addresses({{.address = ip("192.168.1.9"), .interface_name = "eth0"}});
  CHECK(f.replan() == Names{"default/greedy"});
  CHECK_FALSE(f.serves("greedy", "TCP 192.168.1.1:80"));
}

TEST_CASE("an ExternalIP of another Node does not keep a Service from its address (B3)") {
  Fixture f;
  k8s::Node worker = make_node(kOtherNode, "", "172.20.0.2");
  worker.addresses.push_back(
      {.type = k8s::NodeAddressType::kExternalIp, .address = ip("192.0.2.10")});
  f.add(worker);
  f.add(balanced("192.0.2.10"));
  CHECK(f.binds("greedy", "192.0.2.10"));
  f.add(balanced("172.20.0.2"));
  CHECK_FALSE(f.binds("greedy", "172.20.0.2"));
}

TEST_CASE("a cloud that reports the addresses of kube-ipvs0 takes none of them away (B3)") {
  Fixture f;
  f.add(make_service("kubernetes", {"10.96.0.1"}));
  f.add(balanced("192.0.2.10"));
  f.replan();
  k8s::Node worker = make_node(kOtherNode, "", "172.20.0.2");
  for (const char* reported : {"10.96.0.1", "10.96.0.9", "192.0.2.10"}) {
    worker.addresses.push_back(
        {.type = k8s::NodeAddressType::kInternalIp, .address = ip(reported)});
  }
  f.add(worker);
  f.replan();
  CHECK(f.binds("greedy", "192.0.2.10"));
  CHECK(f.binds("greedy", "10.96.0.9"));
  CHECK(f.binds("kubernetes", "10.96.0.1"));
}

TEST_CASE("an address of two Nodes is refused until the last of them is deleted (B4)") {
  Fixture f;
  const auto wa = make_node("wa", "", "172.20.0.2");
  const auto wb = make_node("wb", "", "172.20.0.2");
  f.add(wa);
  f.add(wb);
  f.add(balanced("172.20.0.2"));
  f.remove(wb);
  f.replan();
  CHECK_FALSE(f.binds("greedy", "172.20.0.2"));
  CHECK(f.notes("greedy") == "172.20.0.2 is the address of Node wa: not served\n");
  f.remove(wa);
  CHECK(f.replan() == Names{"default/greedy"});
  CHECK(f.binds("greedy", "172.20.0.2"));
}

TEST_CASE("an address of two Services is served when it is free, by both ports (B4)") {
  Fixture f;
  const auto worker = make_node(kOtherNode, "", "172.20.0.2");
  f.add(worker);
  f.add(greedy("172.20.0.2"));
  auto second = make_service("second", {"10.96.0.8"}, {make_port(81)});
  second.external_ips = ips({"172.20.0.2"});
  f.add(second);
  f.replan();
  f.remove(worker);
  CHECK(f.replan() == Names{"default/greedy", "default/second"});
}

TEST_CASE("an event of a Node marks only the Services that name its addresses") {
  Fixture f;
  f.add(greedy("172.20.0.2"));
  f.add(make_service("web", {"172.20.0.3"}));
  f.replan();
  f.add(make_node(kOtherNode, "", "172.20.0.3"));
  CHECK(f.replan().empty());
  f.add(make_node(kOtherNode, "", "172.20.0.2"));
  CHECK(f.replan() == Names{"default/greedy"});
  f.add(make_node(kOtherNode, "zone-a", "172.20.0.2"));
  CHECK(f.replan().empty());
}

TEST_CASE("a plan says which addresses only externalIPs names (B5)") {
  Fixture f;
  auto service = balanced("192.0.2.1");
  service.external_ips = ips({"192.0.2.2", "192.0.2.1"});
  f.add(service);
  CHECK(f.state.plan("default/greedy")->external_ips == kernel_ips({"192.0.2.2"}));
}
