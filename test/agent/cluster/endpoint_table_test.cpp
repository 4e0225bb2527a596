// SPDX-License-Identifier: Apache-2.0
//
// What is particular to Pods or to slices. What both have in common: endpoint_sources_test.cpp.
#include "agent/cluster/endpoint_table.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "test/agent/endpoints_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::EndpointSource;
using agent::EndpointTable;

// A table with the Services that were added to it.
struct Fixture {
  std::set<std::string> dirty;
  std::map<std::string, std::string> zones;  // by Node
  agent::MonotonicSeconds now = 0;
  EndpointTable table;

  explicit Fixture(EndpointSource source = EndpointSource::kSelector)
      : table(
            source, kThisNode, [this](const k8s::ObjectKey& key) { dirty.insert(key.name); },
            [this](const std::string& node) { return std::string_view(zones[node]); },
            {.monotonic = [this] { return now; }, .wall = [this] { return now; }}) {}

  void add(const k8s::Service& service) { table.add_service(service.meta.key, service.selector); }
  void upsert(k8s::Pod pod) { table.pods().upsert(std::move(pod)); }
  void upsert(k8s::EndpointSlice slice) { table.slices().upsert(std::move(slice)); }
  std::string endpoints(const k8s::Service& service) const {
    return endpoints_text(table.endpoints_of(service));
  }
  std::set<std::string> take_dirty() { return std::exchange(dirty, {}); }
};

using Names = std::set<std::string>;
using Triggers = std::vector<agent::Trigger>;

}  // namespace

TEST_CASE("with EndpointSlices a Pod's label and a slice's annotation say the weight (18.4)") {
  Fixture f(EndpointSource::kEndpointSlice);
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  k8s::EndpointSlice slice =
      make_slice("web-x", "web",
                 {make_slice_endpoint("10.244.0.1", "web-1"),
                  make_slice_endpoint("10.244.0.2", "web-2"), make_slice_endpoint("10.244.0.3")});
  slice.meta.annotations["service.cilium.io/weight"] = "3";
  f.upsert(slice);
  const auto weighted = [](const char* weight) {
    k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
    pod.meta.labels["kube-ipvs.io/weight"] = weight;
    return pod;
  };
  f.take_dirty();
  f.table.weighted_pods().upsert(weighted("7"));
  CHECK(f.take_dirty() == Names{"web"});
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving local weight 7 web-1\n"
        "10.244.0.2:8080 ready serving local weight 3 web-2\n"
        "10.244.0.3:8080 ready serving local weight 3\n");
  f.table.weighted_pods().upsert(weighted("7"));
  CHECK(f.take_dirty().empty());
  f.table.weighted_pods().upsert(weighted("heavy"));
  CHECK(f.take_dirty() == Names{"web"});
  CHECK(f.table.endpoints_of(service)[0][0].bad_weight == agent::BadWeight::kPodLabel);
  // Without the label the Pod is reported as deleted, or, by manifests, as it is.
  f.table.weighted_pods().remove(key_of("web-1"));
  CHECK(f.take_dirty() == Names{"web"});
  f.table.weighted_pods().upsert(weighted("7"));
  CHECK(f.take_dirty() == Names{"web"});
  f.table.weighted_pods().upsert(make_pod("web-1", {"10.244.0.1"}));
  CHECK(f.take_dirty() == Names{"web"});
  f.table.weighted_pods().upsert(make_pod("web-2", {"10.244.0.2"}));
  CHECK(f.take_dirty().empty());
  slice.meta.annotations["service.cilium.io/weight"] = "0";
  f.upsert(slice);
  CHECK(f.take_dirty() == Names{"web"});
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving local weight 0 web-1\n"
        "10.244.0.2:8080 ready serving local weight 0 web-2\n"
        "10.244.0.3:8080 ready serving local weight 0\n");
  slice.meta.annotations.clear();
  f.upsert(slice);
  CHECK(f.endpoints(service).find("weight") == std::string::npos);
}

