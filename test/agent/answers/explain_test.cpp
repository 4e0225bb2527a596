// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/explain.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "test/agent/answers/asking.hpp"

using namespace agent;
using namespace agent::test;

TEST_CASE("each entrance of a Service leads to its endpoints, from each kind of client") {
  World world;
  world.add_pods();
  world.add(exposed("web", 1));
  world.settle();
  const std::string plain = "delivered masqueraded=no web-1 web-2";
  const std::string masqueraded = "delivered masqueraded=yes web-1 web-2";
  check(world, {{"10.96.0.1:80", kOutside, masqueraded.c_str()},
                {"10.96.0.1:80", kPodHere, plain.c_str()},
                {"10.96.0.1:80", kPodThere, plain.c_str()},
                {"10.96.0.1:80", kHost, masqueraded.c_str()},
                {"10.96.0.1:80", "10.244.1.11", "delivered masqueraded=depends web-1 web-2"},
                {"[fd00:96::1]:80", kOutside6, masqueraded.c_str()},
                {"[fd00:96::1]:80", kPodHere6, plain.c_str()},
                {"[fd00:96::1]:80", kHost6, masqueraded.c_str()},
                {"192.0.2.1:80", kOutside, masqueraded.c_str()},
                {"192.0.2.1:80", kPodHere, masqueraded.c_str()},
                {"192.0.2.1:80", kHost, masqueraded.c_str()},
                {"[fd00:192::1]:80", kOutside6, masqueraded.c_str()},
                {"203.0.113.1:30081", kOutside, masqueraded.c_str()},
                {"203.0.113.1:30081", kPodHere, masqueraded.c_str()},
                {"203.0.113.1:30081", kHost, masqueraded.c_str()},
                {"[fd00:203::1]:30081", kOutside6, masqueraded.c_str()}});
  const Way way = ask_one(world, "192.0.2.1:80", kOutside);
  CHECK(way.service == "default/web");
  CHECK(way.entrance == "load balancer IP");
  CHECK(way.port == "http");
  CHECK(way.source_seen == "an address of this node");
  CHECK(way.server == "TCP 192.0.2.1:80");
  CHECK(way.scheduler == "rr");
  CHECK(sets_of(way) == "virtual-ips-4 external-ips-4");
  CHECK(sets_of(ask_one(world, "203.0.113.1:30081", kOutside)) ==
        "node-ports node-addresses-4 node-ports");
  CHECK(ask_one(world, "10.96.0.1:80", kPodHere).source_seen == kPodHere);
}

TEST_CASE("a Pod that reaches itself is masqueraded for itself only") {
  World world;
  world.add_pods();
  world.add(exposed("web", 1));
  world.settle();
  const Way way = ask_one(world, "10.96.0.1:80", "web-1");
  REQUIRE(way.endpoints.size() == 2);
  CHECK(way.endpoints[0].is_masqueraded == Certainty::kYes);
  CHECK(way.endpoints[1].is_masqueraded == Certainty::kNo);
  CHECK(way.source_seen == "depends on the endpoint");
  CHECK(says(way, "the endpoint is the client itself"));
  CHECK(way.client == "Pod default/web-1 of this node");
}

TEST_CASE(
    "with externalTrafficPolicy Local clients outside keep their address, and those of the "
    "cluster take the short cut") {
  World world;
  world.add_pods();
  world.add(exposed_locally("web", 2));
  world.settle();
  check(world, {{"192.0.2.2:80", kOutside, "delivered masqueraded=no web-1"},
                {"192.0.2.2:80", kPodHere, "delivered masqueraded=no web-1 web-2"},
                {"192.0.2.2:80", kPodThere, "delivered masqueraded=yes web-1 web-2"},
                {"192.0.2.2:80", kHost, "delivered masqueraded=yes web-1 web-2"},
                {"[fd00:192::2]:80", kOutside6, "delivered masqueraded=no web-1"},
                {"[fd00:192::2]:80", kPodHere6, "delivered masqueraded=no web-1 web-2"},
                {"203.0.113.1:30082", kOutside, "delivered masqueraded=no web-1"},
                {"203.0.113.1:30082", kPodHere, "delivered masqueraded=no web-1 web-2"},
                {"203.0.113.1:30082", kHost, "delivered masqueraded=yes web-1 web-2"},
                {"[fd00:203::1]:30082", kPodHere6, "delivered masqueraded=no web-1 web-2"},
                // Where the agent answers the load balancer's health checks.
                {"192.0.2.2:32082", kOutside, "host by health-checks-4"}});
  CHECK(sets_of(ask_one(world, "192.0.2.2:80", kPodHere)) == "short-cuts-4 external-local-ips-4");
  CHECK(sets_of(ask_one(world, "203.0.113.1:30082", kPodHere)) ==
        "short-cut-node-ports-4 node-addresses-4 node-ports-local");
  CHECK(ask_one(world, "192.0.2.2:80", kPodHere).server == "TCP 10.96.0.2:80");
}

