// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/cluster_source.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "test/k8s/watch/reflector_bench.hpp"

namespace {

using namespace k8s::test;
using std::chrono::milliseconds;
constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
constexpr const char* kOldSlices = "/apis/discovery.k8s.io/v1beta1/endpointslices";

// Seconds since the last contact of the kind that has waited longest.
double longest_silence(const k8s::ClusterSource& source) {
  double longest = 0;
  for (const k8s::KindCounters& kind : source.counters()) {
    longest = std::max(longest, kind.seconds_since_contact);
  }
  return longest;
}

}  // namespace

TEST_CASE("a cluster source runs a reflector for every sink it is given", "[cluster_source]") {
  Bench bench;
  fill(bench.server, 2);
  bench.server.serve("/api/v1/nodes", "Node");
  bench.server.serve("/api/v1/pods", "Pod");
  const bool selector = GENERATE(true, false);
  RecordingSink<k8s::Node> nodes;
  RecordingSink<k8s::Pod> pods;
  RecordingSink<k8s::EndpointSlice> slices;
  const k8s::Sinks sinks{
      .services = &bench.sink, .pods = &pods, .nodes = &nodes, .slices = &slices};
  k8s::ClusterOptions options{.node_name = "n1", .reflector = bench.options()};
  if (!selector) options.endpoint_source = config::EndpointSource::kEndpointSlice;
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, sinks, options,
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.server.put(
      kSlices, R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{)"
               R"("namespace":"default","name":"e","labels":{"service.kubernetes.io/headless":"",)"
               R"("kubernetes.io/service-name":"s0"}},"addressType":"IPv4",)"
               R"("endpoints":[],"ports":[]})");
  bench.spawn(source.run());
  bench.run_until([&] { return bench.server.open_watches() == 4; });
  CHECK(bench.sink.versions.size() == 2);
  CHECK(slices.versions.empty());
  CHECK(bench.server.count("/pods?limit=3&resourceVersion=0&fieldSelector=status.phase%21%3DFailed"
                           "%2Cstatus.phase%21%3DSucceeded") == 1);
  CHECK(bench.server.count("/nodes?limit=3&resourceVersion=0&fieldSelector=metadata.name%3Dn1") ==
        1);
  // Without any object, the newest state must say the same.
  CHECK(bench.server.count("/nodes?limit=3&fieldSelector=metadata.name%3Dn1") == 1);
  CHECK(source.counters().size() == 4);
  bench.now += std::chrono::seconds(5);
  bench.run_until([&] { return longest_silence(source) == 0; });
  bench.stop();
  CHECK(bench.faults.empty());
}

TEST_CASE("EndpointSlices are read from v1beta1 if v1 is not served", "[cluster_source]") {
  Bench bench;
  bench.server.serve(kOldSlices, "EndpointSlice");
  RecordingSink<k8s::EndpointSlice> slices;
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, {.slices = &slices},
                            {.node_name = {}, .reflector = bench.options()},
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.spawn(source.run());
  bench.run_until([&] { return bench.server.open_watches() == 1; });
  CHECK(slices.lists == 1);
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults.front().what ==
        "EndpointSlice: this API server does not serve /apis/discovery.k8s.io/v1/endpointslices; "
        "read from /apis/discovery.k8s.io/v1beta1/endpointslices");
  CHECK(bench.pauses.empty());
  // After an upgrade the server has v1 and no v1beta1.
  bench.server.store().unserve(kOldSlices);
  bench.server.serve(kSlices, "EndpointSlice");
  bench.server.end_watches(kOldSlices, false);
  bench.run_until([&] { return slices.lists == 2; });
  bench.stop();
}

TEST_CASE(
    "in selector mode slices served in no version count as none, reported once and checked again",
    "[cluster_source]") {
  Bench bench;
  RecordingSink<k8s::EndpointSlice> slices;
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, {.slices = &slices},
                            {.node_name = {}, .reflector = bench.options()},
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.server.set_discovery(R"({"kind":"APIGroupList","groups":[]})");
  bench.spawn(source.run());
  bench.run_until([&] { return bench.pauses.size() == 6; });
  CHECK(slices.lists == 1);
  CHECK(bench.faults.size() == 1);
  CHECK(bench.faults.at(0).kind == "unserved");
  CHECK(bench.server.count("/apis") - bench.server.count("/apis/") == 1);
  const std::vector<milliseconds> waits{milliseconds(800),    milliseconds(1600),
                                        milliseconds(10'000), milliseconds(20'000),
                                        milliseconds(40'000), milliseconds(80'000)};
  CHECK(bench.pauses == waits);
  CHECK(longest_silence(source) == 0);
  bench.server.serve(kSlices, "EndpointSlice");
  bench.run_until([&] { return slices.lists == 2; });
  bench.stop();
}