TEST_CASE("a Pod whose weight is its label has it with selectors too (18.4)") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.meta.labels["kube-ipvs.io/weight"] = "7";
  f.upsert(pod);
  CHECK(f.endpoints(service) == "10.244.0.1:8080 ready serving local weight 7 web-1\n");
}

TEST_CASE(
    "a Pod is an endpoint once it has an address, and a ready one once its condition says so") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  k8s::Pod pod = make_pod("web-1", {});
  pod.phase = k8s::PodPhase::kPending;
  pod.ready = false;
  f.upsert(pod);
  CHECK(f.endpoints(service).empty());
  pod.pod_ips = {ip("10.244.0.1")};
  f.upsert(pod);
  CHECK(f.endpoints(service) == "10.244.0.1:8080 local web-1\n");
  pod.phase = k8s::PodPhase::kRunning;
  pod.ready = true;
  f.upsert(pod);
  CHECK(f.endpoints(service) == "10.244.0.1:8080 ready serving local web-1\n");
}

TEST_CASE("a Pod that is Failed or Succeeded is no endpoint, whatever its conditions say") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  for (const auto phase : {k8s::PodPhase::kFailed, k8s::PodPhase::kSucceeded}) {
    k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
    f.upsert(pod);
    CHECK_FALSE(f.endpoints(service).empty());
    pod.phase = phase;
    f.take_dirty();
    f.upsert(pod);
    CHECK(f.take_dirty() == Names{"web"});
    CHECK(f.endpoints(service).empty());
    CHECK_FALSE(f.table.may_drain(ip("10.244.0.1"), 0));
  }
}

TEST_CASE("the address of a finished Pod belongs to the Pod that has it now") {
  Fixture f;
  for (const char* order : {"job-1", "zjob-1"}) {
    k8s::Pod finished = make_pod(order, {"10.244.0.1"});
    finished.phase = k8s::PodPhase::kSucceeded;
    f.upsert(finished);
  }
  f.upsert(make_pod("web-1", {"10.244.0.1"}));
  k8s::Pod late = make_pod("late-job", {"10.244.0.1"});
  late.phase = k8s::PodPhase::kFailed;
  f.upsert(late);
  CHECK(f.table.pod_at(ip("10.244.0.1")) == "web-1");
}

TEST_CASE("publishNotReadyAddresses makes every endpoint ready, even one that terminates") {
  Fixture f;
  auto service = make_service("web", {"10.96.0.1"});
  service.publish_not_ready_addresses = true;
  f.add(service);
  k8s::Pod unready = make_pod("web-1", {"10.244.0.1"});
  unready.ready = false;
  f.upsert(unready);
  k8s::Pod leaving = make_pod("web-2", {"10.244.0.2"});
  leaving.meta.deletion_timestamp = 1000;
  f.upsert(leaving);
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready local web-1\n"
        "10.244.0.2:8080 ready serving terminating local web-2\n");
}

TEST_CASE("a hostNetwork Pod is an endpoint at its node's addresses") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  for (const char* name : {"web-1", "web-2"}) {
    k8s::Pod pod = make_pod(name, {name == std::string("web-1") ? "192.168.1.1" : "192.168.1.2"});
    pod.host_network = true;
    if (name == std::string("web-2")) pod.node_name = kOtherNode;
    f.upsert(pod);
  }
  CHECK(f.endpoints(service) ==
        "192.168.1.1:8080 ready serving local web-1\n"
        "192.168.1.2:8080 ready serving web-2\n");
}

TEST_CASE("an address that several Pods share is known until the last of them is removed") {
  Fixture f;
  f.upsert(make_pod("a", {"192.168.1.1"}));
  f.upsert(make_pod("b", {"192.168.1.1"}));
  f.table.pods().remove(key_of("a"));
  CHECK(f.table.may_drain(ip("192.168.1.1"), 0));
  CHECK(f.table.pod_at(ip("192.168.1.1")) == "b");
  f.table.pods().remove(key_of("b"));
  CHECK_FALSE(f.table.may_drain(ip("192.168.1.1"), 0));
  CHECK(f.table.pod_at(ip("192.168.1.1")).empty());
}