TEST_CASE("guards drop what other nodes serve, and refuse what nobody serves") {
  World world;
  world.add_pods();
  k8s::Pod away = make_pod("away", {"10.244.2.30"}, {{"app", "away"}});
  away.node_name = kOtherNode;
  world.add(away);
  world.add(of(exposed_locally("away", 3), "away"));
  world.add(of(exposed("empty", 4), "nothing"));
  k8s::Service inner = of(exposed_locally("inner", 5), "away");
  inner.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
  world.add(inner);
  world.settle();
  check(world, {{"192.0.2.3:80", kOutside, "dropped by elsewhere-ips-4"},
                {"203.0.113.1:30083", kOutside, "dropped by elsewhere-node-ports-4"},
                {"192.0.2.3:80", kPodHere, "delivered masqueraded=no away"},
                {"10.96.0.3:80", kOutside, "delivered masqueraded=yes away"},
                {"10.96.0.4:80", kPodHere, "refused by refused-ips-4"},
                {"10.96.0.4:80", kHost, "refused by refused-ips-4"},
                {"192.0.2.4:80", kOutside, "refused by refused-ips-4"},
                {"[fd00:192::4]:80", kOutside6, "refused by refused-ips-6"},
                {"203.0.113.1:30084", kOutside, "refused by refused-node-ports-4"},
                // Both policies are Local: no short cut.
                {"192.0.2.5:80", kPodHere, "dropped by elsewhere-ips-4"},
                {"10.96.0.5:80", kPodHere, "refused by refused-ips-4"}});
  CHECK(ask_one(world, "192.0.2.3:80", kOutside).reason ==
        "default/away has externalTrafficPolicy Local: 1 endpoint, none of them on this node; "
        "dropped, so that the load balancer tries another node");
  CHECK(ask_one(world, "10.96.0.4:80", kPodHere).reason ==
        "default/empty has no endpoint for this port here: no Pod with an address has the labels "
        "app=nothing and this port; refused");
  // IPVS itself refuses what this host sends: the guard that drops is at another hook.
  CHECK(ask_one(world, "192.0.2.5:80", kHost).verdict == Verdict::kRefused);
}

TEST_CASE("why there is no endpoint is said in numbers") {
  World world;
  k8s::Pod unready = make_pod("web-1", {"10.244.1.11"});
  unready.ready = false;
  world.add(unready);
  unready.meta.key.name = "web-2";
  unready.pod_ips = ips({"10.244.1.12"});
  world.add(unready);
  k8s::Pod ending = make_pod("web-3", {"10.244.1.13"});
  ending.ready = false;
  ending.meta.deletion_timestamp = 2000;
  world.add(ending);
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  CHECK(ask_one(world, "10.96.0.1:80").reason ==
        "default/web has no endpoint for this port here: 3 endpoints, none ready: 2 fail their "
        "readiness checks, 1 terminates; refused");
}

TEST_CASE("where all endpoints drain, IPVS refuses new connections") {
  World world;
  k8s::Pod pod = make_pod("web-1", {"10.244.1.11"});
  pod.meta.annotations["kube-ipvs.io/weight"] = "0";
  world.add(pod);
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  const Way way = ask_one(world, "10.96.0.1:80", kPodHere);
  CHECK(way.verdict == Verdict::kRefused);
  CHECK(way.reason ==
        "1 endpoint with weight 0: only connections that are open continue (1 endpoint, none "
        "ready: 1 has weight 0); IPVS answers with ICMP port unreachable");
  world.rules.drops_refusals = true;
  CHECK(ask_one(world, "10.96.0.1:80", kPodHere).verdict == Verdict::kDropped);
}

TEST_CASE("an endpoint that drains beside others gets nothing new") {
  World world;
  world.add_pods();
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  world.ledger.put_destination({ip("10.96.0.1"), 80, ipvs::Protocol::kTcp},
                               {.endpoint = {ip("10.244.1.11"), 8080}, .weight = 0});
  const Way way = ask_one(world, "10.96.0.1:80", kPodHere);
  CHECK(outcome(way) == "delivered masqueraded=no (web-1) web-2");
  CHECK(says(way, "1 endpoint for new connections, 1 with weight 0 for those that are open"));
}

