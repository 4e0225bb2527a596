// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/cluster_state.hpp"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <utility>

#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::ClusterState;
using config::EndpointSource;

class Fixture : private agent::ClusterObserver {
 public:
  explicit Fixture(config::Config config)
      : config_(std::move(config)),
        state(config_, *this,
              {.monotonic = [this] { return now_; }, .wall = [this] { return now_ + ahead; }}) {}
  explicit Fixture(EndpointSource source = EndpointSource::kSelector,
                   const std::string& proxy_name = {},
                   config::Compat compat = config::Compat::kNone)
      : config_(make_config(source, proxy_name, compat)),
        state(config_, *this,
              {.monotonic = [this] { return now_; }, .wall = [this] { return now_ + ahead; }}) {}

  void own(const std::vector<std::string>& addresses) {
    std::vector<ipvs::LocalAddress> local;
    for (const auto& address : addresses) local.push_back({.address = ip(address)});
    state.set_local_addresses(local);
  }
  void at(agent::MonotonicSeconds time) { now_ = time; }
  // At that time.
  std::optional<agent::PlannedService> plan_at(const ipvs::Owner& service,
                                               agent::MonotonicSeconds time) {
    now_ = time;
    return state.plan(service);
  }
  bool may_drain_at(const ipvs::Owner& service, const ipvs::Endpoint& endpoint,
                    agent::MonotonicSeconds time) {
    now_ = time;
    return state.may_drain(service, endpoint);
  }
  std::set<std::string> take_dirty() { return std::exchange(dirty_, {}); }

 private:
  static config::Config make_config(EndpointSource source, const std::string& proxy_name,
                                    config::Compat compat) {
    config::Config config;
    config.compat = compat;
    config.service_proxy_name = proxy_name;
    config.node_name = kThisNode;
    config.endpoint_source = source;
    return config;
  }
  void on_dirty(const ipvs::Owner& service) override { dirty_.insert(service); }
  void on_node_view() override { ++node_changes; }
  void on_ready() override { ++ready; }

  const config::Config config_;
  std::set<std::string> dirty_;
  agent::MonotonicSeconds now_ = 0;

 public:
  k8s::UnixSeconds ahead =
      0;  // of the API server's clock, which agrees with the monotonic one here
  int node_changes = 0;
  int ready = 0;
  ClusterState state;
};

template <typename T>
void deliver_empty_list(k8s::Sink<T>* sink) {
  sink->list_started();
  sink->list_finished();
}

using Names = std::set<std::string>;

k8s::Service annotated(const k8s::Labels& annotations) {
  auto service = make_service("web", {"10.96.0.1"});
  service.meta.annotations = annotations;
  return service;
}

std::string notes(const agent::PlannedService& plan) {
  std::string text;
  for (const auto& notice : plan.notices)
    text += std::string(text_of(notice.reason)) + ": " + notice.note + "\n";
  return text;
}

const ipvs::Endpoint kPod{ip("10.244.0.1"), 8080};

}  // namespace

TEST_CASE("the cluster is known when each kind that was asked for has been listed once") {
  Fixture f;
  deliver_empty_list(f.state.sinks().services);
  deliver_empty_list(f.state.sinks().services);
  deliver_empty_list(f.state.sinks().nodes);
  deliver_empty_list(f.state.sinks().pods);
  CHECK(f.ready == 0);
  deliver_empty_list(f.state.sinks().slices);
  CHECK(f.ready == 1);
  deliver_empty_list(f.state.sinks().slices);
  CHECK(f.ready == 1);
}

TEST_CASE("Pods are not asked for when endpoints come from EndpointSlices") {
  Fixture f(EndpointSource::kEndpointSlice);
  CHECK(f.state.sinks().pods == nullptr);
  deliver_empty_list(f.state.sinks().services);
  deliver_empty_list(f.state.sinks().nodes);
  deliver_empty_list(f.state.sinks().weighted_pods);
  CHECK(f.ready == 0);
  CHECK(f.state.lists_awaited() == "EndpointSlices");
  deliver_empty_list(f.state.sinks().slices);
  CHECK(f.ready == 1);
}