TEST_CASE("a dual-stack Pod is an endpoint at each of its addresses") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1", "fd00:96::1"});
  f.add(service);
  f.upsert(make_pod("web-1", {"10.244.0.1", "fd00:244::1"}));
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving local web-1\n"
        "[fd00:244::1]:8080 ready serving local web-1\n");
  CHECK(f.table.pod_at(ip("fd00:244::1")) == "web-1");
}

TEST_CASE("a Pod without a node name, as manifests allow, counts as local") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.node_name.clear();
  f.upsert(pod);
  CHECK(f.endpoints(service) == "10.244.0.1:8080 ready serving local web-1\n");
}

TEST_CASE(
    "a named target port is looked up in each Pod, and a Pod without it is no endpoint of it") {
  Fixture f;
  const auto service =
      make_service("web", {"10.96.0.1"}, {make_port(80, "http", "http"), make_port(90, 9090, "m")});
  f.add(service);
  const auto declare = [](k8s::Pod pod, std::uint16_t port, k8s::Protocol protocol) {
    pod.ports = {{.name = "http", .protocol = protocol, .container_port = port}};
    return pod;
  };
  f.upsert(declare(make_pod("old", {"10.244.0.1"}), 8080, k8s::Protocol::kTcp));
  f.upsert(declare(make_pod("new", {"10.244.0.2"}), 8888, k8s::Protocol::kTcp));
  f.upsert(declare(make_pod("other-protocol", {"10.244.0.3"}), 8080, k8s::Protocol::kUdp));
  f.upsert(make_pod("without", {"10.244.0.4"}));
  const auto endpoints = f.table.endpoints_of(service);
  REQUIRE(endpoints.size() == 2);
  CHECK(endpoints_text({endpoints[0]}) ==
        "10.244.0.1:8080 ready serving local old\n"
        "10.244.0.2:8888 ready serving local new\n");
  CHECK(endpoints[1].size() == 4);
}

TEST_CASE("a target port of 0 is the Service's own port") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"}, {make_port(80, std::uint16_t{0})});
  f.add(service);
  f.upsert(make_pod("web-1", {"10.244.0.1"}));
  CHECK(f.endpoints(service) == "10.244.0.1:80 ready serving local web-1\n");
}

TEST_CASE(
    "a label change reports the Services that no longer and those that now select the Pod only") {
  Fixture f;
  for (const char* name : {"red", "green", "blue"}) {
    auto service = make_service(name, {"10.96.0.1"});
    service.selector = {{"app", "web"}, {"colour", name}};
    f.add(service);
  }
  f.upsert(make_pod("web-1", {"10.244.0.1"}, {{"app", "web"}, {"colour", "red"}}));
  CHECK(f.take_dirty() == Names{"red"});
  f.upsert(make_pod("web-1", {"10.244.0.1"}, {{"app", "web"}, {"colour", "green"}}));
  CHECK(f.take_dirty() == Names{"green", "red"});
  f.table.pods().remove(key_of("web-1"));
  CHECK(f.take_dirty() == Names{"green"});
}

TEST_CASE("a Pod event that changes no field of an endpoint reports no Service") {
  Fixture f;
  f.add(make_service("web", {"10.96.0.1"}));
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.phase = k8s::PodPhase::kPending;
  f.upsert(pod);
  f.take_dirty();
  SECTION("the same again") {}
  SECTION("another version") { pod.meta.resource_version = "2"; }
  SECTION("an annotation") { pod.meta.annotations = {{"note", "x"}}; }
  SECTION("from Pending to Running") { pod.phase = k8s::PodPhase::kRunning; }
  f.upsert(pod);
  CHECK(f.take_dirty().empty());
}