TEST_CASE("source ranges let in whom they name, and this host where they name it") {
  World world;
  world.add_pods();
  k8s::Service service = exposed("web", 6);
  service.load_balancer_source_ranges = {{ip("198.51.100.0"), 24}, {ip("fd00:198::"), 64}};
  world.add(service);
  k8s::Service node = exposed("node", 7);
  node.load_balancer_source_ranges = {{ip("203.0.113.0"), 24}};
  world.add(node);
  world.settle();
  check(world, {{"192.0.2.6:80", kOutside, "delivered masqueraded=yes web-1 web-2"},
                {"192.0.2.6:80", "198.51.101.9", "dropped by allowed-sources-4"},
                {"192.0.2.6:80", kPodHere, "dropped by allowed-sources-4"},
                {"192.0.2.6:80", kHost, "dropped by allowed-sources-4"},
                {"[fd00:192::6]:80", kOutside6, "delivered masqueraded=yes web-1 web-2"},
                {"[fd00:192::6]:80", "fd00:199::1", "dropped by allowed-sources-6"},
                {"10.96.0.6:80", kPodHere, "delivered masqueraded=no web-1 web-2"},
                {"203.0.113.1:30086", "198.51.101.9", "delivered masqueraded=yes web-1 web-2"},
                {"192.0.2.7:80", kHost, "delivered masqueraded=yes web-1 web-2"},
                // IPv6 has no range: everybody is allowed.
                {"[fd00:192::7]:80", kOutside6, "delivered masqueraded=yes web-1 web-2"}});
  const Way dropped = ask_one(world, "192.0.2.6:80", "198.51.101.9");
  CHECK(dropped.reason ==
        "198.51.101.9 is in none of loadBalancerSourceRanges of default/web (198.51.100.0/24): "
        "dropped");
  const Way unknown = ask_one(world, "192.0.2.6:80");
  CHECK(outcome(unknown) == "delivered masqueraded=yes web-1 web-2");
  REQUIRE_FALSE(unknown.depends.empty());
  CHECK(unknown.depends[0] == "a client outside of loadBalancerSourceRanges is dropped");
}

TEST_CASE("what is not ours goes on as if we were not here") {
  World world;
  world.add_pods();
  world.add(exposed("web", 1));
  world.settle();
  check(world, {{"203.0.113.9:80", kPodHere, "foreign"},
                {"203.0.113.1:22", kOutside, "host"},
                {"203.0.113.1:22", kHost, "host"},
                {"203.0.113.1:80", kOutside, "host"},
                // Host ports are closed on virtual IPs, and node ports are not served there.
                {"10.96.0.1:22", kOutside, "refused by virtual-ips-4"},
                {"10.96.0.1:22", kHost, "refused by virtual-ips-4"},
                {"192.0.2.1:30081", kOutside, "refused by virtual-ips-4"},
                {"[fd00:96::1]:22", kOutside6, "refused by virtual-ips-6"},
                {"127.0.0.1:30081", kOutside, "dropped"},
                {"127.0.0.1:30081", kHost, "host"}});
  CHECK(ask_one(world, "10.96.0.1:22", kOutside, "udp").verdict == Verdict::kRefused);
  // A cluster IP that is not bound now.
  world.ledger.remove_address(ip("10.96.0.1"));
  const Way way = ask_one(world, "10.96.0.1:80", kPodHere);
  CHECK(way.verdict == Verdict::kForeign);
  CHECK(way.reason.ends_with("a Service wants it, but it is not bound now"));
}

TEST_CASE("another program's virtual server is named as such") {
  World world;
  world.add_pods();
  world.add(make_service("web", {"10.96.0.1"}));
  world.settle();
  const ipvs::ServerKey key{ip("10.96.0.1"), 80, ipvs::Protocol::kTcp};
  world.ledger.remove_server(key);
  world.foreign.insert(key);
  const Way way = ask_one(world, "10.96.0.1:80", kPodHere);
  CHECK(outcome(way) == "foreign by virtual-ips-4");
  CHECK(way.service == "default/web");
  CHECK(way.reason == "not ours: another program's virtual server takes it");
}

TEST_CASE("an endpoint on this host's network is not masqueraded when the packet arrived") {
  World world;
  k8s::Pod host = make_pod("agent", {"203.0.113.1"}, {{"app", "host"}});
  host.host_network = true;
  world.add(host);
  world.add(of(exposed("host", 8), "host"));
  world.settle();
  check(world, {{"192.0.2.8:80", kOutside, "delivered masqueraded=no agent"},
                {"10.96.0.8:80", kPodHere, "delivered masqueraded=no agent"},
                {"10.96.0.8:80", kHost, "delivered masqueraded=yes agent"}});
  CHECK(says(ask_one(world, "192.0.2.8:80", kOutside), "the endpoint is this host itself"));
}

TEST_CASE("a client that is not known makes the answer depend where it decides, and only there") {
  World world;
  world.add_pods();
  world.add(exposed_locally("web", 2));
  world.settle();
  const Way cluster = ask_one(world, "10.96.0.2:80");
  CHECK(outcome(cluster) == "delivered masqueraded=depends web-1 web-2");
  CHECK(cluster.entry == Entry::kUnknown);
  CHECK(cluster.depends == std::vector<std::string>{"what Pods here send is not masqueraded"});
  const Way external = ask_one(world, "192.0.2.2:80");
  CHECK(outcome(external) == "delivered masqueraded=depends web-1");
  CHECK(external.depends ==
        std::vector<std::string>{
            "a Pod of the cluster is led to 10.96.0.2:80, which has the endpoints of all nodes",
            "what this host sends is masqueraded", "a Pod of another node is masqueraded",
            "an endpoint that reaches itself is masqueraded"});
  CHECK(ask_one(world, "10.96.0.2:22").depends.empty());
}