TEST_CASE(
    "Pods that may not be listed are not awaited once EndpointSlices take their place (18.1)") {
  Fixture f(EndpointSource::kAuto);
  const k8s::Sinks sinks = f.state.sinks();
  REQUIRE(sinks.pods != nullptr);
  deliver_empty_list(sinks.services);
  deliver_empty_list(sinks.nodes);
  deliver_empty_list(sinks.slices);
  CHECK(f.state.lists_awaited() == "Pods");
  CHECK(f.ready == 0);
  sinks.endpoints_from_pods(false);
  CHECK(f.state.lists_awaited().empty());
  CHECK(f.ready == 1);
  sinks.endpoints_from_pods(true);
  sinks.endpoints_from_pods(false);
  CHECK(f.ready == 1);
}

TEST_CASE("a change of the source of endpoints plans the Services with a selector again (18.1)") {
  Fixture f(EndpointSource::kAuto);
  const k8s::Sinks sinks = f.state.sinks();
  sinks.services->upsert(make_service("web", {"10.96.0.1"}));
  k8s::Service by_hand = make_service("by-hand", {"10.96.0.2"});
  by_hand.selector.clear();
  sinks.services->upsert(by_hand);
  sinks.pods->upsert(make_pod("web-1", {"10.244.0.1"}));
  sinks.slices->upsert(make_slice("web-x", "web", {make_slice_endpoint("10.244.0.9", "web-9")}));
  const auto servers = [&] { return server_text(f.plan_at("default/web", 0)->plan.servers[0]); };
  CHECK(servers() == "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 1\n");
  f.take_dirty();
  sinks.endpoints_from_pods(false);
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK(servers() == "TCP 10.96.0.1:80 rr\n  -> 10.244.0.9:8080 weight 1\n");
  // Pods that are still known say nothing any more, also not that connections may continue.
  sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  CHECK(f.take_dirty().empty());
  CHECK_FALSE(f.may_drain_at("default/web", {ip("10.244.0.1"), 8080}, 0));
  sinks.endpoints_from_pods(true);
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK(servers() ==
        "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 1\n"
        "  -> 10.244.0.2:8080 weight 1\n");
}

TEST_CASE("with --compat=kube-proxy connections may outlive the Pod, until they end (18.2)") {
  for (const auto compat : {config::Compat::kNone, config::Compat::kKubeProxy}) {
    Fixture f(EndpointSource::kSelector, {}, compat);
    k8s::Service service = make_service("web", {"10.96.0.1"});
    f.state.sinks().services->upsert(service);
    f.state.sinks().pods->upsert(make_pod("web-1", {"10.244.0.1"}));
    f.state.sinks().pods->remove(key_of("web-1"));
    const ipvs::Endpoint gone{ip("10.244.0.1"), 8080};
    CHECK(f.may_drain_at("default/web", gone, 1'000'000) == (compat != config::Compat::kNone));
    // What the Service asks for counts more.
    service.meta.annotations["kube-ipvs.io/drain-timeout"] = "60";
    f.state.sinks().services->upsert(service);
    CHECK_FALSE(f.may_drain_at("default/web", gone, 1'000'000));
    f.state.sinks().services->remove(key_of("web"));
    CHECK_FALSE(f.may_drain_at("default/web", gone, 1'000'000));
  }
}