TEST_CASE("one event reports each of its Services once") {
  std::vector<std::string> calls;
  const auto note = [&](const k8s::ObjectKey& key) { calls.push_back(key.name); };
  const auto service = make_service("web", {"10.96.0.1"});
  EndpointTable table(EndpointSource::kSelector, kThisNode, note);
  table.add_service(service.meta.key, service.selector);
  SECTION("of a Pod") {
    k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
    table.pods().upsert(pod);
    CHECK(calls.size() == 1);
    pod.ready = false;
    table.pods().upsert(pod);
  }
  SECTION("of a slice") {
    table.slices().upsert(make_slice("web-1", "web", {make_slice_endpoint("10.244.0.1")}));
    CHECK(calls.size() == 1);
    table.slices().upsert(make_slice("web-1", "web", {make_slice_endpoint("10.244.0.2")}));
  }
  CHECK(calls == std::vector<std::string>{"web", "web"});
}

TEST_CASE("a Service added after its Pods, or with a new selector, finds them") {
  Fixture f;
  f.upsert(make_pod("web-1", {"10.244.0.1"}));
  f.upsert(make_pod("db-1", {"10.244.0.2"}, {{"app", "db"}}));
  auto service = make_service("web", {"10.96.0.1"});
  CHECK(f.endpoints(service).empty());
  f.add(service);
  CHECK(f.endpoints(service) == "10.244.0.1:8080 ready serving local web-1\n");
  service.selector = {{"app", "db"}};
  f.add(service);
  CHECK(f.endpoints(service) == "10.244.0.2:8080 ready serving local db-1\n");
  f.table.remove_service(service.meta.key);
  CHECK(f.endpoints(service).empty());
  f.take_dirty();
  f.upsert(make_pod("db-2", {"10.244.0.3"}, {{"app", "db"}}));
  CHECK(f.take_dirty().empty());
}

TEST_CASE("a Service without a selector takes its endpoints from slices, in either mode") {
  for (const auto source : {EndpointSource::kSelector, EndpointSource::kEndpointSlice}) {
    Fixture f(source);
    auto service = make_service("ext", {"10.96.0.1"});
    service.selector.clear();
    f.add(service);
    f.upsert(make_pod("web-1", {"10.244.0.1"}));
    f.upsert(make_slice("ext-1", "ext", {make_slice_endpoint("203.0.113.1")}));
    CHECK(f.take_dirty() == Names{"ext"});
    CHECK(f.endpoints(service) == "203.0.113.1:8080 ready serving local\n");
  }
}

TEST_CASE("a Service with a selector ignores slices in selector mode") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  f.upsert(make_slice("web-1", "web", {make_slice_endpoint("203.0.113.1")}));
  CHECK(f.endpoints(service).empty());
}

TEST_CASE("slice ports are matched by name and protocol; others are left out") {
  Fixture f(EndpointSource::kEndpointSlice);
  const auto service = make_service("web", {"10.96.0.1"},
                                    {make_port(80, 8080, "http"), make_port(443, 8443, "https")});
  f.add(service);
  k8s::EndpointSlice slice = make_slice("web-1", "web", {make_slice_endpoint("10.244.0.1")});
  slice.ports = {{.name = "https", .protocol = k8s::Protocol::kTcp, .port = 8444},
                 {.name = "http", .protocol = k8s::Protocol::kUdp, .port = 8081},
                 {.name = "admin", .protocol = k8s::Protocol::kTcp, .port = 1}};
  f.upsert(slice);
  const auto endpoints = f.table.endpoints_of(service);
  CHECK(endpoints[0].empty());
  REQUIRE(endpoints[1].size() == 1);
  CHECK(endpoints[1][0].endpoint.text() == "10.244.0.1:8444");
}

