// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/service_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;

struct Fixture {
  std::vector<std::string> events;
  agent::ServiceTable table{
      {.changed = [this](const k8s::Service& s) { events.push_back("~" + s.meta.key.name); },
       .removed = [this](const k8s::Service& s) { events.push_back("-" + s.meta.key.name); }}};
  std::vector<std::string> take() { return std::exchange(events, {}); }
};

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("adding, changing and removing a Service is reported, and it is found in between") {
  Fixture f;
  CHECK(f.table.find(key_of("web")) == nullptr);
  f.table.upsert(make_service("web", {"10.96.0.1"}));
  CHECK(f.take() == Events{"~web"});
  REQUIRE(f.table.find(key_of("web")));
  CHECK(f.table.find(key_of("web"))->cluster_ips == ips({"10.96.0.1"}));
  f.table.upsert(make_service("web", {"10.96.0.2"}));
  CHECK(f.take() == Events{"~web"});
  CHECK(f.table.find(key_of("web"))->cluster_ips == ips({"10.96.0.2"}));
  f.table.remove(key_of("web"));
  CHECK(f.take() == Events{"-web"});
  CHECK(f.table.size() == 0);
  f.table.remove(key_of("web"));
  CHECK(f.take().empty());
}

TEST_CASE("a Service with nothing but another resource version is no change") {
  Fixture f;
  auto service = make_service("web", {"10.96.0.1"});
  service.meta.resource_version = "1";
  f.table.upsert(service);
  f.take();
  service.meta.resource_version = "2";
  f.table.upsert(service);
  CHECK(f.take().empty());
}

TEST_CASE("every field that is read is a change") {
  Fixture f;
  auto service = make_service("web", {"10.96.0.1"});
  f.table.upsert(service);
  f.take();
  SECTION("type") { service.type = k8s::ServiceType::kLoadBalancer; }
  SECTION("ports") { service.ports[0].node_port = 30080; }
  SECTION("selector") { service.selector = {{"app", "db"}}; }
  SECTION("labels") { service.meta.labels = {{"service.kubernetes.io/headless", ""}}; }
  SECTION("affinity") { service.client_ip_affinity_seconds = 60; }
  SECTION("ingress") { service.load_balancer_ingress = {{.ip = ip("192.0.2.1")}}; }
  SECTION("traffic policy") { service.external_traffic_policy = k8s::TrafficPolicy::kLocal; }
  SECTION("age: it was deleted and created again") { service.meta.creation_timestamp = 7; }
  f.table.upsert(service);
  CHECK(f.take() == Events{"~web"});
}

TEST_CASE(
    "what a full list no longer contains is removed, what it keeps or repeats is not reported") {
  Fixture f;
  for (const char* name : {"gone", "kept", "same"}) {
    f.table.upsert(make_service(name, {"10.96.0.1"}));
  }
  f.take();
  f.table.list_started();
  f.table.list_started();  // the first one was interrupted
  f.table.upsert(make_service("same", {"10.96.0.1"}));
  f.table.keep(key_of("kept"));
  f.table.keep(key_of("never-seen"));
  f.table.upsert(make_service("new", {"10.96.0.4"}));
  f.table.list_finished();
  CHECK(f.take() == Events{"~new", "-gone"});
  CHECK(f.table.size() == 3);
}

TEST_CASE("a removed Service is no longer in the table when that is reported") {
  agent::ServiceTable* seen = nullptr;
  bool found = true;
  agent::ServiceTable table(
      {.changed = [](const k8s::Service&) {},
       .removed = [&](const k8s::Service& s) { found = seen->find(s.meta.key) != nullptr; }});
  seen = &table;
  table.upsert(make_service("web", {"10.96.0.1"}));
  table.remove(table.find(key_of("web"))->meta.key);
  CHECK_FALSE(found);
}
