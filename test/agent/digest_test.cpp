// SPDX-License-Identifier: Apache-2.0
//
// By what nodes are compared with each other, from outside.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "test/agent/app_fixture.hpp"

namespace agent::test {
namespace {

std::string digest_of(AppFixture& node, const std::string& server = "healthz") {
  const std::string answer = node.get("/plan-digest", server);
  const std::string mark = "\"digest\":\"";
  const std::size_t at = answer.find(mark);
  return at == std::string::npos ? answer : answer.substr(at + mark.size(), 13);
}

}  // namespace

TEST_CASE_METHOD(AppFixture, "another node with the same objects has the same digest") {
  start_with({make_service("web", {"10.96.0.1"})}, {make_pod("web-1", {"10.244.0.1"})});
  const std::string before = digest_of(*this);
  CHECK(before == digest_of(*this, "metrics"));
  source->sinks.pods->upsert(make_pod("web-2", {"10.244.0.2"}));
  until_programmed(2);
  const std::string after = digest_of(*this);
  CHECK(after != before);
  end();

  AppFixture other;
  other.config.node_name = "node-2";
  other.start();
  other.source->list<k8s::Node>(other.source->sinks.nodes, {make_node("node-2")});
  other.source->list<k8s::Pod>(other.source->sinks.pods, {make_pod("web-2", {"10.244.0.2"}),
                                                          make_pod("web-1", {"10.244.0.1"})});
  other.source->list<k8s::EndpointSlice>(other.source->sinks.slices, {});
  other.source->list<k8s::Service>(other.source->sinks.services,
                                   {make_service("web", {"10.96.0.1"})});
  other.until("the table is complete", [&] { return other.log.count("Table complete") > 0; });
  CHECK(digest_of(other) == after);
}

TEST_CASE_METHOD(AppFixture, "the version that is carried out is that of the kind that is behind") {
  start();
  source->kinds = {{.kind = "Service", .version = 400},
                   {.kind = "Node", .version = 7},
                   {.kind = "Pod", .version = 500},
                   {.kind = "EndpointSlice", .version = 0}};
  CHECK(metric("kube_ipvs_programmed_version") == "0");  // nothing is, before the first lists
  CHECK(metric("kube_ipvs_plan_digest") == "0");
  source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
  source->list<k8s::Pod>(source->sinks.pods, {make_pod("web-1", {"10.244.0.1"})});
  source->list<k8s::EndpointSlice>(source->sinks.slices, {});
  source->list<k8s::Service>(source->sinks.services, {make_service("web", {"10.96.0.1"})});
  until("it is carried out", [&] { return metric("kube_ipvs_programmed_version") == "400"; });
  CHECK(get("/plan-digest").find("\"programmedVersion\":400,\"settled\":true") !=
        std::string::npos);
  source->kinds[0].version = 600;
  CHECK(metric("kube_ipvs_programmed_version") == "500");
}

}  // namespace agent::test
