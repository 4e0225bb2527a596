// SPDX-License-Identifier: Apache-2.0
//
// The rows of upstream's TestCategorizeEndpoints that are about topology
// (pkg/proxy/topology_test.go). As in the planner, choose_endpoints() is applied first.
#include "agent/decide/topology.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agent/decide/planner.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::hint_of;
using agent::ServiceEndpoint;
using Names = std::vector<std::string>;

struct Node {
  std::string name = kThisNode;
  std::string zone;
};

// The hints of an endpoint, as in a slice.
struct Hints {
  Names zones{};
  Names nodes{};
};

ServiceEndpoint endpoint(int n, const Node& node, const Hints& hints) {
  return {.endpoint = {ip("10.1.2." + std::to_string(n)), 80},
          .ready = true,
          .serving = true,
          .node_hint = hint_of(hints.nodes, node.name),
          .zone_hint = hint_of(hints.zones, node.zone)};
}

// Endpoints 1, 2, ... with these hints.
std::vector<ServiceEndpoint> endpoints(const Node& node, const std::vector<Hints>& all) {
  std::vector<ServiceEndpoint> result;
  for (const Hints& hints : all) {
    result.push_back(endpoint(static_cast<int>(result.size()) + 1, node, hints));
  }
  return result;
}

// The endpoints that receive traffic, by the last part of their address: "1 4 ".
std::string preferred(const std::vector<ServiceEndpoint>& candidates) {
  std::string text;
  const auto chosen = agent::choose_endpoints(candidates, ipvs::Family::kIpv4, false);
  for (const ServiceEndpoint& e : agent::prefer_near(chosen)) {
    text += e.endpoint.address.to_string().substr(7) + " ";
  }
  return text;
}

const Node kZoneA{.zone = "zone-a"};
const std::vector<Hints> kFourZoneHints{
    {.zones = {"zone-a"}}, {.zones = {"zone-b"}}, {.zones = {"zone-c"}}, {.zones = {"zone-a"}}};

}  // namespace

TEST_CASE("topology: endpoints hinted for this node's zone are preferred") {
  CHECK(preferred(endpoints(kZoneA, kFourZoneHints)) == "1 4 ");
}

TEST_CASE("topology: a node without a zone uses all endpoints") {
  CHECK(preferred(endpoints({.zone = ""}, kFourZoneHints)) == "1 2 3 4 ");
}

TEST_CASE("topology: a zone that no endpoint is hinted for uses all of them") {
  CHECK(preferred(endpoints({.zone = "zone-z"}, kFourZoneHints)) == "1 2 3 4 ");
}

TEST_CASE("topology: a ready endpoint without a hint disables the hints of all others") {
  auto hints = kFourZoneHints;
  hints[2].zones.clear();
  CHECK(preferred(endpoints(kZoneA, hints)) == "1 2 3 4 ");
}

TEST_CASE("topology: an endpoint that is not ready neither serves nor disables hints") {
  auto hints = kFourZoneHints;
  hints[3].zones.clear();
  auto all = endpoints(kZoneA, hints);
  all[3].ready = false;
  CHECK(preferred(all) == "1 ");
}

TEST_CASE("topology: without a ready endpoint in the zone, those of other zones are used") {
  auto all = endpoints(kZoneA, kFourZoneHints);
  all[0].ready = false;
  all[3].ready = false;
  CHECK(preferred(all) == "2 3 ");
}

TEST_CASE("topology: an endpoint may be hinted for several zones") {
  CHECK(preferred(endpoints({.zone = "zone-c"}, {{.zones = {"zone-a", "zone-b", "zone-c"}},
                                                 {.zones = {"zone-b", "zone-c"}},
                                                 {.zones = {"zone-b", "zone-d"}},
                                                 {.zones = {"zone-c"}}})) == "1 2 4 ");
}

TEST_CASE("topology: node hints come before zone hints") {
  CHECK(preferred(endpoints(kZoneA, {{.zones = {"zone-a"}, .nodes = {kOtherNode}},
                                     {.zones = {"zone-a"}, .nodes = {kThisNode}},
                                     {.zones = {"zone-b"}, .nodes = {"node-3", kThisNode}}})) ==
        "2 3 ");
}

TEST_CASE("topology: if no node hint matches this node, zone hints apply") {
  const std::vector<Hints> hints{{.zones = {"zone-a"}, .nodes = {kOtherNode}},
                                 {.zones = {"zone-b"}, .nodes = {"node-3"}}};
  CHECK(preferred(endpoints(kZoneA, hints)) == "1 ");
  CHECK(preferred(endpoints({.zone = "zone-z"}, hints)) == "1 2 ");
}

TEST_CASE("topology: if one ready endpoint has no node hint, zone hints apply") {
  CHECK(preferred(endpoints(kZoneA, {{.zones = {"zone-a"}, .nodes = {kOtherNode}},
                                     {.zones = {"zone-b"}, .nodes = {kThisNode}},
                                     {.zones = {"zone-a"}}})) == "1 3 ");
}

TEST_CASE("topology: node hints suffice, and if none matches this node all endpoints are used") {
  const std::vector<Hints> hints{{.nodes = {kOtherNode}}, {.nodes = {kThisNode}}};
  CHECK(preferred(endpoints(kZoneA, hints)) == "2 ");
  CHECK(preferred(endpoints({.name = "node-3", .zone = "zone-a"}, hints)) == "1 2 ");
}

TEST_CASE("topology: terminating endpoints that still serve are used whatever their hints") {
  auto all = endpoints(kZoneA, kFourZoneHints);
  for (ServiceEndpoint& e : all) {
    e.ready = false;
    e.terminating = true;
  }
  CHECK(preferred(all) == "1 2 3 4 ");
}

TEST_CASE("topology: the hints of one family do not affect the other") {
  auto all = endpoints(kZoneA, kFourZoneHints);
  ServiceEndpoint v6 = endpoint(1, kZoneA, {});
  v6.endpoint.address = ip("fd00::1");
  all.push_back(v6);
  CHECK(preferred(all) == "1 4 ");
}

TEST_CASE("topology: without endpoints none is preferred") { CHECK(preferred({}).empty()); }

TEST_CASE("topology: a single zone or node is a hint for that one only") {
  CHECK(hint_of("zone-a", "zone-a") == agent::Hint::kHere);
  CHECK(hint_of("zone-b", "zone-a") == agent::Hint::kElsewhere);
  CHECK(hint_of("zone-b", "") == agent::Hint::kElsewhere);
  CHECK(hint_of("", "zone-a") == agent::Hint::kNone);
  CHECK(hint_of("", "") == agent::Hint::kNone);
}