TEST_CASE("a 404 never empties Services, or slices in endpointslice mode", "[cluster_source]") {
  Bench bench;
  RecordingSink<k8s::EndpointSlice> slices;
  const k8s::Sinks sinks{.services = &bench.sink, .slices = &slices};
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, sinks,
                            {.endpoint_source = config::EndpointSource::kEndpointSlice,
                             .node_name = {},
                             .reflector = bench.options()},
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.spawn(source.run());
  bench.run_until([&] { return bench.pauses.size() > 10; });
  CHECK(bench.sink.lists == 0);
  CHECK(slices.lists == 0);
  // The 404s came from a proxy that had lost its server.
  bench.server.serve(kSlices, "EndpointSlice");
  bench.server.serve(kServices, "Service");
  bench.run_until([&] { return bench.sink.lists == 1 && slices.lists == 1; });
  bench.stop();
}

TEST_CASE("a cluster source says by which addresses it reaches the API server (B1)",
          "[cluster_source]") {
  Bench bench;
  int changes = 0;
  {
    k8s::ClusterSource source(bench.io.get_executor(), bench.client, {.services = &bench.sink},
                              {.node_name = {}, .reflector = bench.options()}, {});
    source.on_server_addresses([&] { ++changes; });
    const auto loopback = boost::asio::ip::make_address("127.0.0.1");
    CHECK(source.server_addresses() == std::vector{loopback});
    const auto other = boost::asio::ip::make_address("192.0.2.1");
    bench.client.addresses().resolved("api.example", {other});
    CHECK(changes == 1);
    CHECK(source.server_addresses() == std::vector{loopback, other});
  }
  // The client may outlive the source and what its callback refers to.
  bench.client.addresses().configured("192.0.2.2");
  CHECK(changes == 1);
}

TEST_CASE("a 404 for slices during the first seconds is not their absence (H4)",
          "[cluster_source]") {
  // A proxy that knows the route late: its discovery has the group, or it answers 404 as well.
  const std::string group =
      R"({"kind":"APIGroupList","groups":[{"versions":[{"groupVersion":"discovery.k8s.io/v1"}]}]})";
  const std::string discovery = GENERATE_COPY(group, std::string());
  Bench bench;
  bench.server.set_discovery(discovery);
  RecordingSink<k8s::EndpointSlice> slices;
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, {.slices = &slices},
                            {.node_name = {}, .reflector = bench.options()},
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.on_pause = [&] {
    if (bench.now >= std::chrono::seconds(4) && !bench.server.store().serves(kSlices)) {
      bench.server.put(kSlices,
                       R"({"kind":"EndpointSlice","metadata":{"namespace":"default",)"
                       R"("name":"kubernetes"},"addressType":"IPv4","endpoints":[],"ports":[]})");
    }
  };
  bench.spawn(source.run());
  bench.run_until([&] { return slices.lists == 1; });
  CHECK(slices.versions.size() == 1);
  CHECK(bench.now < std::chrono::seconds(10));
  bench.stop();
}

TEST_CASE("the server leaves out what other proxies serve, as kube-proxy asks it to (E8)",
          "[cluster_source]") {
  const std::string label = "service.kubernetes.io/service-proxy-name";
  k8s::ClusterOptions options{.node_name = "n1"};
  CHECK(k8s::service_reflector(options).label_selector == "!" + label);
  options.service_proxy_name = "edge.1_a-b";
  CHECK(k8s::service_reflector(options).label_selector == label + "=edge.1_a-b");
  for (const char* name : {"a b", "-a", "a,b", "a/b"}) {
    options.service_proxy_name = name;
    CHECK(k8s::service_reflector(options).label_selector == label);
  }
  for (const auto source :
       {config::EndpointSource::kSelector, config::EndpointSource::kEndpointSlice}) {
    options.endpoint_source = source;
    CHECK(k8s::slice_reflector(options).label_selector.starts_with(
        "!service.kubernetes.io/headless"));
  }
}