TEST_CASE("a slice that changes its Service reports the old and the new one") {
  Fixture f(EndpointSource::kEndpointSlice);
  const auto a = make_service("a", {"10.96.0.1"});
  const auto b = make_service("b", {"10.96.0.2"});
  f.add(a);
  f.add(b);
  f.upsert(make_slice("s", "a", {make_slice_endpoint("10.244.0.1")}));
  f.take_dirty();
  f.upsert(make_slice("s", "b", {make_slice_endpoint("10.244.0.1")}));
  CHECK(f.take_dirty() == Names{"a", "b"});
  CHECK(f.endpoints(a).empty());
  CHECK_FALSE(f.endpoints(b).empty());
  // And one that no longer belongs to any.
  f.upsert(make_slice("s", "", {make_slice_endpoint("10.244.0.1")}));
  CHECK(f.take_dirty() == Names{"b"});
  CHECK(f.table.slice_count() == 0);
  CHECK_FALSE(f.table.may_drain(ip("10.244.0.1"), 0));
}

TEST_CASE("the trigger time of a change of slices is returned once, for the Service") {
  Fixture f(EndpointSource::kEndpointSlice);
  auto slice = make_slice("web-1", "web", {make_slice_endpoint("10.244.0.1")});
  std::string& trigger = slice.meta.annotations["endpoints.kubernetes.io/last-change-trigger-time"];
  trigger = "1970-01-01T00:01:40Z";
  f.upsert(slice);
  f.upsert(slice);  // nothing has changed
  trigger = "1970-01-01T00:01:50.25Z";
  slice.endpoints.clear();
  f.upsert(slice);
  CHECK(f.table.take_triggers(key_of("api")).empty());
  CHECK(f.table.take_triggers(key_of("web")) ==
        Triggers{{.time = 100, .ipv4 = true}, {.time = 110, .ipv4 = true}});
  CHECK(f.table.take_triggers(key_of("web")).empty());

  trigger = "yesterday";
  slice.endpoints = {make_slice_endpoint("10.244.0.2")};
  f.upsert(slice);
  CHECK(f.table.take_triggers(key_of("web")).empty());
}

TEST_CASE("the endpoints of several slices of a Service are joined") {
  Fixture f(EndpointSource::kEndpointSlice);
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  f.upsert(make_slice("web-1", "web", {make_slice_endpoint("10.244.0.1", "web-1")}));
  f.upsert(make_slice("web-2", "web", {make_slice_endpoint("10.244.0.2", "web-2")}));
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving local web-1\n"
        "10.244.0.2:8080 ready serving local web-2\n");
  f.table.slices().remove(key_of("web-1"));
  CHECK(f.endpoints(service) == "10.244.0.2:8080 ready serving local web-2\n");
}

TEST_CASE("a slice endpoint without a node name is not local") {
  Fixture f(EndpointSource::kEndpointSlice);
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  auto endpoint = make_slice_endpoint("10.244.0.1");
  endpoint.node_name.clear();
  f.upsert(make_slice("web-1", "web", {endpoint}));
  CHECK(f.endpoints(service) == "10.244.0.1:8080 ready serving\n");
}

TEST_CASE("connections may continue while a Pod exists, and until its grace period has passed") {
  Fixture f;
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  pod.ready = false;
  f.upsert(pod);
  CHECK(f.table.may_drain(ip("10.244.0.1"), 5000));
  pod.meta.deletion_timestamp = 7;  // of another clock
  pod.meta.deletion_grace_seconds = 30;
  f.now = 1000;
  f.upsert(pod);
  CHECK(f.table.may_drain(ip("10.244.0.1"), 1029));
  CHECK_FALSE(f.table.may_drain(ip("10.244.0.1"), 1030));
  f.table.pods().remove(key_of("web-1"));
  CHECK_FALSE(f.table.may_drain(ip("10.244.0.1"), 0));
}

