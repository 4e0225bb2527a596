// SPDX-License-Identifier: Apache-2.0
//
// A node, Services and Pods, and the kernel that holds what is planned for them: what questions are
// asked about in tests.
//
//   node       203.0.113.1, fd00:203::1; Pods 10.244.1.0/24, fd00:244:1::/64
//   cluster    10.244.0.0/16, fd00:244::/32
//   Pods       web-1 10.244.1.11 here, web-2 10.244.2.12 on the other node, both with IPv6, too
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/answers/explain.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "test/agent/objects.hpp"

namespace agent::test {

class World : private ClusterObserver {
 public:
  explicit World(config::Config given = pod_networks())
      : config(std::move(given)), state(config, *this, {.monotonic = [] { return 1000; }}) {
    state.set_local_addresses({{.address = ip("203.0.113.1"), .interface_name = "eth0"},
                               {.address = ip("fd00:203::1"), .interface_name = "eth0"}});
    k8s::Node node = make_node(kThisNode, "", "203.0.113.1");
    node.pod_cidrs = {{.address = ip("10.244.1.0"), .prefix_length = 24},
                      {.address = ip("fd00:244:1::"), .prefix_length = 64}};
    state.sinks().nodes->upsert(std::move(node));
  }

  static config::Config pod_networks() {
    config::Config config = no_networks();
    config.cluster_cidrs = {{ip("10.244.0.0"), 16}, {ip("fd00:244::"), 32}};
    return config;
  }
  static config::Config no_networks() {
    config::Config config;
    config.node_name = kThisNode;
    return config;
  }

  // web-1 here, web-2 on the other node.
  void add_pods(const k8s::Labels& labels = {{"app", "web"}}) {
    add(make_pod("web-1", {"10.244.1.11", "fd00:244:1::11"}, labels));
    k8s::Pod other = make_pod("web-2", {"10.244.2.12", "fd00:244:2::12"}, labels);
    other.node_name = kOtherNode;
    add(std::move(other));
  }
  void add(k8s::Pod pod) { state.sinks().pods->upsert(std::move(pod)); }
  void add(k8s::Service service) {
    owners_.insert(service.meta.key.text());
    state.sinks().services->upsert(std::move(service));
  }

  // The kernel gets all that is planned.
  void settle() {
    ledger = {};
    for (const ipvs::Owner& owner : owners_) {
      auto planned = state.plan(owner);
      if (!planned) continue;
      for (const ipvs::Server& server : planned->plan.servers) ledger.put_server(server);
      for (const ipvs::Address& address : planned->plan.addresses) ledger.put_address(address);
      for (const ipvs::Element& element : planned->plan.elements) ledger.put_element(element);
      desired.set(owner, std::move(planned->plan));
    }
    for (const ipvs::Address& address : state.node_port_addresses())
      ledger.put_element({.kind = ipvs::ElementKind::kNodeAddress, .address = address});
    rules = state.table_rules();
  }

  ExplainView view() const {
    return {.cluster = state,
            .config = config,
            .ledger = ledger,
            .desired = desired,
            .rules = rules,
            .foreign = foreign,
            .forward_chains = forward_chains,
            .vips_are_routed = config.vip_binding == config::VipBinding::kRoute};
  }

  const config::Config config;
  ClusterState state;
  ipvs::Ledger ledger;
  ipvs::Desired desired;
  ipvs::TableRules rules;
  std::set<ipvs::ServerKey> foreign;
  std::vector<ipvs::ForwardChain> forward_chains;

 private:
  void on_dirty(const ipvs::Owner&) override {}
  std::set<ipvs::Owner> owners_;
};

// Of type LoadBalancer, both families, with all kinds of entrances: cluster IPs 10.96.0.N and
// fd00:96::N, load balancer IPs 192.0.2.N and fd00:192::N, node port 30080 + N.
inline k8s::Service exposed(const std::string& name, int number) {
  const std::string n = std::to_string(number);
  k8s::Service service = make_service(name, {"10.96.0." + n, "fd00:96::" + n},
                                      {make_port(80, std::uint16_t{8080}, "http")});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.ports[0].node_port = static_cast<std::uint16_t>(30080 + number);
  service.load_balancer_ingress = {{.ip = ip("192.0.2." + n)}, {.ip = ip("fd00:192::" + n)}};
  return service;
}

inline k8s::Service exposed_locally(const std::string& name, int number) {
  k8s::Service service = exposed(name, number);
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.health_check_node_port = static_cast<std::uint16_t>(32080 + number);
  return service;
}

// The same for Pods with another label than "web".
inline k8s::Service of(k8s::Service service, const std::string& label) {
  service.selector = {{"app", label}};
  return service;
}

}  // namespace agent::test
