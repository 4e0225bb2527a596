// SPDX-License-Identifier: Apache-2.0
//
// The state of each endpoint, and why: by what the cluster says and the kernel holds.
#include "agent/answers/endpoint_view.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using agent::EndpointFacts;
using agent::EndpointRow;
using agent::EndpointState;
using agent::test::ip;

constexpr k8s::UnixSeconds kThen = 1'796'000'000;

struct Scene {
  k8s::Service service = agent::test::make_service("web", {"10.96.0.1"});
  std::vector<EndpointFacts> candidates;
  ipvs::Server wanted{.settings = {.key = {ip("10.96.0.1"), 80}, .scheduler = "rr"}};
  ipvs::ServerReading held{.settings = wanted.settings};
  std::vector<agent::Retries::Refusal> refusals;
  std::uint32_t slow_start = 0;
  bool local_only = false;
  agent::HandDrains drains;

  EndpointFacts& candidate(const std::string& address, bool ready = true) {
    candidates.push_back({.endpoint = {.endpoint = {ip(address), 8080},
                                       .ready = ready,
                                       .serving = ready,
                                       .local = true},
                          .from_pod = true,
                          .object = {"default", "web-1"},
                          .pod = "web-1",
                          .node = "node-1",
                          .readiness_changed = kThen});
    return candidates.back();
  }
  void want(const std::string& address, std::uint32_t weight = 1) {
    wanted.destinations.push_back({.endpoint = {ip(address), 8080}, .weight = weight});
  }
  void hold(const std::string& address, std::uint32_t weight = 1) {
    held.destinations.push_back({.destination = {.endpoint = {ip(address), 8080}, .weight = weight},
                                 .active_connections = 3});
  }
  agent::Candidates listed() const {
    agent::Candidates all;
    for (const EndpointFacts& each : candidates) all.add(each);
    return all;
  }
  EndpointRow row() const {
    const std::vector<agent::ServerView> servers{{.key = wanted.settings.key,
                                                  .field = "clusterIP",
                                                  .local_only = local_only,
                                                  .wanted = &wanted,
                                                  .held = &held}};
    const auto rows = agent::endpoint_rows({.service = service,
                                            .servers = servers,
                                            .refusals = refusals,
                                            .slow_start_seconds = slow_start,
                                            .hand_drains = drains},
                                           listed());
    return rows.empty() ? EndpointRow{} : rows.front();
  }
};

}  // namespace

TEST_CASE("a ready Pod that the kernel gives connections is serving, by its condition Ready") {
  Scene scene;
  scene.candidate("10.244.0.1");
  scene.want("10.244.0.1");
  scene.hold("10.244.0.1");
  const EndpointRow row = scene.row();
  CHECK(row.state == EndpointState::kServing);
  CHECK(row.active_connections == 3);
  CHECK(boost::json::serialize(agent::to_json(row.why)) ==
        R"({"object":"Pod default/web-1","field":"status.conditions[Ready]","value":"True",)"
        R"("since":"2026-11-30T00:53:20Z","note":"the Pod is ready"})");
}

TEST_CASE("a Pod that is not ready is out, since its condition says so") {
  Scene scene;
  scene.candidate("10.244.0.1", false);
  const EndpointRow row = scene.row();
  CHECK(row.state == EndpointState::kOut);
  CHECK(row.why.value == "False");
  CHECK(row.why.since == kThen);
}

TEST_CASE("a Pod with open connections that is being deleted drains, by its deletion") {
  Scene scene;
  EndpointFacts& facts = scene.candidate("10.244.0.1");
  facts.endpoint.ready = false;
  facts.endpoint.terminating = true;
  facts.deletion_requested = kThen;
  facts.deletion_grace = 30;
  scene.hold("10.244.0.1", 0);
  const EndpointRow row = scene.row();
  CHECK(row.state == EndpointState::kDraining);
  CHECK(row.why.field == "metadata.deletionTimestamp");
  CHECK(row.why.value == "set, grace period 30 s");
}

TEST_CASE("an endpoint of weight 0 says who gave it that weight") {
  Scene scene;
  scene.candidate("10.244.0.1").endpoint.weight = 0;
  scene.want("10.244.0.1", 0);
  scene.hold("10.244.0.1", 0);
  CHECK(scene.row().why.field == "metadata.annotations[kube-ipvs.io/weight]");
  scene.drains.set(
      {.endpoint = {ip("10.244.0.1"), 0}, .by = "ada", .reason = "disk is full", .since = kThen});
  const EndpointRow row = scene.row();
  CHECK(row.state == EndpointState::kDraining);
  CHECK(row.why.note == "drained by hand by ada: disk is full");
  CHECK(row.why.value == "until undrain");
}

TEST_CASE("an endpoint whose object is gone drains while its connections last") {
  Scene scene;
  scene.hold("10.244.0.1", 0);
  CHECK(scene.row().state == EndpointState::kDraining);
  CHECK(scene.row().why.note == "its object is gone, and connections are open");
}

TEST_CASE("a wanted endpoint that the kernel lacks is pending, or refused with the reason") {
  Scene scene;
  scene.candidate("10.244.0.1");
  scene.want("10.244.0.1");
  CHECK(scene.row().state == EndpointState::kPending);
  scene.refusals.push_back({.failure = {.command = "NEW_DEST",
                                        .error_number = 22,
                                        .what = "NEW_DEST TCP 10.96.0.1:80 -> 10.244.0.1:8080",
                                        .owner = "default/web",
                                        .key = scene.wanted.settings.key}});
  const EndpointRow row = scene.row();
  CHECK(row.state == EndpointState::kRefused);
  CHECK(row.why.value == "NEW_DEST TCP 10.96.0.1:80 -> 10.244.0.1:8080: Invalid argument");
}