TEST_CASE("trafficDistribution gives Pods the hints that the slice controller would write") {
  Fixture f;
  f.zones = {{kThisNode, "zone-a"}, {kOtherNode, "zone-a"}, {"node-3", "zone-b"}};
  auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  for (const char* n : {"1", "2", "3", "4"}) {
    k8s::Pod pod = make_pod(std::string("web-") + n, {std::string("10.244.0.") + n});
    pod.node_name = std::string("node-") + n;
    f.upsert(pod);
  }
  SECTION("nothing without it") {
    CHECK(f.endpoints(service) ==
          "10.244.0.1:8080 ready serving local web-1\n"
          "10.244.0.2:8080 ready serving web-2\n"
          "10.244.0.3:8080 ready serving web-3\n"
          "10.244.0.4:8080 ready serving web-4\n");
  }
  SECTION("PreferSameZone, or PreferClose as it was called: the zone it is in") {
    for (const char* value : {"PreferSameZone", "PreferClose"}) {
      service.traffic_distribution = value;
      CHECK(f.endpoints(service) ==
            "10.244.0.1:8080 ready serving local zone:here web-1\n"
            "10.244.0.2:8080 ready serving zone:here web-2\n"
            "10.244.0.3:8080 ready serving zone:other web-3\n"
            "10.244.0.4:8080 ready serving web-4\n");
    }
  }
  SECTION("PreferSameNode: its node, too") {
    service.traffic_distribution = "PreferSameNode";
    CHECK(f.endpoints(service) ==
          "10.244.0.1:8080 ready serving local node:here zone:here web-1\n"
          "10.244.0.2:8080 ready serving node:other zone:here web-2\n"
          "10.244.0.3:8080 ready serving node:other zone:other web-3\n"
          "10.244.0.4:8080 ready serving node:other web-4\n");
  }
}

TEST_CASE("the zone of a Pod is that of its label, or else that of its Node (item 9)") {
  Fixture f;
  f.zones = {{kThisNode, "zone-a"}, {kOtherNode, "zone-b"}};
  auto service = make_service("web", {"10.96.0.1"});
  service.traffic_distribution = "PreferSameZone";
  f.add(service);
  const auto add = [&](const std::string& name, const std::string& address, const std::string& node,
                       const std::string& zone) {
    auto pod = make_pod(name, {address});
    pod.node_name = node;
    if (!zone.empty()) pod.meta.labels["topology.kubernetes.io/zone"] = zone;
    f.upsert(pod);
  };
  add("web-1", "10.244.0.1", "unknown", "zone-a");
  add("web-2", "10.244.0.2", kOtherNode, "");
  add("web-3", "10.244.0.3", "unknown", "");
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving zone:here web-1\n"
        "10.244.0.2:8080 ready serving zone:other web-2\n"
        "10.244.0.3:8080 ready serving web-3\n");
  // The label comes with the binding of the Pod, or is changed.
  add("web-3", "10.244.0.3", "unknown", "zone-a");
  f.take_dirty();
  add("web-1", "10.244.0.1", "unknown", "zone-b");
  CHECK(f.take_dirty() == Names{"web"});
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving zone:other web-1\n"
        "10.244.0.2:8080 ready serving zone:other web-2\n"
        "10.244.0.3:8080 ready serving zone:here web-3\n");
}

TEST_CASE("an EndpointSlice's own hints are used, whatever the Service says") {
  Fixture f(EndpointSource::kEndpointSlice);
  f.zones = {{kThisNode, "zone-a"}};
  const auto service = make_service("web", {"10.96.0.1"});
  f.add(service);
  auto near = make_slice_endpoint("10.244.0.1");
  near.zone_hints = {"zone-b", "zone-a"};
  auto far = make_slice_endpoint("10.244.0.2");
  far.node_name = kOtherNode;
  far.zone_hints = {"zone-b"};
  far.node_hints = {kOtherNode};
  f.upsert(make_slice("web-abc", "web", {near, far}));
  f.upsert(make_slice("db-abc", "db", {make_slice_endpoint("10.244.0.3")}));
  CHECK(f.endpoints(service) ==
        "10.244.0.1:8080 ready serving local zone:here\n"
        "10.244.0.2:8080 ready serving node:other zone:other\n");
  CHECK(f.table.services_with_zone_hints() == std::set<k8s::ObjectKey>{key_of("web")});
  far.zone_hints = {"zone-a"};
  f.take_dirty();
  f.upsert(make_slice("web-abc", "web", {near, far}));
  CHECK(f.take_dirty() == Names{"web"});
}

