// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/explain.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <vector>

#include "test/agent/answers/asking.hpp"
#include "test/kernel/nft_table_text.hpp"

using namespace agent;
using namespace agent::test;

TEST_CASE("settings decide what is masqueraded on its way to a cluster IP") {
  const auto at = [](config::Config config) {
    auto world = std::make_unique<World>(std::move(config));
    world->add_pods();
    world->add(exposed_locally("web", 2));
    world->settle();
    return world;
  };
  config::Config all = World::pod_networks();
  all.masquerade_all = true;
  check(*at(all), {{"10.96.0.2:80", kPodHere, "delivered masqueraded=yes web-1 web-2"},
                   {"10.96.0.2:80", kHost, "delivered masqueraded=yes web-1 web-2"}});
  check(*at(World::no_networks()),
        {{"10.96.0.2:80", kOutside, "delivered masqueraded=no web-1 web-2"},
         {"10.96.0.2:80", kHost, "delivered masqueraded=yes web-1 web-2"}});
  config::Config own = World::pod_networks();
  own.detect_local_mode = config::LocalMode::kNodeCidr;
  check(*at(own), {{"10.96.0.2:80", kPodHere, "delivered masqueraded=no web-1 web-2"},
                   {"10.96.0.2:80", kPodThere, "delivered masqueraded=yes web-1 web-2"},
                   {"192.0.2.2:80", kPodThere, "delivered masqueraded=no web-1"}});
  config::Config bridge = World::pod_networks();
  bridge.detect_local_mode = config::LocalMode::kBridge;
  bridge.pod_bridge_interface = "cni0";
  const auto bridged = at(bridge);
  check(*bridged, {{"10.96.0.2:80", kPodHere, "delivered masqueraded=no web-1 web-2"},
                   {"10.96.0.2:80", kOutside, "delivered masqueraded=yes web-1 web-2"},
                   {"10.96.0.2:80", kHost, "delivered masqueraded=yes web-1 web-2"},
                   {"192.0.2.2:80", kPodHere, "delivered masqueraded=no web-1 web-2"},
                   {"192.0.2.2:80", kOutside, "delivered masqueraded=no web-1"}});
  const Way unknown = ask_one(*bridged, "192.0.2.2:80");
  CHECK(unknown.is_masqueraded == Certainty::kDepends);
  CHECK(unknown.depends[0] ==
        "what comes by the interface cni0 is led to 10.96.0.2:80, which has "
        "the endpoints of all nodes");
  // Without networks, an address does not say by which interface it comes.
  bridge.cluster_cidrs.clear();
  check(*at(bridge), {{"10.96.0.2:80", "10.244.3.32", "delivered masqueraded=depends web-1 web-2"},
                      {"10.96.0.2:80", kPodHere, "delivered masqueraded=no web-1 web-2"}});
  config::Config prefix = World::pod_networks();
  prefix.detect_local_mode = config::LocalMode::kNamePrefix;
  prefix.pod_interface_name_prefix = "cali";
  check(*at(prefix), {{"10.96.0.2:80", kPodHere, "delivered masqueraded=no web-1 web-2"},
                      {"10.96.0.2:80", kOutside, "delivered masqueraded=yes web-1 web-2"}});
}

TEST_CASE("with VIP routes what this host sends has the address it is bound to") {
  config::Config config = World::pod_networks();
  config.vip_binding = config::VipBinding::kRoute;
  config.bind_address = ip("203.0.113.1");
  World world(config);
  world.add_pods();
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  CHECK(ask_one(world, "10.96.0.1:80", kHost).from == "203.0.113.1");
  World bound;
  bound.add_pods();
  bound.add(make_service("web", {"10.96.0.1"}));
  bound.settle();
  CHECK(ask_one(bound, "10.96.0.1:80", kHost).from == "10.96.0.1");
}

TEST_CASE("chains of others that drop what is forwarded are said to endanger the replies") {
  World world;
  world.add_pods();
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  world.forward_chains = {{.family = 2, .table = "filter", .name = "FORWARD", .drops = true},
                          {.family = 10, .table = "filter", .name = "FORWARD", .drops = true}};
  const Way way = ask_one(world, "10.96.0.1:80", kPodHere);
  CHECK(way.verdict == Verdict::kDelivered);
  CHECK(way.depends ==
        std::vector<std::string>{"the chain ip filter FORWARD may drop the replies"});
  CHECK(says(way, "drops what none of its rules accepts: perhaps the replies"));
}

TEST_CASE("persistence, flags and the protocol are those of the virtual server") {
  World world;
  world.add_pods();
  k8s::Service service = make_service("dns", {"10.96.0.10"}, {make_port(53, 8080, "dns")});
  service.ports.push_back(service.ports[0]);
  service.ports[1].protocol = k8s::Protocol::kUdp;
  service.client_ip_affinity_seconds = 600;
  service.meta.annotations["kube-ipvs.io/scheduler"] = "mh";
  service.meta.annotations["kube-ipvs.io/scheduler-flags"] = "port";
  world.add(service);
  world.settle();
  const Explanation both = ask(world, "dns", kPodHere);
  REQUIRE(both.ways.size() == 2);
  CHECK(both.ways[0].server == "TCP 10.96.0.10:53");
  CHECK(both.ways[1].server == "UDP 10.96.0.10:53");
  CHECK(both.ways[1].flags == std::vector<std::string>{"persistent", "mh-port"});
  CHECK(both.ways[1].persistence_seconds == 600);
  CHECK(ask(world, "10.96.0.10:53", kPodHere).ways.size() == 2);
  CHECK(ask(world, "dns:53/udp", kPodHere).ways.size() == 1);
  CHECK(ask(world, "dns:dns", kPodHere, "tcp").ways.size() == 1);
}