TEST_CASE("an event names the Services whose plan it may change") {
  Fixture f;
  f.state.sinks().services->upsert(make_service("web", {"10.96.0.1"}));
  CHECK(f.take_dirty() == Names{"default/web"});
  f.state.sinks().pods->upsert(make_pod("web-1", {"10.244.0.1"}));
  CHECK(f.take_dirty() == Names{"default/web"});
  f.state.sinks().pods->upsert(make_pod("db-1", {"10.244.0.2"}, {{"app", "db"}}));
  CHECK(f.take_dirty().empty());
  const auto plan = f.plan_at("default/web", 0);
  REQUIRE(plan);
  CHECK(server_text(plan->plan.servers[0]) ==
        "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 1\n");
  f.state.sinks().services->remove(key_of("web"));
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK_FALSE(f.plan_at("default/web", 0));
}

TEST_CASE("a new address of the node concerns the Services with node ports") {
  Fixture f;
  f.own({"192.168.1.1"});
  auto with = make_service("with", {"10.96.0.1"});
  with.ports[0].node_port = 30080;
  f.state.sinks().services->upsert(with);
  f.state.sinks().services->upsert(make_service("without", {"10.96.0.2"}));
  f.take_dirty();
  f.own({"192.168.1.1", "192.168.1.2"});
  CHECK(f.take_dirty() == Names{"default/with"});
  CHECK(f.plan_at("default/with", 0)->plan.servers.size() == 3);
  CHECK(f.node_changes == 2);
  f.own({"192.168.1.1", "192.168.1.2"});
  CHECK(f.take_dirty().empty());
  CHECK(f.node_changes == 2);
}

TEST_CASE(
    "a Service is planned again when one of its addresses becomes the node's own, or no longer "
    "is") {
  Fixture f;
  f.own({"192.168.1.1"});
  auto service = make_service("web", {"10.96.0.1"});
  std::string address = "10.96.0.1";
  SECTION("a cluster IP") {}
  SECTION("an external IP") {
    address = "192.0.2.1";
    service.external_ips = ips({address});
  }
  SECTION("a load balancer IP") {
    address = "192.0.2.1";
    service.load_balancer_ingress = {{.ip = ip(address)}};
  }
  f.state.sinks().services->upsert(service);
  f.state.sinks().services->upsert(make_service("other", {"10.96.0.9"}));
  f.take_dirty();
  const std::string bound = "address " + address + "\n";
  const auto is_bound = [&] {
    return plan_text(f.plan_at("default/web", 0)->plan).find(bound) != std::string::npos;
  };
  CHECK(is_bound());
  f.own({"192.168.1.1", address});
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK_FALSE(is_bound());
  f.own({"192.168.1.1"});
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK(is_bound());
}

TEST_CASE("if no address of the node is read, those known before stay") {
  Fixture f;
  f.own({"192.168.1.1"});
  f.own({});
  CHECK(f.state.node_view().node_port_addresses == kernel_ips({"192.168.1.1"}));
}

TEST_CASE("a scrape reads the virtual servers of each served port under the port's name") {
  Fixture f;
  f.own({"192.168.1.1"});
  auto service = make_service("web", {"10.96.0.1"},
                              {make_port(80), make_port(443, std::uint16_t{8443}, "tls")});
  service.ports[1].node_port = 30443;
  f.state.sinks().services->upsert(service);
  auto headless = make_service("headless", {});
  headless.headless = true;
  f.state.sinks().services->upsert(headless);
  agent::ClusterState::PortCursor place;
  const auto ports = f.state.ports_to_read(place, 10);
  CHECK(place.at_end);
  REQUIRE(ports.size() == 2);
  CHECK(ports[0].port.service == "web");
  CHECK(ports[0].port.port == "80");
  CHECK(ports[0].servers == std::vector<ipvs::ServerKey>{{ip("10.96.0.1"), 80}});
  CHECK(ports[1].port.port == "tls");
  CHECK(ports[1].servers ==
        std::vector<ipvs::ServerKey>{{ip("10.96.0.1"), 443}, {ip("192.168.1.1"), 30443}});
}