TEST_CASE("an endpoint in slow start is ramping") {
  Scene scene;
  scene.slow_start = 60;
  scene.candidate("10.244.0.1");
  scene.want("10.244.0.1", 40);
  scene.hold("10.244.0.1", 40);
  CHECK(scene.row().state == EndpointState::kRamping);
  scene.wanted.destinations.front().weight = 100;
  scene.held.destinations.front().destination.weight = 100;
  CHECK(scene.row().state == EndpointState::kServing);
}

TEST_CASE("a ready endpoint that is not chosen says which field keeps it out") {
  Scene scene;
  EndpointFacts& facts = scene.candidate("10.244.0.1");
  SECTION("a policy of Local, and it is elsewhere") {
    scene.local_only = true;
    facts.endpoint.local = false;
    facts.node = "node-2";
    CHECK(scene.row().why.note == "it is on node node-2");
    CHECK(scene.row().why.value == "Local");
  }
  SECTION("a nearer zone") {
    scene.service.traffic_distribution = "PreferClose";
    facts.endpoint.zone_hint = agent::Hint::kElsewhere;
    CHECK(scene.row().why.field == "spec.trafficDistribution");
    CHECK(scene.row().why.value == "PreferClose");
  }
  SECTION("its Pod has finished") {
    facts.finished = true;
    CHECK(scene.row().why.field == "status.phase");
  }
  CHECK(scene.row().state == EndpointState::kOut);
}

TEST_CASE("a terminating endpoint serves where none is ready, and says so") {
  Scene scene;
  EndpointFacts& facts = scene.candidate("10.244.0.1");
  facts.endpoint.ready = false;
  facts.endpoint.terminating = true;
  scene.want("10.244.0.1");
  scene.hold("10.244.0.1");
  CHECK(scene.row().state == EndpointState::kServing);
  CHECK(scene.row().why.note == "the Pod is being deleted; no endpoint is ready");
}

TEST_CASE("an EndpointSlice is named where the endpoint is from one") {
  Scene scene;
  EndpointFacts& facts = scene.candidate("10.244.0.1", false);
  facts.from_pod = false;
  facts.object = {"default", "web-7k2"};
  const EndpointRow row = scene.row();
  CHECK(row.why.object == "EndpointSlice default/web-7k2");
  CHECK(row.why.field == "endpoints[10.244.0.1].conditions.ready");
  CHECK(row.pod == "default/web-1");
}

TEST_CASE("an endpoint of TCP that never sent a packet back says so") {
  Scene scene;
  scene.candidate("10.0.0.1");
  scene.want("10.0.0.1");
  scene.hold("10.0.0.1");
  ipvs::Counters& counters = scene.held.destinations.back().counters;
  counters = {.connections = 2, .packets_in = 2};
  CHECK(scene.row().why.note == "the Pod is ready");  // perhaps they are on their way
  counters.packets_in = 6;
  CHECK(scene.row().why.note ==
        "the Pod is ready; none of its 2 connections has got a packet back");
  counters.packets_out = 1;
  CHECK(scene.row().why.note == "the Pod is ready");
  counters.packets_out = 0;
  scene.wanted.settings.key.protocol = ipvs::Protocol::kUdp;  // such as syslog
  CHECK(scene.row().why.note == "the Pod is ready");
}

TEST_CASE("rows of thousands of endpoints are made some at a time, the same as at once") {
  Scene scene;
  for (int i = 1; i <= 150; ++i) {
    const std::string address = "10.0.0." + std::to_string(i);
    scene.candidate(address);
    if (i % 3 == 0) continue;
    scene.want(address);
    if (i % 2 == 0) scene.hold(address);
  }
  scene.hold("10.0.1.1");
  const std::vector<agent::ServerView> servers{{.key = scene.wanted.settings.key,
                                                .field = "clusterIP",
                                                .wanted = &scene.wanted,
                                                .held = &scene.held}};
  const agent::EndpointQuestion question{.service = scene.service,
                                         .servers = servers,
                                         .refusals = scene.refusals,
                                         .hand_drains = scene.drains};
  const auto at_once = agent::endpoint_rows(question, scene.listed());
  CHECK(at_once.size() == 151);
  agent::EndpointRows rows(question, scene.listed());
  std::deque<EndpointRow> some;
  std::size_t steps = 0;
  for (bool more = true; more; ++steps) {
    const std::size_t before = some.size();
    more = rows.next(64, some);
    CHECK(some.size() - before <= 64);
  }
  CHECK(steps == 3);
  REQUIRE(some.size() == at_once.size());
  for (std::size_t i = 0; i < some.size(); ++i) {
    CHECK(boost::json::serialize(to_json(some[i])) == boost::json::serialize(to_json(at_once[i])));
  }
}

TEST_CASE("an endpoint of a family that the Service does not have says so") {
  Scene scene;
  scene.candidate("fd00::1");
  const EndpointRow row = scene.row();
  CHECK(row.state == EndpointState::kOut);
  CHECK(row.why.note == "the Service has no IPv6 address");
  CHECK(row.why.field == "spec.clusterIPs");
}
