// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/explanation_text.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "agent/answers/next_commands.hpp"
#include "test/agent/answers/world.hpp"

namespace {

using namespace agent;
using namespace agent::test;

std::string text(const World& world, const std::string& to, const std::string& from) {
  const auto question = parse_question({.to = to, .from = from});
  return explanation_text(to_json(*explain(*question, world.view())));
}

bool is_plain(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); });
}

}  // namespace

TEST_CASE("the way of a packet is written for people") {
  World world;
  world.add_pods();
  world.add(exposed_locally("web", 2));
  world.settle();
  CHECK(text(world, "192.0.2.2:80", "10.244.2.99") ==
        R"(TCP 192.0.2.2:80, load balancer IP of default/web, port http
  from 10.244.2.99, 10.244.2.99 is in the Pod network of another node
  - guard-prerouting -120: no loadBalancerSourceRanges hold for 192.0.2.2:80
  + prerouting -110: a client in the cluster: short cuts hold for it
      chain prerouting: ip saddr 10.244.0.0/16 jump short-cuts
  + prerouting -110: a client in the cluster: led to the cluster IP 10.96.0.2:80 of default/web, which has the endpoints of all nodes
      chain short-cuts: dnat ip to ip daddr . meta l4proto . th dport map @short-cuts-4
      @short-cuts-4 { 192.0.2.2 . tcp . 80 : 10.96.0.2 . 80 }, wanted by default/web
  + routing: 10.96.0.2 is a virtual IP of this node, on kube-ipvs0
  - guard-input 90: not refused: no guard
  - guard-input 90: not dropped: no guard
  + IPVS: virtual server TCP 10.96.0.2:80, scheduler rr: 2 endpoints for new connections
  - guard-output -120: no loadBalancerSourceRanges hold for 10.244.1.11:8080
  - guard-output -120: not refused: no guard
  - postrouting 100: the source is no virtual IP with source ranges
  - postrouting 100: 192.0.2.2:80 is no cluster IP and port of a Service
  - postrouting 100: 192.0.2.2:80 is no external address with traffic policy Cluster
  + postrouting 100: 192.0.2.2:80 is an external address of default/web with externalTrafficPolicy Local: clients outside keep their source address
      chain services-4: meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst @external-local-ips-4 goto external-local
      @external-local-ips-4 { 192.0.2.2 . tcp . 80 }, wanted by default/web
  - postrouting 100: not sent by this host: by this rule its source address is kept
  + postrouting 100: from a Pod of another node: masqueraded, so that replies come back here
      chain external-local: ip saddr 10.244.0.0/16 ip saddr != 10.244.1.0/24 masquerade fully-random
  = delivered: delivered to an endpoint of TCP 10.96.0.2:80
    TCP 10.96.0.2:80 rr
      -> 10.244.1.11:8080 weight 1, serving, Pod web-1, on this node, sees an address of this node
      -> 10.244.2.12:8080 weight 1, serving, Pod web-2, on another node, sees an address of this node
    masqueraded: yes; the endpoint sees an address of this node
)");
}

TEST_CASE("what an answer says cannot move a cursor, end a line or leave ASCII") {
  boost::json::object step{{"place", "\x1b[2J"},        {"chain", "a\nb"},
                           {"rule", "\r\x1b]0;x\x07"},  {"set", "\xc2\x9b"},
                           {"element", "\xe2\x80\xae"}, {"matched", "yes"},
                           {"service", "x/\x1b[31my"},  {"explanation", "one\ntwo"}};
  boost::json::object endpoint{{"endpoint", "\x1b"}, {"pod", "p\nq"}, {"weight", 1}};
  boost::json::object way{{"to", "\x1b"},
                          {"client", "\t"},
                          {"steps", {step}},
                          {"verdict", "delivered\n"},
                          {"server", "s\x08"},
                          {"flags", {"\x1b"}},
                          {"endpoints", {endpoint}},
                          {"depends", {"a\nb"}}};
  const std::string shown =
      explanation_text({{"notes", {"n\x1b[0m"}}, {"ways", {way}}, {"omitted", 3}});
  CHECK(is_plain(shown));
  CHECK(shown.find("x/\\x1b[31my") != std::string::npos);
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 12);
}

TEST_CASE("an answer of another version is shown as far as it is understood") {
  CHECK(explanation_text({}).empty());
  CHECK(explanation_text({{"ways", 7}, {"notes", {1, "kept"}}}) == "kept\n");
  const auto odd = boost::json::parse(
      R"({"ways": [3, {"steps": [null, {"matched": []}], "endpoints": {}, "verdict": 1}]})");
  CHECK(is_plain(explanation_text(odd.as_object())));
  CHECK(next_commands_text({{"entrances", "none"}}).empty());
}