TEST_CASE("a Node in another zone concerns the Services with a trafficDistribution") {
  Fixture f;
  auto near = make_service("near", {"10.96.0.1"});
  near.traffic_distribution = "PreferSameZone";
  f.state.sinks().services->upsert(near);
  f.state.sinks().services->upsert(make_service("any", {"10.96.0.2"}));
  f.take_dirty();
  f.state.sinks().nodes->upsert(make_node(kOtherNode, "zone-a"));
  CHECK(f.take_dirty() == Names{"default/near"});
  f.state.sinks().nodes->upsert(make_node(kOtherNode, "zone-a", "192.168.1.7"));
  CHECK(f.take_dirty().empty());
  f.state.sinks().nodes->upsert(make_node(kThisNode, "zone-a"));
  CHECK(f.take_dirty() == Names{"default/near"});
  near.traffic_distribution.clear();
  f.state.sinks().services->upsert(near);
  f.take_dirty();
  f.state.sinks().nodes->upsert(make_node(kThisNode, "zone-b"));
  CHECK(f.take_dirty().empty());
}

TEST_CASE("this node in another zone concerns the Services whose EndpointSlices have zone hints") {
  Fixture f(EndpointSource::kEndpointSlice);
  auto hinted = make_slice_endpoint("10.244.0.1");
  hinted.zone_hints = {"zone-a"};
  f.state.sinks().slices->upsert(make_slice("near-abc", "near", {hinted}));
  f.state.sinks().slices->upsert(make_slice("any-abc", "any", {make_slice_endpoint("10.244.0.2")}));
  f.take_dirty();
  f.state.sinks().nodes->upsert(make_node(kOtherNode, "zone-a"));
  CHECK(f.take_dirty().empty());
  f.state.sinks().nodes->upsert(make_node(kThisNode, "zone-a"));
  CHECK(f.take_dirty() == Names{"default/near"});
}

TEST_CASE("a Service's health check counts what its Pods say of this node") {
  Fixture f;
  auto service = make_service("web", {"10.96.0.1"});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.health_check_node_port = 31000;
  service.meta.creation_timestamp = 7;
  f.state.sinks().services->upsert(service);
  CHECK_FALSE(f.state.health_check(key_of("web")));
  CHECK_FALSE(f.state.health_check(key_of("none")));
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  f.state.sinks().services->upsert(service);
  f.state.sinks().pods->upsert(make_pod("web-1", {"10.244.0.1"}));
  k8s::Pod other = make_pod("web-2", {"10.244.1.1"});
  other.node_name = kOtherNode;
  f.state.sinks().pods->upsert(other);
  CHECK(f.state.health_check(key_of("web")) ==
        agent::HealthCheck{.since = 7, .port = 31000, .local_endpoints = 1});
}

TEST_CASE("a scraped port has all endpoints of its Service, ready or not") {
  Fixture f;
  auto service = make_service("web", {"10.96.0.1"},
                              {make_port(80), make_port(443, std::uint16_t{8443}, "tls")});
  f.state.sinks().services->upsert(service);
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.ready = false;
  f.state.sinks().pods->upsert(pod);
  agent::ClusterState::PortCursor place;
  auto ports = f.state.ports_to_read(place, 10);
  REQUIRE(ports.size() == 2);
  const auto endpoints = f.state.endpoints_of(ports[1]);
  REQUIRE(endpoints.size() == 1);
  CHECK(endpoints[0].endpoint.text() == "10.244.0.1:8443");
  CHECK(endpoints[0].pod == "web-1");
  service.ports.pop_back();
  f.state.sinks().services->upsert(service);
  CHECK(f.state.endpoints_of(ports[1]).empty());
  f.state.sinks().services->remove(key_of("web"));
  CHECK(f.state.endpoints_of(ports[0]).empty());
}