TEST_CASE("a question to a Service is answered for each of its entrances") {
  World world;
  world.add_pods();
  world.add(exposed("web", 1));
  world.settle();
  const Explanation all = ask(world, "web");
  std::vector<std::string> entrances;
  entrances.reserve(all.ways.size());
  for (const Way& way : all.ways) entrances.push_back(way.entrance + " " + way.to.text());
  CHECK(entrances == std::vector<std::string>{
                         "cluster IP 10.96.0.1:80", "cluster IP [fd00:96::1]:80",
                         "load balancer IP 192.0.2.1:80", "load balancer IP [fd00:192::1]:80",
                         "node port 203.0.113.1:30081", "node port [fd00:203::1]:30081"});
  CHECK(ask(world, "web", kOutside).ways.size() == 3);  // of that family
  CHECK(ask(world, "web", "web-2").ways.size() == 6);   // it has both
  CHECK(ask(world, "30081").ways.size() == 2);
}

TEST_CASE("what is not served says why, and what does not exist says so") {
  World world;
  world.add_pods();
  k8s::Service headless = make_service("headless", {});
  headless.headless = true;
  world.add(headless);
  k8s::Service name = make_service("name", {});
  name.type = k8s::ServiceType::kExternalName;
  world.add(name);
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  CHECK(ask(world, "headless").notes ==
        std::vector<std::string>{"Service default/headless is not served here: it is headless: "
                                 "clients get the endpoints' addresses by DNS, and nothing is in "
                                 "between"});
  CHECK(ask(world, "name").notes[0].find("ExternalName") != std::string::npos);
  CHECK(fault(world, "shop/web") ==
        "to: there is no Service shop/web; of this name there is default/web");
  CHECK(fault(world, "web:81") == "to: Service default/web has no such port: it has 80/TCP");
  CHECK(fault(world, "web", "nobody") ==
        "from: there is no Pod default/nobody that this node knows; an IP address can be given in "
        "its place");
  CHECK(fault(world, "10.96.0.1:80", kOutside6) ==
        "from: it has no address of the family of 10.96.0.1");
}

TEST_CASE("node ports on loopback addresses are the agent's relay's") {
  config::Config config = World::pod_networks();
  config.nodeport_addresses_localhost = true;
  World world(config);
  world.add_pods();
  world.add(exposed("web", 1));
  world.settle();
  const Way way = ask_one(world, "127.0.0.1:30081", "127.0.0.1");
  CHECK(way.verdict == Verdict::kHost);
  CHECK(way.reason ==
        "the agent's relay for node ports on loopback takes it, and connects to 10.96.0.1:80");
}

TEST_CASE("steps name chains, rules and sets as nft lists them, in the order of the hooks") {
  World world;
  world.rules = {};
  world.add_pods();
  world.add(exposed_locally("web", 2));
  world.settle();
  const std::string table = kDrawnTable;
  const std::vector<std::string> order{
      "guard-prerouting -120", "prerouting -110", "routing", "guard-input 90", "IPVS",
      "guard-output -120",     "postrouting 100"};
  for (const char* from : {kOutside, kPodHere, kPodThere}) {
    std::size_t last = 0;
    for (const ExplainStep& step : ask_one(world, "192.0.2.2:80", from).steps) {
      const auto place = std::find(order.begin(), order.end(), step.place);
      REQUIRE(place != order.end());
      CHECK(static_cast<std::size_t>(place - order.begin()) >= last);
      last = static_cast<std::size_t>(place - order.begin());
      CHECK_FALSE(step.explanation.empty());
      if (step.chain.empty()) continue;
      CHECK(table.find("\tchain " + step.chain + " {") != std::string::npos);
      // Rules with networks of Pods are those of other settings.
      if (step.rule.find("10.244.") == std::string::npos)
        CHECK(table.find("\t\t" + step.rule + "\n") != std::string::npos);
      if (step.set.empty()) continue;
      const bool is_map = table.find("\tmap " + step.set + " {") != std::string::npos;
      CHECK((is_map || table.find("\tset " + step.set + " {") != std::string::npos));
      CHECK_FALSE(step.element.empty());
      if (step.matched == Certainty::kYes) CHECK(step.service == "default/web");
    }
  }
}

TEST_CASE("a Service with very many endpoints is answered in part") {
  World world;
  std::vector<k8s::SliceEndpoint> endpoints;
  for (int i = 0; i < 2000; ++i) {
    endpoints.push_back(make_slice_endpoint("10.244." + std::to_string(i / 250) + "." +
                                            std::to_string(i % 250 + 1)));
  }
  world.state.sinks().slices->upsert(make_slice("big-1", "big", endpoints));
  k8s::Service service = make_service("big", {"10.96.0.1"});
  service.selector = {};
  world.add(service);
  world.settle();
  const Way way = ask_one(world, "big", kPodHere);
  CHECK(way.endpoints.size() == kMostEndpoints);
  CHECK(way.endpoints_omitted == 2000 - kMostEndpoints);
}