TEST_CASE("a Pod's change has the time of its condition Ready or of its deletion (18.3)") {
  Fixture f;
  f.add(make_service("web", {"10.96.0.1"}));
  const auto triggers = [&] { return f.table.take_triggers(key_of("web")); };
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1", "fd00:244::1"});
  pod.ready = false;
  pod.ready_since = 90;
  f.table.pods().upsert(pod);
  CHECK(triggers().empty());  // it was no endpoint, and is none
  pod.ready = true;
  pod.ready_since = 100;
  f.table.pods().upsert(pod);
  CHECK(triggers() == Triggers{{.time = 100, .ipv4 = true, .ipv6 = true}});
  f.table.pods().upsert(pod);  // nothing has changed
  CHECK(triggers().empty());
  pod.meta.labels["team"] = "blue";  // no time belongs to this
  f.table.pods().upsert(pod);
  CHECK(triggers().empty());
  pod.meta.deletion_timestamp = 150;
  pod.meta.deletion_grace_seconds = 30;
  f.table.pods().upsert(pod);
  CHECK(triggers() == Triggers{{.time = 120, .ipv4 = true, .ipv6 = true}});
  pod.ready = false;
  pod.ready_since = 125;
  f.table.pods().upsert(pod);
  CHECK(triggers() == Triggers{{.time = 125, .ipv4 = true, .ipv6 = true}});
}

TEST_CASE(
    "a Pod of a manifest has the time of its file, and a Pod that nobody selects none (18.3)") {
  Fixture f;
  f.add(make_service("web", {"10.96.0.1"}));
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  std::string& changed = pod.meta.annotations["endpoints.kubernetes.io/last-change-trigger-time"];
  changed = "1970-01-01T00:01:17Z";
  f.table.pods().upsert(pod);
  CHECK(f.table.take_triggers(key_of("web")) == Triggers{{.time = 77, .ipv4 = true}});
  changed = "1970-01-01T00:01:18Z";  // another Pod in that file has changed
  f.table.pods().upsert(pod);
  CHECK(f.table.take_triggers(key_of("web")).empty());
  k8s::Pod other = make_pod("other", {"10.244.0.2"}, {{"app", "other"}});
  other.ready_since = 100;
  f.table.pods().upsert(other);
  CHECK(f.table.take_triggers(key_of("web")).empty());
}

TEST_CASE("with selectors, slices of a Service with one say nothing of when it changed (18.3)") {
  Fixture f;
  f.add(make_service("web", {"10.96.0.1"}));
  auto slice = make_slice("web-1", "web", {make_slice_endpoint("10.244.0.1")});
  slice.meta.annotations["endpoints.kubernetes.io/last-change-trigger-time"] =
      "1970-01-01T00:01:40Z";
  f.upsert(slice);
  CHECK(f.table.take_triggers(key_of("web")).empty());
  slice.meta.key.name = "db-1";
  slice.service_name = "db";
  f.upsert(slice);
  CHECK(f.table.take_triggers(key_of("db")) == Triggers{{.time = 100, .ipv4 = true}});
}

TEST_CASE("a Service that is never planned keeps a bounded number of times (18.3)") {
  Fixture f(EndpointSource::kEndpointSlice);
  auto slice = make_slice("web-1", "web", {make_slice_endpoint("10.244.0.1")});
  slice.meta.annotations["endpoints.kubernetes.io/last-change-trigger-time"] =
      "1970-01-01T00:00:50Z";
  for (int n = 0; n < 1200; ++n) {
    slice.endpoints[0].ready = n % 2 == 0;
    f.upsert(slice);
  }
  CHECK(f.table.take_triggers(key_of("web")).size() == 1000);
}