TEST_CASE("weights of Pods reach the virtual server; a scheduler that ignores them is reported") {
  Fixture f;
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/scheduler", "wrr"}}));
  auto pod = make_pod("web-1", {"10.244.0.1"});
  pod.meta.annotations["kube-ipvs.io/weight"] = "7";
  f.state.sinks().pods->upsert(pod);
  auto plan = f.plan_at("default/web", 0);
  CHECK(server_text(plan->plan.servers[0]) ==
        "TCP 10.96.0.1:80 wrr\n  -> 10.244.0.1:8080 weight 7\n");
  CHECK(plan->notices.empty());

  f.take_dirty();
  pod.meta.annotations["kube-ipvs.io/weight"] = "9";
  f.state.sinks().pods->upsert(pod);
  CHECK(f.take_dirty() == Names{"default/web"});
  f.state.sinks().services->upsert(annotated({}));
  plan = f.plan_at("default/web", 0);
  CHECK(notes(*plan) ==
        "WeightsIgnored: the scheduler rr ignores the weights of Pods (kube-ipvs.io/weight)\n");
}

TEST_CASE("a Pod with an invalid weight has weight 1, which is reported for its Services") {
  Fixture f;
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/scheduler", "wrr"}}));
  auto pod = make_pod("web-1", {"10.244.0.1"});
  pod.meta.annotations["kube-ipvs.io/weight"] = "heavy";
  f.state.sinks().pods->upsert(pod);
  CHECK(notes(*f.plan_at("default/web", 0)) ==
        "BadAnnotation: Pod web-1: the annotation kube-ipvs.io/weight is not a number from 0 to "
        "65535: 1 is taken\n");
  f.take_dirty();
  pod.meta.annotations["kube-ipvs.io/weight"] = "1";
  f.state.sinks().pods->upsert(pod);
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK(f.plan_at("default/web", 0)->notices.empty());
}

TEST_CASE("a Service with invalid annotations is served as if it had none, which is reported") {
  Fixture f;
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/slow-start", "-3"}}));
  const auto plan = f.plan_at("default/web", 0);
  CHECK(plan->plan.servers[0].settings.scheduler == "rr");
  CHECK(
      notes(*plan) ==
      "BadAnnotation: annotation kube-ipvs.io/slow-start: \"-3\" is not a number from 1 to 3600\n");
}

TEST_CASE("every Service that asks for a scheduler the kernel does not have gets the default one") {
  Fixture f;
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/scheduler", "mh"}}));
  f.take_dirty();
  CHECK(f.state.scheduler_is_missing("mh"));
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK(f.plan_at("default/web", 0)->plan.servers[0].settings.scheduler == "rr");
  CHECK_FALSE(f.state.scheduler_is_missing("mh"));
  CHECK_FALSE(f.state.scheduler_is_missing("rr"));  // --ipvs-scheduler: there is no other
}

TEST_CASE("a slow start plans the Service again each second until the weight is full") {
  Fixture f;
  f.state.sinks().services->upsert(
      annotated({{"kube-ipvs.io/scheduler", "wlc"}, {"kube-ipvs.io/slow-start", "10"}}));
  auto pod = make_pod("web-1", {"10.244.0.1"});
  pod.ready_since = 1000;
  f.at(1000);
  f.state.sinks().pods->upsert(pod);
  CHECK(f.plan_at("default/web", 1001)->again_in_a_second);
  CHECK(f.plan_at("default/web", 1001)->plan.servers[0].destinations[0].weight == 19);
  CHECK_FALSE(f.plan_at("default/web", 1010)->again_in_a_second);
}

TEST_CASE(
    "a drain ends with the Pod's grace period, or the Service's timeout, after the deletion was "
    "seen") {
  Fixture f;
  f.at(1000);
  auto pod = make_pod("web-1", {"10.244.0.1"});
  pod.meta.deletion_timestamp = 1030;
  pod.meta.deletion_grace_seconds = 30;
  f.state.sinks().pods->upsert(pod);
  f.state.sinks().services->upsert(annotated({}));
  CHECK(f.may_drain_at("default/web", kPod, 1029));
  CHECK_FALSE(f.may_drain_at("default/web", kPod, 1030));
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/drain-timeout", "100"}}));
  CHECK(f.may_drain_at("default/web", kPod, 1099));
  CHECK_FALSE(f.may_drain_at("default/web", kPod, 1100));
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/drain-timeout", "0"}}));
  CHECK_FALSE(f.may_drain_at("default/web", kPod, 1000));
}

