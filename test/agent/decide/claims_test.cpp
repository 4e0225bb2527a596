// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/claims.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::Claims;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Owner;
using ipvs::ServerKey;
using ipvs::ServicePlan;

ServerKey key(const std::string& address, std::uint16_t port) { return {ip(address), port}; }

// A plan as the planner makes them: virtual servers on bound addresses.
ServicePlan plan_of(const std::vector<ServerKey>& keys) {
  ServicePlan plan;
  std::set<ipvs::Address> addresses;
  std::set<Element, ipvs::ElementKeyLess> elements;
  for (const ServerKey& k : std::set<ServerKey>(keys.begin(), keys.end())) {
    plan.servers.push_back({.settings = {.key = k, .scheduler = "rr"}});
    addresses.insert(k.address);
    elements.insert({.kind = ElementKind::kServiceIp, .address = k.address, .port = k.port});
    elements.insert({.kind = ElementKind::kVirtualIp, .address = k.address});
  }
  plan.addresses.assign(addresses.begin(), addresses.end());
  plan.elements.assign(elements.begin(), elements.end());
  return plan;
}

const ServerKey kVip = key("192.0.2.1", 80);
const ServerKey kVipTls = key("192.0.2.1", 443);

}  // namespace

TEST_CASE("a plan that no other Service competes with is granted whole") {
  Claims claims;
  const auto granted = claims.replace("a/web", 100, plan_of({kVip, kVipTls}));
  CHECK(granted.plan == plan_of({kVip, kVipTls}));
  CHECK(granted.lost.empty());
  CHECK(granted.others.empty());
}

TEST_CASE("the younger Service loses what the older one has and keeps the rest") {
  Claims claims;
  claims.replace("a/old", 100, plan_of({kVip}));
  const auto granted = claims.replace("a/young", 200, plan_of({kVip, kVipTls}));
  CHECK(granted.plan == plan_of({kVipTls}));
  REQUIRE(granted.lost.size() == 1);
  CHECK(granted.lost[0].key == kVip);
  CHECK(granted.lost[0].holder == "a/old");
  CHECK(granted.others.empty());
}

TEST_CASE("an older Service that comes later takes over, and the younger one is planned again") {
  Claims claims;
  claims.replace("a/young", 200, plan_of({kVip}));
  const auto granted = claims.replace("a/old", 100, plan_of({kVip}));
  CHECK(granted.plan == plan_of({kVip}));
  CHECK(granted.others == std::set<Owner>{"a/young"});
  CHECK(claims.replace("a/young", 200, plan_of({kVip})).plan == ServicePlan{});
}

TEST_CASE("of two Services of the same age the first by name wins, in any order of arrival") {
  for (const bool first : {true, false}) {
    Claims claims;
    claims.replace(first ? "a/a" : "a/b", 100, plan_of({kVip}));
    claims.replace(first ? "a/b" : "a/a", 100, plan_of({kVip}));
    CHECK(claims.replace("a/a", 100, plan_of({kVip})).lost.empty());
    CHECK(claims.replace("a/b", 100, plan_of({kVip})).lost.size() == 1);
  }
}

TEST_CASE("when the holder releases its claim, only the next oldest is planned again") {
  Claims claims;
  claims.replace("a/first", 100, plan_of({kVip, kVipTls}));
  claims.replace("a/third", 300, plan_of({kVip}));
  claims.replace("a/second", 200, plan_of({kVip}));
  SECTION("by wanting less") {
    CHECK(claims.replace("a/first", 100, plan_of({kVipTls})).others == std::set<Owner>{"a/second"});
  }
  SECTION("by going") { CHECK(claims.release("a/first") == std::set<Owner>{"a/second"}); }
  CHECK(claims.replace("a/second", 200, plan_of({kVip})).lost.empty());
  const auto third = claims.replace("a/third", 300, plan_of({kVip}));
  REQUIRE(third.lost.size() == 1);
  CHECK(third.lost[0].holder == "a/second");
}

TEST_CASE("the release of a lost claim changes nothing for the holder") {
  Claims claims;
  claims.replace("a/old", 100, plan_of({kVip}));
  claims.replace("a/young", 200, plan_of({kVip}));
  CHECK(claims.release("a/young").empty());
  CHECK(claims.release("a/young").empty());
  CHECK(claims.release("a/old").empty());
}

