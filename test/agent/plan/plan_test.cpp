// SPDX-License-Identifier: Apache-2.0
#include "agent/plan/plan.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <initializer_list>
#include <utility>

#include "agent/plan/plan_json.hpp"

namespace {

namespace json = boost::json;
using agent::Plan;
using Lines = std::vector<std::string>;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

const ipvs::ServerKey kWeb{address("10.96.0.1"), 80, ipvs::Protocol::kTcp};
const ipvs::ServerKey kDns{address("fd00::a"), 53, ipvs::Protocol::kUdp};

Plan some_plan() {
  agent::KernelPicture picture;
  picture.servers[kWeb] = {{.key = kWeb, .scheduler = "rr"}, {{{address("10.244.0.1"), 8080}, 1}}};
  picture.servers[kDns] = {{.key = kDns,
                            .scheduler = "sh",
                            .flags = ipvs::kFlagPersistent | ipvs::kFlagSched1,
                            .timeout_seconds = 600},
                           {{{address("fd00:244::1"), 53}, 0}, {{address("fd00:244::2"), 53}, 7}}};
  picture.addresses = {kWeb.address, kDns.address};
  picture.elements = {{.kind = ipvs::ElementKind::kServiceIp, .address = kWeb.address, .port = 80}};
  picture.rules = ipvs::TableRules{};
  return agent::plan_of(
      picture,
      [](const ipvs::ServerKey& key) { return key == kWeb ? std::string("default/web") : ""; },
      {.name = "node-1", .addresses = {address("192.0.2.1")}}, {"Service a/b: Reason: why"});
}

// What is wrong with the plan when `change` was made to it.
template <typename Change>
std::string fault(const Change& change) {
  json::value value(agent::to_json(some_plan()));
  change(value.as_object());
  const auto plan = agent::read_plan(value);
  REQUIRE(plan.has_error());
  return plan.error().what;
}

}  // namespace

TEST_CASE("a plan is read back as it was saved") {
  const Plan plan = some_plan();
  const json::value saved = json::parse(json::serialize(agent::to_json(plan)));
  CHECK(agent::is_plan(saved));
  const auto read = agent::read_plan(saved);
  REQUIRE(read.has_value());
  CHECK(*read == plan);
  CHECK(agent::plan_difference(*read, plan).empty());
  CHECK(*agent::read_plan(json::value(agent::to_json(Plan()))) == Plan());
}

TEST_CASE("a field of a later version is ignored") {
  json::object saved = agent::to_json(some_plan());
  saved["more"] = 7;
  const auto read = agent::read_plan(json::value(saved));
  REQUIRE(read.has_value());
  CHECK(*read == some_plan());
}

TEST_CASE("a saved plan with a fault is refused by the field's name") {
  CHECK(fault([](json::object& plan) { plan["apiVersion"] = "v2"; }) ==
        "apiVersion: \"v2\" is not kube-ipvs.io/v1");
  CHECK(fault([](json::object& plan) { plan.erase("node"); }) == "node: is missing");
  CHECK(fault([](json::object& plan) { plan["addresses"] = json::array{"web"}; }) ==
        "addresses: \"web\" is no IP address");
  CHECK(fault([](json::object& plan) { plan["rules"] = json::array{1}; }) ==
        "rules: has an item that is no text");
  const auto of_server = [](const char* name, const json::value& value) {
    return fault([&](json::object& plan) {
      plan["virtualServers"].as_array()[0].as_object()[name] = value;
    });
  };
  CHECK(of_server("port", 65536) == "virtualServers[0].port: is no number from 0 to 65535");
  CHECK(of_server("port", -1) == "virtualServers[0].port: is no number from 0 to 65535");
  CHECK(of_server("protocol", "ICMP") ==
        "virtualServers[0].protocol: \"ICMP\" is not TCP, UDP or SCTP");
  CHECK(of_server("destinations", json::array{json::object{}}) ==
        "virtualServers[0].destinations[0].address: is no text");
  CHECK_FALSE(agent::is_plan(json::value(json::array{})));
  CHECK(agent::read_plan(json::value(json::array{})).has_error());
}

TEST_CASE("the difference of two plans names each Service, address, element and rule") {
  const Plan before = some_plan();
  Plan after = before;
  after.servers[kWeb].settings.scheduler = "lc";
  after.servers[kWeb].destinations[0].weight = 3;
  after.servers.erase(kDns);
  after.addresses.erase(kDns.address);
  after.elements = {"node-ports tcp . 30080"};
  after.rules.erase("refuse: reject");
  after.refused.clear();
  CHECK(agent::plan_difference(before, after) ==
        Lines{"TCP 10.96.0.1:80 (Service default/web)", "  scheduler rr -> lc",
              "  endpoint 10.244.0.1:8080: weight 1 -> 3", "UDP [fd00::a]:53",
              "  deleted, with 2 endpoints", "kube-ipvs0: fd00::a deleted",
              "nftables: node-ports tcp . 30080 added",
              "nftables: cluster-ips-4 10.96.0.1 . tcp . 80 deleted",
              "nftables: chain refuse: reject deleted",
              "not as asked: Service a/b: Reason: why deleted"});
}

TEST_CASE("a virtual server that another Service gets is a difference") {
  const Plan before = some_plan();
  Plan after = before;
  after.owners[kWeb] = "default/other";
  CHECK(agent::plan_difference(before, after) ==
        Lines{"TCP 10.96.0.1:80 (Service default/web -> default/other)"});
}