TEST_CASE("a drain has its whole time, however wrong this node's clock is (F1)") {
  for (const k8s::UnixSeconds ahead : {60, -60, 86'400}) {
    CAPTURE(ahead);
    Fixture f;
    f.ahead = ahead;
    f.at(1000);
    auto pod = make_pod("web-1", {"10.244.0.1"});
    f.state.sinks().pods->upsert(pod);
    f.state.sinks().services->upsert(annotated({}));
    pod.meta.deletion_timestamp = 1030;
    pod.meta.deletion_grace_seconds = 30;
    f.state.sinks().pods->upsert(pod);
    CHECK(f.may_drain_at("default/web", kPod, 1029));
    CHECK_FALSE(f.may_drain_at("default/web", kPod, 1030));
    // What comes later, a list for example, does not begin it again.
    pod.ready = false;
    f.at(1020);
    f.state.sinks().pods->upsert(pod);
    CHECK_FALSE(f.may_drain_at("default/web", kPod, 1030));
    // A grace period that is shortened runs from then.
    f.at(1020);
    pod.meta.deletion_grace_seconds = 5;
    f.state.sinks().pods->upsert(pod);
    CHECK(f.may_drain_at("default/web", kPod, 1024));
    CHECK_FALSE(f.may_drain_at("default/web", kPod, 1025));
    f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/drain-timeout", "100"}}));
    CHECK(f.may_drain_at("default/web", kPod, 1099));
    CHECK_FALSE(f.may_drain_at("default/web", kPod, 1100));
  }
}

TEST_CASE("slow start and the timeout of a Pod that is not ready do not ask the wall clock (F1)") {
  for (const k8s::UnixSeconds ahead : {60, -60}) {
    CAPTURE(ahead);
    Fixture f;
    f.ahead = ahead;
    f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/scheduler", "wlc"},
                                                {"kube-ipvs.io/slow-start", "10"},
                                                {"kube-ipvs.io/drain-timeout", "20"}}));
    auto pod = make_pod("web-1", {"10.244.0.1"});
    pod.ready = false;
    f.at(990);
    f.state.sinks().pods->upsert(pod);
    pod.ready = true;
    pod.ready_since = 1000;
    f.at(1000);
    f.state.sinks().pods->upsert(pod);
    CHECK(f.plan_at("default/web", 1001)->plan.servers[0].destinations[0].weight == 19);
    CHECK_FALSE(f.plan_at("default/web", 1010)->again_in_a_second);
    pod.ready = false;
    pod.ready_since = 1100;
    f.at(1100);
    f.state.sinks().pods->upsert(pod);
    CHECK(f.may_drain_at("default/web", kPod, 1119));
    CHECK_FALSE(f.may_drain_at("default/web", kPod, 1120));
  }
}

TEST_CASE("a Pod that was ready long before the agent started has its full weight at once (F1)") {
  Fixture f;
  f.state.sinks().services->upsert(
      annotated({{"kube-ipvs.io/scheduler", "wlc"}, {"kube-ipvs.io/slow-start", "10"}}));
  auto pod = make_pod("web-1", {"10.244.0.1"});
  pod.ready_since = 1000;
  f.at(5000);
  f.state.sinks().pods->upsert(pod);
  CHECK_FALSE(f.plan_at("default/web", 5000)->again_in_a_second);
}