TEST_CASE("a Service created again under its old name has its new age") {
  Claims claims;
  claims.replace("a/web", 100, plan_of({kVip}));
  claims.replace("a/rival", 200, plan_of({kVip}));
  const auto granted = claims.replace("a/web", 300, plan_of({kVip}));
  CHECK(granted.plan == ServicePlan{});
  CHECK(granted.others == std::set<Owner>{"a/rival"});
}

TEST_CASE("what only a removed virtual server needed is removed with it") {
  ServicePlan plan = plan_of({kVip, kVipTls, key("192.0.2.2", 80)});
  CHECK(agent::without_servers(plan, {}) == plan);
  CHECK(agent::without_servers(plan, {kVipTls}) == plan_of({kVip, key("192.0.2.2", 80)}));
  CHECK(agent::without_servers(plan, {kVip, kVipTls}) == plan_of({key("192.0.2.2", 80)}));
  CHECK(agent::without_servers(plan, {kVip, kVipTls, key("192.0.2.2", 80)}) == ServicePlan{});
}

TEST_CASE("a node port's element stays as long as one of its addresses is served") {
  ServicePlan plan;
  for (const char* address : {"192.168.1.1", "192.168.1.2"}) {
    plan.servers.push_back({.settings = {.key = key(address, 30080), .scheduler = "rr"}});
  }
  plan.elements = {{.kind = ElementKind::kNodePort, .port = 30080}};
  const ServicePlan one = agent::without_servers(plan, {key("192.168.1.1", 30080)});
  CHECK(one.servers.size() == 1);
  CHECK(one.elements == plan.elements);
  const ServicePlan none =
      agent::without_servers(plan, {key("192.168.1.1", 30080), key("192.168.1.2", 30080)});
  CHECK(none == ServicePlan{});
}

TEST_CASE("a node port is one Service's on all addresses, even on those it does not use itself") {
  const auto node_port_plan = [](const std::vector<std::string>& addresses,
                                 ipvs::TrafficClass traffic_class) {
    ServicePlan plan;
    for (const std::string& address : addresses) {
      plan.servers.push_back({.settings = {.key = key(address, 30080), .scheduler = "rr"}});
    }
    plan.elements = {
        {.kind = ElementKind::kNodePort, .traffic_class = traffic_class, .port = 30080}};
    return plan;
  };
  const auto dual =
      node_port_plan({"192.168.1.1", "fd00:1::1"}, ipvs::TrafficClass::kExternalLocal);
  const auto single = node_port_plan({"192.168.1.1"}, ipvs::TrafficClass::kExternal);
  Claims claims;
  CHECK(claims.replace("a/dual", 200, dual).plan == dual);
  const auto older = claims.replace("a/single", 100, single);
  CHECK(older.plan == single);
  CHECK(older.others == std::set<Owner>{"a/dual"});
  const auto loser = claims.replace("a/dual", 200, dual);
  CHECK(loser.plan == ServicePlan{});
  REQUIRE(loser.lost.size() == 1);
  CHECK(loser.lost[0].key.text() == "TCP 0.0.0.0:30080");
  // A Service that lost a claim does not keep its other claims from younger Services.
  const auto external = plan_of({key("fd00:1::1", 30080)});
  CHECK(claims.replace("a/external", 300, external).plan == external);
  CHECK(claims.release("a/single") == std::set<Owner>{"a/dual"});
}

