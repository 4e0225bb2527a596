// SPDX-License-Identifier: Apache-2.0
//
// From the events of a source to what the kernel holds, without the waiting of the sync loop:
// whatever happens in whatever order, the kernel ends up as if it had been planned from scratch.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "agent/cluster_state.hpp"
#include "agent/reconciler.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/plan_text.hpp"

namespace {

using namespace agent::test;
using config::EndpointSource;
using ipvs::Owner;

// The cluster as it is: what a source would list.
struct Cluster {
  std::map<k8s::ObjectKey, k8s::Service> services;
  std::map<k8s::ObjectKey, k8s::Pod> pods;
  std::map<k8s::ObjectKey, k8s::EndpointSlice> slices;
  std::map<k8s::ObjectKey, k8s::Node> nodes;
  std::vector<ipvs::LocalAddress> local;
};

// An agent without its loop.
class Agent {
 public:
  explicit Agent(EndpointSource source) : config_(make_config(source)), state_(config_, events()) {
    reconciler_.adopt(*kernel_.observe());
    REQUIRE(kernel_.install_table({}, {}) == 0);
  }

  agent::ClusterState& state() { return state_; }
  fake::FakeKernel& kernel() { return kernel_; }
  k8s::Sinks sinks() { return state_.sinks(); }

  // What the sync loop does in a pass.
  void pass() {
    if (std::exchange(node_dirty_, false)) {
      reconciler_.set_node_addresses(state_.node_view().node_port_addresses);
    }
    while (!dirty_.empty()) {
      const Owner owner = *dirty_.begin();
      dirty_.erase(dirty_.begin());
      auto wanted = state_.plan(owner, now);
      dirty_.merge(wanted
                       ? reconciler_.set_plan(owner, wanted->since, std::move(wanted->plan)).others
                       : reconciler_.remove(owner));
    }
    carry_out(reconciler_.next_changes(may_drain()));
  }
  void look_at_drains() {
    const auto& resting = reconciler_.ledger().servers_with_resting();
    const std::vector<ipvs::ServerKey> keys(resting.begin(), resting.end());
    carry_out(reconciler_.finish_drains(*kernel_.read_servers(keys), may_drain()));
  }
  // True when there is nothing left to do.
  bool is_settled() {
    return dirty_.empty() && reconciler_.next_changes(may_drain()).empty() &&
           reconciler_.failed_count() == 0;
  }

  k8s::UnixSeconds now = 0;

 private:
  static config::Config make_config(EndpointSource source) {
    config::Config config;
    config.node_name = kThisNode;
    config.endpoint_source = source;
    return config;
  }
  agent::ClusterState::Events events() {
    return {.service_dirty = [this](const Owner& owner) { dirty_.insert(owner); },
            .service_changed = [] {},
            .endpoint_changed = [] {},
            .service_seen = [](const k8s::Service&) {},
            .node_addresses_changed = [this] { node_dirty_ = true; },
            .ready = [] {}};
  }
  ipvs::MayDrain may_drain() {
    return [this](const ipvs::ServerKey& key, const ipvs::Endpoint& e) {
      const ipvs::Owner* owner = reconciler_.desired().owner_of(key);
      return owner && state_.may_drain(*owner, e, now);
    };
  }
  void carry_out(const ipvs::Changes& changes) {
    reconciler_.enter(changes, ipvs::apply(kernel_, changes));
  }