TEST_CASE("a Pod that is only not ready drains without end, or for the Service's timeout") {
  Fixture f;
  auto pod = make_pod("web-1", {"10.244.0.1"});
  pod.ready = false;
  pod.ready_since = 1000;
  f.at(1000);
  f.state.sinks().pods->upsert(pod);
  f.state.sinks().services->upsert(annotated({}));
  CHECK(f.may_drain_at("default/web", kPod, 999999));
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/drain-timeout", "60"}}));
  CHECK(f.may_drain_at("default/web", kPod, 1059));
  CHECK_FALSE(f.may_drain_at("default/web", kPod, 1060));
}

TEST_CASE(
    "other Pods on the host's network neither keep an endpoint alive nor give it their name") {
  Fixture f;
  const auto on_host = [](const char* name, const k8s::Labels& labels) {
    auto pod = make_pod(name, {"10.244.0.1"}, labels);
    pod.host_network = true;
    return pod;
  };
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/drain-timeout", "60"}}));
  auto pod = on_host("web-1", {{"app", "web"}});
  pod.ready = false;
  pod.ready_since = 1000;
  f.at(1000);
  f.state.sinks().pods->upsert(pod);
  for (const char* name : {"agent-1", "agent-2", "zz-1", "zz-2"}) {
    f.state.sinks().pods->upsert(on_host(name, {{"app", "agent"}}));
  }
  CHECK(f.state.pod_at(kPod.address, key_of("web")) == "web-1");
  CHECK(f.may_drain_at("default/web", kPod, 1059));
  CHECK_FALSE(f.may_drain_at("default/web", kPod, 1060));
  f.state.sinks().pods->remove(key_of("web-1"));
  CHECK(f.state.pod_at(kPod.address, key_of("web")).empty());
  CHECK_FALSE(f.may_drain_at("default/web", kPod, 1059));
}

TEST_CASE("a deleted Service that lingers keeps its addresses, without endpoints, for its time") {
  Fixture f;
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/linger", "60"}}));
  f.state.sinks().pods->upsert(make_pod("web-1", {"10.244.0.1"}));
  f.state.sinks().services->remove(key_of("web"));
  const auto plan = f.plan_at("default/web", 1000);
  REQUIRE(plan);
  CHECK(plan->is_lingering);
  CHECK(plan->plan.addresses == kernel_ips({"10.96.0.1"}));
  CHECK(plan->plan.servers[0].destinations.empty());
  CHECK(f.may_drain_at("default/web", kPod, 1059));
  CHECK(f.plan_at("default/web", 1059));
  CHECK_FALSE(f.plan_at("default/web", 1060));
}

TEST_CASE("a Service that is created again no longer lingers, nor does one without connections") {
  Fixture f;
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/linger", "60"}}));
  f.state.sinks().services->remove(key_of("web"));
  f.state.sinks().services->upsert(annotated({}));
  CHECK_FALSE(f.plan_at("default/web", 1000)->is_lingering);
  f.state.sinks().services->upsert(annotated({{"kube-ipvs.io/linger", "60"}}));
  f.state.sinks().services->remove(key_of("web"));
  f.state.drained("default/web");
  CHECK_FALSE(f.plan_at("default/web", 1000));
}

TEST_CASE("an external IP that is another Node's is refused, whichever of the two is known first") {
  Fixture f;
  k8s::Node other;
  other.meta.key = {.ns = "", .name = kOtherNode};
  other.addresses = {{.type = k8s::NodeAddressType::kInternalIp, .address = ip("192.0.2.1")}};
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"192.0.2.1"});
  const auto is_served = [&] {
    return plan_text(f.plan_at("default/web", 0)->plan).find("TCP 192.0.2.1:80") !=
           std::string::npos;
  };
  f.state.sinks().services->upsert(service);
  CHECK(is_served());
  f.take_dirty();
  f.state.sinks().nodes->upsert(other);
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK_FALSE(is_served());
  CHECK(notes(*f.plan_at("default/web", 0)) ==
        "AddressRefused: 192.0.2.1 is the address of Node node-2: not served\n");
  service.ports[0].port = 81;
  f.state.sinks().services->upsert(service);
  CHECK_FALSE(is_served());
  f.take_dirty();
  f.state.sinks().nodes->remove(other.meta.key);
  CHECK(f.take_dirty() == Names{"default/web"});
  CHECK(notes(*f.plan_at("default/web", 0)).empty());
}