TEST_CASE("for DNS, Services of all proxies are requested, and headless ones") {
  const k8s::ClusterOptions options{.service_proxy_name = "edge", .for_dns = true};
  CHECK(k8s::service_reflector(options).label_selector.empty());
  CHECK(k8s::service_reflector(options).narrow_field_selector.empty());
  CHECK(k8s::slice_reflector(options).label_selector ==
        "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io");
  k8s::ClusterOptions slices{.endpoint_source = config::EndpointSource::kEndpointSlice};
  slices.for_dns = true;
  CHECK(k8s::slice_reflector(slices).label_selector.empty());
}

TEST_CASE("a Service that gets the label of another proxy is removed, and back without it",
          "[cluster_source]") {
  Bench bench;
  fill(bench.server, 2);
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, {.services = &bench.sink},
                            {.node_name = {}, .reflector = bench.options()},
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.spawn(source.run());
  bench.run_until([&] { return bench.server.open_watches() == 1; });
  bench.server.put(kServices,
                   R"({"kind":"Service","apiVersion":"v1","metadata":{"namespace":"default",)"
                   R"("name":"s1","labels":{"service.kubernetes.io/service-proxy-name":"x"}},)"
                   R"("spec":{"clusterIP":"10.0.0.1","ports":[{"port":80}]}})");
  bench.run_until([&] { return bench.sink.versions.size() == 1; });
  bench.server.put(kServices, service_json("s1"));
  bench.run_until([&] { return bench.sink.versions.size() == 2; });
  bench.stop();
  CHECK(bench.faults.empty());
}

TEST_CASE("headless Services are left out by servers that can, and ignored of others",
          "[cluster_source]") {
  const bool can = GENERATE(true, false);
  Bench bench;
  fill(bench.server, 2);
  bench.server.put(kServices,
                   R"({"kind":"Service","metadata":{"namespace":"default","name":"headless"},)"
                   R"("spec":{"clusterIP":"None","ports":[{"port":80}]}})");
  if (!can) bench.server.misbehave({.on = "clusterIP", .times = -1, .status = 400});
  k8s::ClusterSource source(bench.io.get_executor(), bench.client, {.services = &bench.sink},
                            {.node_name = {}, .reflector = bench.options()},
                            [&](const k8s::SourceFault& fault) { bench.faults.push_back(fault); });
  bench.spawn(source.run());
  bench.run_until([&] { return bench.server.open_watches() == 1; });
  CHECK(bench.sink.versions.size() == (can ? 2 : 3));
  CHECK(bench.server.count("clusterIP") == (can ? 2 : 1));
  CHECK(bench.server.requests().size() == (can ? 2 : 3));
  CHECK(bench.pauses.empty());
  CHECK(bench.faults.empty());
  bench.stop();
}

namespace {

constexpr const char* kNodes = "/api/v1/nodes";
constexpr const char* kOthers =
    "/nodes?limit=3&resourceVersion=0&fieldSelector=metadata.name%21%3Dn1";

std::string node_json(const std::string& name, const std::string& address) {
  return R"({"kind":"Node","apiVersion":"v1","metadata":{"name":")" + name +
         R"("},"status":{"addresses":[{"type":"InternalIP","address":")" + address + R"("}]}})";
}

// Three Nodes, of which n1 is the own one.
struct NodesBench : Bench {
  NodesBench() {
    for (const char* name : {"n1", "n2", "n3"}) server.put(kNodes, node_json(name, "192.0.2.1"));
    spawn(source.run());
  }
  ~NodesBench() { stop(); }
  void need() {
    CHECK(source.watch_other_nodes([this](const std::string& why) { missing.push_back(why); }));
  }
  std::size_t watches() const { return server.open_watches(); }

  RecordingSink<k8s::Node> own, others;
  std::vector<std::string> missing;  // the calls of `unavailable`
  k8s::ClusterSource source{io.get_executor(),
                            client,
                            {.nodes = &own, .other_nodes = &others},
                            {.node_name = "n1", .reflector = options()},
                            [this](const k8s::SourceFault& fault) { faults.push_back(fault); }};
};

