// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/next_commands.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "agent/ask/explanation_text.hpp"
#include "test/agent/answers/world.hpp"

namespace {

using namespace agent;
using namespace agent::test;

NextCommands ask(const World& world, const std::string& to) {
  const auto next = next_commands(*parse_question({.to = to}), world.view());
  INFO((next ? "" : next.error().what));
  REQUIRE(next.has_value());
  return *next;
}

std::vector<std::string> lines(const World& world, const std::string& to) {
  const NextCommands next = ask(world, to);
  REQUIRE(next.entrances.size() == 1);
  std::vector<std::string> all;
  for (const NextCommand& each : next.entrances[0].commands) {
    CHECK(each.line.starts_with(each.tool + " "));
    CHECK_FALSE(each.shows.empty());
    all.push_back(each.line);
  }
  return all;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("the next commands for a cluster IP are ready to paste") {
  World world;
  world.add_pods();
  world.add(exposed("web", 1));
  world.settle();
  CHECK(lines(world, "10.96.0.1:80") ==
        Lines{"ipvsadm -Ln -t '10.96.0.1:80'", "ipvsadm -Ln --stats -t '10.96.0.1:80'",
              "ipvsadm -Lnc | grep -F '10.96.0.1:80'",
              "nft get element inet kube-ipvs cluster-ips-4 '{ 10.96.0.1 . tcp . 80 }'",
              "nft get element inet kube-ipvs virtual-ips-4 '{ 10.96.0.1 }'",
              "nft list chain inet kube-ipvs cluster-ip",
              "conntrack -L -p tcp --orig-dst 10.96.0.1 --orig-port-dst 80",
              "ss -n -t dst '10.96.0.1:80'",
              "tcpdump -n -i any 'host 10.96.0.1 and tcp port 80 or (host 10.244.1.11 and tcp port "
              "8080) or (host 10.244.2.12 and tcp port 8080)'",
              "pwru --output-tuple 'dst host 10.96.0.1 and tcp dst port 80'"});
}

TEST_CASE("the next commands name what holds for that entrance: limits, short cuts, guards") {
  World world;
  world.add_pods();
  k8s::Service service = of(exposed_locally("web", 2), "nothing");
  service.load_balancer_source_ranges = {{ip("198.51.100.0"), 24}};
  world.add(service);
  world.settle();
  const Lines balanced = lines(world, "[fd00:192::2]:80");
  CHECK(balanced[0] == "ipvsadm -Ln -t '[fd00:192::2]:80'");
  CHECK(balanced[3] ==
        "nft get element inet kube-ipvs external-local-ips-6 '{ fd00:192::2 . tcp . 80 }'");
  CHECK(balanced[5] == "nft get element inet kube-ipvs refused-ips-6 '{ fd00:192::2 . tcp . 80 }'");
  CHECK(balanced[6] == "nft get element inet kube-ipvs short-cuts-6 '{ fd00:192::2 . tcp . 80 }'");
  CHECK(balanced[7] == "nft list chain inet kube-ipvs external-local");
  CHECK(balanced[8] == "conntrack -L -f ipv6 -p tcp --orig-dst fd00:192::2 --orig-port-dst 80");
  const Lines limited = lines(world, "192.0.2.2:80");
  CHECK(std::count(limited.begin(), limited.end(),
                   "nft get element inet kube-ipvs limited-ips-4 '{ 192.0.2.2 . tcp . 80 }'") == 1);
}

TEST_CASE("the next commands for a node port are those of its address") {
  World world;
  world.add_pods();
  k8s::Service service = exposed("dns", 3);
  service.ports[0].protocol = k8s::Protocol::kUdp;
  world.add(service);
  world.settle();
  const NextCommands next = ask(world, "dns");
  REQUIRE(next.entrances.size() == 6);
  CHECK(next.entrances[4].entrance == "node port");
  const Lines port = lines(world, "203.0.113.1:30083");
  CHECK(port[0] == "ipvsadm -Ln -u '203.0.113.1:30083'");
  CHECK(port[3] == "nft get element inet kube-ipvs node-ports '{ udp . 30083 }'");
  CHECK(port[4] == "nft get element inet kube-ipvs node-addresses-4 '{ 203.0.113.1 }'");
  CHECK(port[5] == "nft list chain inet kube-ipvs external");
  CHECK(port[7] == "ss -n -u dst '203.0.113.1:30083'");
}

TEST_CASE("what is asked for and does not exist has no next command") {
  World world;
  world.settle();
  CHECK(next_commands(*parse_question({.to = "shop/web"}), world.view()).error().what ==
        "to: there is no Service shop/web");
  // An address that nobody has can still be looked for.
  CHECK(lines(world, "10.96.0.9:80").size() == 7);
}

TEST_CASE("the next commands are lines of a shell, with what each shows as a comment") {
  World world;
  world.add_pods();
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  const std::string text = next_commands_text(to_json(ask(world, "web")));
  CHECK(
      text.starts_with("# TCP 10.96.0.1:80, cluster IP of default/web, port 80\n"
                       "# endpoints with their weights and connections\n"
                       "ipvsadm -Ln -t '10.96.0.1:80'\n"));
}