  const config::Config config_;
  std::set<Owner> dirty_;
  bool node_dirty_ = false;
  agent::ClusterState state_;
  agent::Reconciler reconciler_;
  fake::FakeKernel kernel_;
};

template <typename T>
void deliver_list(k8s::Sink<T>* sink, const std::map<k8s::ObjectKey, T>& objects) {
  if (!sink) return;
  sink->list_started();
  for (const auto& [key, object] : objects) sink->upsert(object);
  sink->list_finished();
}

void deliver_lists(Agent& agent, const Cluster& cluster) {
  agent.state().set_local_addresses(cluster.local);
  deliver_list(agent.sinks().services, cluster.services);
  deliver_list(agent.sinks().pods, cluster.pods);
  deliver_list(agent.sinks().slices, cluster.slices);
  deliver_list(agent.sinks().nodes, cluster.nodes);
}

// --- a small world, so that everything meets ---

int number(int first, int last) { return *rc::gen::inRange(first, last + 1); }
bool coin() { return *rc::gen::arbitrary<bool>(); }
std::string numbered(const std::string& prefix, int n) { return prefix + std::to_string(n); }

// A Pod's address says which node it is on, as in a cluster.
std::string node_of(int n) { return n % 2 == 0 ? kThisNode : kOtherNode; }
std::vector<std::string> pod_addresses(int n) {
  std::vector<std::string> addresses{numbered("10.244.0.", n + 1)};
  if (n % 3 == 0) addresses.push_back(numbered("fd00:244::", n + 1));
  return addresses;
}

k8s::Labels arbitrary_labels() {
  k8s::Labels labels{{"app", *rc::gen::element<std::string>("web", "db")}};
  if (coin()) labels["tier"] = *rc::gen::element<std::string>("front", "back");
  return labels;
}

k8s::Service arbitrary_service(const std::string& name, int n) {
  k8s::Service service = make_service(name, {numbered("10.96.0.", n + 1)});
  service.meta.creation_timestamp = number(1, 3);
  service.meta.resource_version = std::to_string(number(1, 1000));
  service.selector = coin() ? arbitrary_labels() : k8s::Labels{};
  if (coin()) service.cluster_ips.push_back(ip(numbered("fd00:96::", n + 1)));
  if (number(0, 7) == 0) service.cluster_ips.clear();
  if (number(0, 7) == 0) service.meta.labels["service.kubernetes.io/headless"] = "";
  if (coin()) service.ports.push_back(make_port(443, std::uint16_t{8443}, "tls"));
  if (coin()) service.ports[0].protocol = k8s::Protocol::kUdp;
  if (coin()) service.ports[0].node_port = static_cast<std::uint16_t>(number(30000, 30001));
  if (coin()) service.external_ips = ips({numbered("192.0.2.", number(1, 2))});
  if (coin()) {
    service.load_balancer_ingress = {
        {.ip = ip(numbered("192.0.2.", number(1, 3))), .proxy_mode = number(0, 3) == 0}};
  }
  if (coin()) service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  if (coin()) service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  if (number(0, 3) == 0) service.client_ip_affinity_seconds = 60;
  service.publish_not_ready_addresses = number(0, 3) == 0;
  service.traffic_distribution =
      *rc::gen::element<std::string>("", "PreferSameZone", "PreferSameNode");
  return service;
}

k8s::Pod arbitrary_pod(const std::string& name, int n) {
  k8s::Pod pod = make_pod(name, pod_addresses(n), arbitrary_labels());
  pod.node_name = node_of(n);
  pod.ready = number(0, 3) != 0;
  if (number(0, 3) == 0) pod.meta.deletion_timestamp = number(1, 100);
  if (number(0, 7) == 0) pod.phase = k8s::PodPhase::kSucceeded;
  return pod;
}

std::string arbitrary_zone() { return *rc::gen::element<std::string>("zone-a", "zone-b"); }

k8s::EndpointSlice arbitrary_slice(const std::string& name, int services) {
  std::vector<k8s::SliceEndpoint> endpoints;
  for (int i = number(0, 3); i > 0; --i) {
    const int n = number(0, 5);
    k8s::SliceEndpoint e = make_slice_endpoint(pod_addresses(n).back(), numbered("pod-", n));
    e.node_name = node_of(n);
    e.serving = number(0, 3) != 0;
    e.terminating = number(0, 3) == 0;
    e.ready = e.serving && !e.terminating;
    if (coin()) e.zone_hints = {arbitrary_zone()};
    if (coin()) e.node_hints = {node_of(n)};
    endpoints.push_back(e);
  }
  return make_slice(name, numbered("svc-", number(0, services - 1)), endpoints);
}

std::vector<ipvs::LocalAddress> arbitrary_local() {
  std::vector<ipvs::LocalAddress> local{{.address = ip("192.168.1.1"), .interface_name = "eth0"}};
  // An address of the node may be a load balancer's too; and it may come to be a cluster IP's.
  for (const char* other : {"192.168.1.2", "192.0.2.1", "fd00:1::1", "10.96.0.1"}) {
    if (number(0, 2) == 0) local.push_back({.address = ip(other), .interface_name = "eth1"});
  }
  return local;
}

template <typename T>
void change(std::map<k8s::ObjectKey, T>& objects, k8s::Sink<T>* sink, T object) {
  const k8s::ObjectKey key = object.meta.key;
  if (number(0, 3) == 0) {
    if (objects.erase(key) > 0 && sink) sink->remove(key);
    return;
  }
  objects[key] = object;
  if (sink) sink->upsert(std::move(object));
}

constexpr int kServices = 4;

void one_event(Cluster& cluster, Agent& agent) {
  const k8s::Sinks sinks = agent.sinks();
  switch (number(0, 10)) {
    case 0:
    case 1: {
      const int n = number(0, kServices - 1);
      change(cluster.services, sinks.services, arbitrary_service(numbered("svc-", n), n));
      break;
    }
    case 2:
    case 3:
    case 4: {
      const int n = number(0, 5);
      change(cluster.pods, sinks.pods, arbitrary_pod(numbered("pod-", n), n));
      break;
    }
    case 5:
    case 6:
      change(cluster.slices, sinks.slices,
             arbitrary_slice(numbered("slice-", number(0, 3)), kServices));
      break;
    case 7:
      cluster.local = arbitrary_local();
      agent.state().set_local_addresses(cluster.local);
      break;
    case 8:
      change(cluster.nodes, sinks.nodes,
             make_node(coin() ? kThisNode : kOtherNode, coin() ? arbitrary_zone() : ""));
      break;
    case 9:
      deliver_lists(agent, cluster);
      break;
    default:
      agent.now += number(0, 30);
      agent.look_at_drains();
      break;
  }
}

void check_source(EndpointSource source) {
  Cluster cluster;
  cluster.local = arbitrary_local();
  Agent agent(source);
  if (coin()) deliver_lists(agent, cluster);
  agent.state().set_local_addresses(cluster.local);
  for (int events = number(1, 40); events > 0; --events) {
    one_event(cluster, agent);
    if (coin()) agent.pass();
  }
  agent.pass();
  agent.look_at_drains();

  Agent scratch(source);
  deliver_lists(scratch, cluster);
  scratch.pass();

  RC_ASSERT(agent.kernel().violations == std::vector<std::string>{});
  RC_ASSERT(kernel_text(agent.kernel()) == kernel_text(scratch.kernel()));
  RC_ASSERT(agent.is_settled());
}

}  // namespace

TEST_CASE("any order of cluster events ends in the kernel state planned from scratch") {
  SECTION("endpoints by selector") {
    REQUIRE(rc::check("selector", [] { check_source(EndpointSource::kSelector); }));
  }
  SECTION("endpoints by EndpointSlices") {
    REQUIRE(rc::check("endpointslice", [] { check_source(EndpointSource::kEndpointSlice); }));
  }
}