namespace {

std::string texts(agent::Candidates& candidates) {
  std::string text;
  while (candidates.first()) {
    const agent::EndpointFacts facts = candidates.take_first();
    text += facts.endpoint.endpoint.text() + " " + facts.object.name + "\n";
  }
  return text;
}

// Of the first port; the most that one step has looked at is checked by whoever counts the steps.
std::string facts_in_steps(const EndpointTable& table, const k8s::Service& service,
                           std::size_t most, int& steps) {
  agent::ServiceFacts facts;
  EndpointTable::FactsPlace place;
  for (bool more = true; more; ++steps) more = table.add_facts(service, place, most, facts);
  return texts(facts[0]);
}

}  // namespace

TEST_CASE("what is known of thousands of endpoints is collected in steps, the same as at once") {
  const auto service = make_service("web", {"10.96.0.1"});
  int steps = 0;
  SECTION("of Pods, those that have finished too") {
    Fixture f;
    f.add(service);
    for (int i = 0; i < 10; ++i) {
      k8s::Pod pod = make_pod("web-" + std::to_string(i), {"10.244.0." + std::to_string(i)});
      if (i == 4) pod.phase = k8s::PodPhase::kSucceeded;
      f.upsert(std::move(pod));
    }
    int one_step = 0;
    const std::string all = facts_in_steps(f.table, service, 100, one_step);
    CHECK(one_step == 1);
    CHECK(std::count(all.begin(), all.end(), '\n') == 10);
    CHECK(facts_in_steps(f.table, service, 3, steps) == all);
    CHECK(steps == 4);
  }
  SECTION("of EndpointSlices, one in each step") {
    Fixture f(EndpointSource::kEndpointSlice);
    f.add(service);
    f.upsert(make_slice("web-a", "web", {make_slice_endpoint("10.244.0.1")}));
    f.upsert(make_slice("web-b", "web", {make_slice_endpoint("10.244.0.2")}));
    CHECK(facts_in_steps(f.table, service, 100, steps) ==
          "10.244.0.1:8080 web-a\n10.244.0.2:8080 web-b\n");
    CHECK(steps == 2);
  }
  SECTION("of a Service that nobody knows") {
    Fixture f;
    CHECK(facts_in_steps(f.table, service, 100, steps).empty());
  }
}

TEST_CASE("an endpoint in two EndpointSlices is one candidate, the ready one") {
  const auto service = make_service("web", {"10.96.0.1"});
  Fixture f(EndpointSource::kEndpointSlice);
  f.add(service);
  auto not_ready = make_slice_endpoint("10.244.0.1");
  not_ready.ready = false;
  f.upsert(make_slice("web-a", "web", {not_ready}));
  f.upsert(make_slice("web-b", "web", {make_slice_endpoint("10.244.0.1")}));
  f.upsert(make_slice("web-c", "web", {make_slice_endpoint("10.244.0.1")}));
  int steps = 0;
  CHECK(facts_in_steps(f.table, service, 1, steps) == "10.244.0.1:8080 web-b\n");
}

TEST_CASE("changes are counted where an object changes what is kept of it, and nowhere else") {
  Fixture f;
  const auto service = make_service("web", {"10.96.0.1"});
  auto counted = [&f, last = std::uint64_t{0}]() mutable {
    return f.table.changes() != std::exchange(last, f.table.changes());
  };
  CHECK_FALSE(counted());
  f.add(service);
  CHECK(counted());
  f.add(service);
  CHECK_FALSE(counted());
  f.upsert(make_pod("web-1", {"10.244.0.1"}));
  CHECK(counted());
  f.upsert(make_pod("web-1", {"10.244.0.1"}));
  CHECK_FALSE(counted());
  f.upsert(make_slice("web-a", "web", {make_slice_endpoint("10.244.0.2")}));
  CHECK(counted());
  f.table.slices().remove(key_of("web-a"));
  CHECK(counted());
  f.table.pods().remove(key_of("web-1"));
  CHECK(counted());
  f.table.take_from(EndpointSource::kEndpointSlice);
  CHECK(counted());
  f.table.remove_service(service.meta.key);
  CHECK(counted());
}