using Names = std::vector<std::string>;
Names names_of(const RecordingSink<k8s::Node>& sink) {
  Names names;
  for (const auto& [name, version] : sink.versions) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("only the own Node is requested until the others are needed (item 9)",
          "[cluster_source]") {
  NodesBench bench;
  bench.run_until([&] { return bench.watches() == 1; });
  bench.server.put(kNodes, node_json("n2", "192.0.2.2"));
  bench.server.put(kNodes, node_json("n1", "192.0.2.9"));
  const std::string version = bench.server.store_versions(kNodes).at("n1");
  bench.run_until([&] { return bench.own.versions.at("n1") == version; });
  CHECK(names_of(bench.own) == Names{"n1"});
  CHECK(bench.server.count("/nodes") == bench.server.count("fieldSelector=metadata.name%3Dn1"));
  CHECK(bench.others.lists == 0);

  bench.need();
  bench.need();  // the second time, nothing more is requested
  bench.run_until([&] { return bench.others.lists == 1 && bench.watches() == 2; });
  CHECK(bench.server.count(kOthers) == 1);
  CHECK(names_of(bench.others) == Names{"n2", "n3"});
  bench.server.put(kNodes, node_json("n4", "192.0.2.4"));
  bench.run_until([&] { return bench.others.versions.size() == 3; });
  CHECK(names_of(bench.own) == Names{"n1"});
  CHECK(bench.own.lists == 1);
  REQUIRE(bench.source.counters().size() == 1);
  CHECK(bench.source.counters()[0].kind == "Node");
  CHECK(bench.source.counters()[0].lists == 2);
  CHECK(bench.source.counters()[0].watches == 2);
  CHECK(bench.faults.empty());
  CHECK(bench.missing.empty());
}

TEST_CASE("other Nodes may be needed before the source runs, and never (item 9)",
          "[cluster_source]") {
  Bench bench;
  bench.server.serve(kNodes, "Node");
  bench.server.put(kNodes, node_json("n2", "192.0.2.2"));
  RecordingSink<k8s::Node> own, others;
  k8s::ClusterSource source(bench.io.get_executor(), bench.client,
                            {.nodes = &own, .other_nodes = &others},
                            {.node_name = "n1", .reflector = bench.options()}, {});
  CHECK(source.watch_other_nodes({}));
  bench.spawn(source.run());
  bench.run_until([&] { return others.lists == 1; });
  bench.stop();
  k8s::ClusterSource without(bench.io.get_executor(), bench.client, {.nodes = &own},
                             {.node_name = "n1", .reflector = bench.options()}, {});
  CHECK_FALSE(without.watch_other_nodes({}));
}

TEST_CASE(
    "other Nodes that are forbidden are reported once, and there when they are allowed (item 9)",
    "[cluster_source]") {
  NodesBench bench;
  bench.server.misbehave(
      {.on = "metadata.name%21%3Dn1", .times = 5, .status = 403, .reason = "Forbidden"});
  bench.need();
  bench.run_until([&] { return bench.pauses.size() == 4; });
  REQUIRE(bench.missing.size() == 1);
  CHECK(bench.missing[0].starts_with("Node list: 403 Forbidden"));
  CHECK(bench.faults.size() == 1);
  CHECK(names_of(bench.own) == Names{"n1"});
  bench.run_until([&] { return bench.others.lists == 1; });
  CHECK(names_of(bench.others) == Names{"n2", "n3"});
  CHECK(bench.faults.size() == 1);
  CHECK(bench.missing.size() == 1);
}

TEST_CASE("other Nodes are given up after three requests that fail, and asked for again (item 9)",
          "[cluster_source]") {
  NodesBench bench;
  bench.server.misbehave({.on = "metadata.name%21%3Dn1", .times = 4, .status = 503});
  bench.need();
  bench.run_until([&] { return bench.faults.size() == 2; });
  CHECK(bench.missing.empty());
  bench.run_until([&] { return bench.faults.size() == 4; });
  CHECK(bench.missing.size() == 1);
  bench.run_until([&] { return bench.others.lists == 1; });
  CHECK(bench.missing.size() == 1);
  CHECK(names_of(bench.own) == Names{"n1"});
}
