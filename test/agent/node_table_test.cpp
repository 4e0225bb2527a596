// SPDX-License-Identifier: Apache-2.0
#include "agent/node_table.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;

k8s::Node make_node(const std::string& name, const std::string& address = "192.168.1.1") {
  k8s::Node node;
  node.meta.key = {.ns = "", .name = name};
  node.addresses = {{.type = k8s::NodeAddressType::kInternalIp, .address = ip(address)}};
  return node;
}

struct Fixture {
  int changes = 0;
  agent::NodeTable table{kThisNode, [this] { ++changes; }};
};

}  // namespace

TEST_CASE("the own Node is told of when it comes, changes and goes") {
  Fixture f;
  CHECK(f.table.own() == nullptr);
  f.table.upsert(make_node(kThisNode));
  CHECK(f.changes == 1);
  REQUIRE(f.table.own());
  CHECK(f.table.own()->addresses[0].address == ip("192.168.1.1"));
  f.table.upsert(make_node(kThisNode, "192.168.1.9"));
  CHECK(f.changes == 2);
  f.table.remove({.ns = "", .name = kThisNode});
  CHECK(f.changes == 3);
  CHECK(f.table.own() == nullptr);
  f.table.remove({.ns = "", .name = kThisNode});
  CHECK(f.changes == 3);
}

TEST_CASE("a heartbeat, which changes the version alone, is no change") {
  Fixture f;
  k8s::Node node = make_node(kThisNode);
  node.meta.resource_version = "1";
  f.table.upsert(node);
  node.meta.resource_version = "2";
  f.table.upsert(node);
  CHECK(f.changes == 1);
}

TEST_CASE("other Nodes are nobody's business") {
  Fixture f;
  f.table.upsert(make_node(kOtherNode));
  f.table.upsert(make_node(kOtherNode, "192.168.1.7"));
  f.table.remove({.ns = "", .name = kOtherNode});
  CHECK(f.changes == 0);
}

TEST_CASE("a full list without the own Node removes it; one that keeps it does not") {
  Fixture f;
  f.table.upsert(make_node(kThisNode));
  f.table.list_started();
  f.table.keep({.ns = "", .name = kThisNode});
  f.table.keep({.ns = "", .name = "never-seen"});
  f.table.list_finished();
  CHECK(f.table.own() != nullptr);
  f.table.list_started();
  f.table.upsert(make_node(kThisNode));
  f.table.list_finished();
  CHECK(f.changes == 1);
  f.table.list_started();
  f.table.upsert(make_node(kOtherNode));
  f.table.list_finished();
  CHECK(f.table.own() == nullptr);
  CHECK(f.changes == 2);
}

TEST_CASE("a node is eligible while it exists, is not being deleted and not to be scaled away") {
  Fixture f;
  CHECK(f.table.eligible());  // no Nodes at all: a manifest directory without one
  k8s::Node node = make_node(kThisNode);
  f.table.upsert(node);
  CHECK(f.table.eligible());
  SECTION("deleted") {
    f.table.upsert(make_node(kOtherNode));
    f.table.remove({.ns = "", .name = kThisNode});
    CHECK_FALSE(f.table.eligible());
  }
  SECTION("being deleted") {
    node.meta.deletion_timestamp = 1;
    f.table.upsert(node);
    CHECK_FALSE(f.table.eligible());
  }
  SECTION("to be scaled away") {
    node.taint_keys = {"node.kubernetes.io/unschedulable", "ToBeDeletedByClusterAutoscaler"};
    f.table.upsert(node);
    CHECK_FALSE(f.table.eligible());
    node.taint_keys.pop_back();
    f.table.upsert(node);
    CHECK(f.table.eligible());
  }
}