TEST_CASE("a claim counts by the field of the Service first, then by age (B5)") {
  const auto by = [](ipvs::TrafficClass traffic_class) {
    ServicePlan plan = plan_of({kVip});
    for (Element& element : plan.elements) {
      if (element.kind == ElementKind::kServiceIp) element.traffic_class = traffic_class;
    }
    return plan;
  };
  const ServicePlan external = by(ipvs::TrafficClass::kExternal);
  const ServicePlan cluster = by(ipvs::TrafficClass::kClusterIp);
  ServicePlan node_port = plan_of({kVip});
  node_port.elements = {{.kind = ElementKind::kNodePort,
                         .traffic_class = ipvs::TrafficClass::kExternal,
                         .port = kVip.port}};
  node_port.addresses.clear();
  const agent::Standing tenant{100, {kVip.address}};

  Claims claims;
  const auto holder = [&] {
    const auto granted = claims.replace("z/last", {999, {kVip.address}}, external);
    return granted.lost.empty() ? "z/last" : granted.lost[0].holder;
  };
  claims.replace("a/tenant", tenant, external);
  CHECK(holder() == "a/tenant");
  CHECK(claims.replace("b/balanced", 200, external).others == std::set<Owner>{"a/tenant"});
  CHECK(holder() == "b/balanced");
  claims.replace("c/node-port", 300, node_port);
  CHECK(holder() == "c/node-port");
  claims.replace("d/pay", 400, cluster);
  CHECK(holder() == "d/pay");
  claims.replace("e/older", 399, cluster);
  CHECK(holder() == "e/older");
  // The cluster IP of a Service that is gone but for its connections counts least.
  claims.replace("e/older", agent::kLingering, cluster);
  CHECK(holder() == "d/pay");
  for (const auto& [gone, next] :
       std::vector<std::pair<Owner, Owner>>{{"d/pay", "c/node-port"},
                                            {"c/node-port", "b/balanced"},
                                            {"b/balanced", "a/tenant"},
                                            {"a/tenant", "z/last"}}) {
    CHECK(claims.release(gone) == std::set<Owner>{next});
    CHECK(holder() == next);
  }
}

TEST_CASE("an external IP that a load balancer gives as well rises, and sinks again (B5)") {
  Claims claims;
  ServicePlan plan = plan_of({kVip});
  for (Element& element : plan.elements) element.traffic_class = ipvs::TrafficClass::kExternal;
  claims.replace("a/old", {100, {kVip.address}}, plan);
  claims.replace("a/young", {200, {kVip.address}}, plan);
  CHECK(claims.replace("a/young", 200, plan).others == std::set<Owner>{"a/old"});
  CHECK(claims.replace("a/old", {100, {kVip.address}}, plan).lost.size() == 1);
  CHECK(claims.replace("a/young", {200, {kVip.address}}, plan).others == std::set<Owner>{"a/old"});
  CHECK(claims.replace("a/old", {100, {kVip.address}}, plan).lost.empty());
}

TEST_CASE("any order of claims ends with each virtual server at the one who counts most (B5)") {
  REQUIRE(rc::check("holder is the first by field, age and name", [] {
    Claims claims;
    struct Wanted {
      k8s::UnixSeconds since = 0;
      std::vector<ServerKey> keys;
      int field = 0;  // 0: cluster IP, 1: load balancer, 2: external IP
      ServicePlan plan() const {
        ServicePlan plan = plan_of(keys);
        if (field == 0) return plan;
        for (Element& element : plan.elements) {
          if (element.kind == ElementKind::kServiceIp) {
            element.traffic_class = ipvs::TrafficClass::kExternal;
          }
        }
        return plan;
      }
      agent::Standing standing() const {
        return field == 2 ? agent::Standing{since, {kVip.address}} : agent::Standing{since};
      }
    };
    std::map<Owner, Wanted> wanted;
    std::map<Owner, ServicePlan> granted;
    std::set<Owner> open;
    for (int i = *rc::gen::inRange(1, 20); i > 0; --i) {
      const Owner owner = "a/" + std::to_string(*rc::gen::inRange(0, 4));
      std::vector<ServerKey> keys;
      for (const int n : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 3))) {
        keys.push_back(key("192.0.2.1", static_cast<std::uint16_t>(80 + n)));
      }
      wanted[owner] = {*rc::gen::inRange(1, 4), keys, *rc::gen::inRange(0, 3)};
      open.insert(owner);
      while (!open.empty()) {
        const Owner next = *open.begin();
        open.erase(open.begin());
        auto now = claims.replace(next, wanted[next].standing(), wanted[next].plan());
        granted[next] = std::move(now.plan);
        open.merge(now.others);
      }
    }
    std::map<ServerKey, std::tuple<int, k8s::UnixSeconds, Owner>> first;
    for (const auto& [owner, claim] : wanted) {
      for (const ServerKey& k : claim.keys) {
        const std::tuple candidate(claim.field, claim.since, owner);
        const auto [place, added] = first.emplace(k, candidate);
        if (!added) place->second = std::min(place->second, candidate);
      }
    }
    for (const auto& [owner, claim] : wanted) {
      Wanted expected{.field = claim.field};
      for (const ServerKey& k : claim.keys) {
        if (std::get<Owner>(first[k]) == owner) expected.keys.push_back(k);
      }
      RC_ASSERT(plan_text(granted[owner]) == plan_text(expected.plan()));
    }
  }));
}
