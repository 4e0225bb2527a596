// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/plan_digest.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using namespace std::chrono_literals;
using agent::PlanDigest;
using agent::ServiceEndpoint;

ServiceEndpoint endpoint(const std::string& address) {
  return {.endpoint = {ip(address), 8080}, .ready = true, .serving = true};
}

std::uint64_t digest(const k8s::Service& service, std::vector<ServiceEndpoint> endpoints,
                     const agent::ServiceOptions& options = {}) {
  return agent::service_digest(service, {std::move(endpoints)}, options);
}

// Seconds after a full five minutes.
PlanDigest::Moment at(std::chrono::milliseconds since) {
  return {.wall = PlanDigest::WallClock::time_point(1'800'000'000s + since),
          .steady = PlanDigest::Clock::time_point(1000s + since)};
}

}  // namespace

TEST_CASE("a digest is the same wherever endpoints are, and in whatever order they come") {
  const k8s::Service service = make_service("web", {"10.96.0.1"});
  const auto one = digest(service, {endpoint("10.0.0.1"), endpoint("10.0.0.2")});
  auto near = endpoint("10.0.0.1");
  near.local = true;
  near.zone_hint = agent::Hint::kHere;
  near.ready_since = 77;
  near.pod = "web-1";
  CHECK(digest(service, {endpoint("10.0.0.2"), near}) == one);
  auto unready = endpoint("10.0.0.3");
  unready.ready = unready.serving = false;
  CHECK(digest(service, {endpoint("10.0.0.2"), near, unready}) == one);
}

TEST_CASE("a digest is another one for whatever nodes must agree on") {
  const k8s::Service service = make_service("web", {"10.96.0.1"});
  const std::vector<ServiceEndpoint> endpoints{endpoint("10.0.0.1"), endpoint("10.0.0.2")};
  std::vector<std::uint64_t> all{digest(service, endpoints)};
  const auto with = [&](auto change) {
    k8s::Service other = service;
    change(other);
    all.push_back(digest(other, endpoints));
  };
  with([](k8s::Service& s) { s.meta.key.name = "api"; });
  with([](k8s::Service& s) { s.meta.key.ns = "shop"; });
  with([](k8s::Service& s) { s.cluster_ips = {ip("10.96.0.2")}; });
  with([](k8s::Service& s) { s.external_ips = {ip("192.0.2.1")}; });
  with([](k8s::Service& s) { s.load_balancer_ingress = {{.ip = ip("192.0.2.1")}}; });
  with([](k8s::Service& s) {
    s.load_balancer_ingress = {{.ip = ip("192.0.2.1"), .proxy_mode = true}};
  });
  with([](k8s::Service& s) { s.load_balancer_source_ranges = {{ip("198.51.100.0"), 24}}; });
  with([](k8s::Service& s) { s.client_ip_affinity_seconds = 60; });
  with([](k8s::Service& s) { s.internal_traffic_policy = k8s::TrafficPolicy::kLocal; });
  with([](k8s::Service& s) { s.external_traffic_policy = k8s::TrafficPolicy::kLocal; });
  with([](k8s::Service& s) { s.ports[0].port = 81; });
  with([](k8s::Service& s) { s.ports[0].node_port = 30080; });
  with([](k8s::Service& s) { s.ports[0].protocol = k8s::Protocol::kUdp; });
  all.push_back(digest(service, endpoints, {.scheduler = "lc"}));
  all.push_back(digest(service, {endpoint("10.0.0.1")}));
  auto drained = endpoints;
  drained[1].weight = 0;
  all.push_back(digest(service, drained));
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("the digest of all Services depends on no order, and forgets what is gone") {
  PlanDigest one, other;
  one.set("default/a", 11, at(0s));
  one.set("default/b", 22, at(0s));
  other.set("default/b", 33, at(0s));
  other.set("default/a", 11, at(0s));
  CHECK(one.current() != other.current());
  other.set("default/b", 22, at(0s));
  CHECK(one.current() == other.current());
  other.set("default/c", 44, at(0s));
  other.set("default/c", std::nullopt, at(0s));
  other.set("default/never-there", std::nullopt, at(0s));
  CHECK(one.current() == other.current());
  CHECK(one.current() <= (1ULL << 52));
}

TEST_CASE("nodes that are asked at different times have the digest of one moment") {
  PlanDigest asked_often, asked_once;
  for (PlanDigest* node : {&asked_often, &asked_once}) {
    node->set("default/a", 11, at(-100s));
    node->complete(at(-100s));
  }
  CHECK(asked_often.common(at(-1s)) == 0);
  const std::uint64_t first = asked_often.current();
  CHECK(asked_often.common(at(0s)) == first);
  // It changes before the other node is asked.
  for (PlanDigest* node : {&asked_often, &asked_once}) node->set("default/a", 12, at(20s));
  CHECK(asked_often.common(at(30s)) == first);
  CHECK(asked_once.common(at(200s)) == first);
  CHECK(asked_once.common(at(300s)) == asked_once.current());
}

TEST_CASE("while a change is on its way to all nodes, the moment is put off until it is there") {
  PlanDigest early, late;
  for (PlanDigest* node : {&early, &late}) {
    node->set("default/a", 11, at(-100s));
    node->complete(at(-100s));
  }
  early.set("default/a", 12, at(-100ms));
  CHECK(early.common(at(100ms)) == 0);
  // For this node, nothing had changed for long at the full five minutes: only such a change differs.
  late.set("default/a", 12, at(-20ms));
  CHECK(early.common(at(450ms)) == early.current());
  CHECK(late.common(at(450ms)) == 0);
  CHECK(late.common(at(480ms)) == early.common(at(480ms)));
}

TEST_CASE("a node on which something changes all the time keeps the older digest") {
  PlanDigest node;
  node.set("default/a", 1, at(-100s));
  node.complete(at(-100s));
  const auto before = node.common(at(0s));
  for (int i = 0; i < 400; ++i) node.set("default/a", 100 + i, at(299s + i * 300ms));
  CHECK(node.common(at(299s + 400 * 300ms)) == before);
  CHECK(node.common(at(299s + 400 * 300ms + 500ms)) == node.current());
}

TEST_CASE("before all plans are there, there is no common digest") {
  PlanDigest node;
  node.set("default/a", 1, at(-400s));
  CHECK(node.common(at(0s)) == 0);
  node.complete(at(1s));
  CHECK(node.common(at(2s)) == 0);
  CHECK(node.common(at(301s)) == node.current());
}