TEST_CASE("an external IP that is a gateway of this node is refused") {
  Fixture f;
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"192.168.1.254"});
  f.state.sinks().services->upsert(service);
  f.state.set_gateways(kernel_ips({"192.168.1.254"}));
  CHECK(notes(*f.plan_at("default/web", 0)) ==
        "AddressRefused: 192.168.1.254 is a gateway of this node: not served\n");
}

TEST_CASE("with a proxy name only the Services labelled for it are planned") {
  Fixture f(EndpointSource::kSelector, "edge");
  auto service = make_service("web", {"10.96.0.1"});
  f.state.sinks().services->upsert(service);
  CHECK_FALSE(f.plan_at("default/web", 0));
  service.meta.labels["service.kubernetes.io/service-proxy-name"] = "edge";
  f.state.sinks().services->upsert(service);
  CHECK(f.plan_at("default/web", 0));
}

TEST_CASE("by --detect-local-mode the Node's networks or an interface say who is a Pod (18.2)") {
  config::Config config;
  config.node_name = kThisNode;
  config.cluster_cidrs = {{ip("10.244.0.0"), 16}};
  SECTION("NodeCIDR") {
    config.detect_local_mode = config::LocalMode::kNodeCidr;
    Fixture f(config);
    CHECK(f.state.lacks_own_pods());
    k8s::Node own;
    own.meta.key = {.ns = "", .name = kThisNode};
    f.state.sinks().nodes->upsert(own);
    CHECK(f.state.lacks_own_pods());
    own.pod_cidrs = {{ip("10.244.3.0"), 24}};
    f.state.sinks().nodes->upsert(own);
    CHECK_FALSE(f.state.lacks_own_pods());
    const auto rules = f.state.table_rules();
    CHECK(rules.local_by == ipvs::LocalBy::kOwnPods);
    CHECK(rules.own_pods == std::vector<ipvs::Network>{{ip("10.244.3.0"), 24}});
    CHECK(rules.pod_sources == rules.own_pods);
    // The Node is made again; its Pods go on.
    f.state.sinks().nodes->remove(own.meta.key);
    CHECK(f.state.table_rules() == rules);
  }
  SECTION("interfaces") {
    config.detect_local_mode = config::LocalMode::kBridge;
    config.pod_bridge_interface = "cni0";
    const auto bridge = Fixture(config).state.table_rules();
    CHECK(bridge.local_by == ipvs::LocalBy::kInterface);
    CHECK(bridge.pod_interface == "cni0");
    CHECK(bridge.pod_sources.empty());
    CHECK(bridge.cluster_cidrs.size() == 1);
    config.detect_local_mode = config::LocalMode::kNamePrefix;
    config.pod_interface_name_prefix = "cali";
    const auto prefix = Fixture(config).state.table_rules();
    CHECK(prefix.local_by == ipvs::LocalBy::kNamePrefix);
    CHECK(prefix.pod_interface == "cali");
  }
}

TEST_CASE("the cluster's networks say who is a Pod, or else those of this Node") {
  Fixture f;
  CHECK(f.state.pod_sources().empty());
  CHECK(f.state.own_pods().empty());
  k8s::Node own;
  own.meta.key = {.ns = "", .name = kThisNode};
  own.pod_cidrs = {{ip("10.244.3.0"), 24}};
  f.state.sinks().nodes->upsert(own);
  CHECK(f.state.pod_sources() == std::vector<k8s::Cidr>{{ip("10.244.3.0"), 24}});
  CHECK(f.state.own_pods() == f.state.pod_sources());
}
