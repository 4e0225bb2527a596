// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/node_table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;

struct Fixture {
  int changes = 0;
  std::string zone_changes;  // "own " or "other " for each
  std::string addresses;     // "node-2: 192.168.1.7\n" for each event of another Node
  agent::NodeTable table{
      kThisNode,
      {.own_changed = [this] { ++changes; },
       .zones_changed = [this](bool own) { zone_changes += own ? "own " : "other "; },
       .internal_ips =
           [this](const std::string& node, const std::vector<k8s::Address>& list) {
             addresses += node + ":";
             for (const k8s::Address& each : list) addresses += " " + each.to_string();
             addresses += "\n";
           }}};

  std::string take_zone_changes() { return std::exchange(zone_changes, {}); }
};

}  // namespace

TEST_CASE("adding, changing and removing the own Node is reported") {
  Fixture f;
  CHECK(f.table.own() == nullptr);
  f.table.nodes().upsert(make_node(kThisNode));
  CHECK(f.changes == 1);
  REQUIRE(f.table.own());
  CHECK(f.table.own()->addresses[0].address == ip("192.168.1.1"));
  f.table.nodes().upsert(make_node(kThisNode, "", "192.168.1.9"));
  CHECK(f.changes == 2);
  f.table.nodes().remove({.ns = "", .name = kThisNode});
  CHECK(f.changes == 3);
  CHECK(f.table.own() == nullptr);
  f.table.nodes().remove({.ns = "", .name = kThisNode});
  CHECK(f.changes == 3);
}

TEST_CASE("a heartbeat, which changes only the resource version, is no change") {
  Fixture f;
  k8s::Node node = make_node(kThisNode);
  node.meta.resource_version = "1";
  f.table.nodes().upsert(node);
  node.meta.resource_version = "2";
  f.table.nodes().upsert(node);
  CHECK(f.changes == 1);
}

TEST_CASE("a change of another Node is reported only if its zone changes") {
  Fixture f;
  f.table.nodes().upsert(make_node(kOtherNode));
  f.table.nodes().upsert(make_node(kOtherNode, "", "192.168.1.7"));
  f.table.nodes().remove({.ns = "", .name = kOtherNode});
  CHECK(f.changes == 0);
  CHECK(f.zone_changes.empty());
}

TEST_CASE("the InternalIPs of other Nodes are passed on, and no other addresses (B3)") {
  Fixture f;
  k8s::Node node = make_node(kOtherNode, "", "172.20.0.2");
  node.addresses.push_back(
      {.type = k8s::NodeAddressType::kExternalIp, .address = ip("192.0.2.10")});
  node.addresses.push_back({.type = k8s::NodeAddressType::kInternalIp, .address = ip("fd00::2")});
  f.table.nodes().upsert(node);
  f.table.nodes().upsert(make_node(kThisNode));
  f.table.nodes().remove(node.meta.key);
  f.table.nodes().list_started();
  f.table.nodes().upsert(make_node("node-3", "", "172.20.0.3"));
  f.table.nodes().list_finished();
  f.table.nodes().list_started();
  f.table.nodes().list_finished();
  CHECK(f.addresses == "node-2: 172.20.0.2 fd00::2\nnode-2:\nnode-3: 172.20.0.3\nnode-3:\n");
}

TEST_CASE("the zone of a Node is known while it has the label, and a change of it is reported") {
  Fixture f;
  CHECK(f.table.zone_of(kOtherNode).empty());
  f.table.nodes().upsert(make_node(kOtherNode, "zone-a"));
  CHECK(f.table.zone_of(kOtherNode) == "zone-a");
  CHECK(f.take_zone_changes() == "other ");
  f.table.nodes().upsert(make_node(kOtherNode, "zone-b"));
  CHECK(f.table.zone_of(kOtherNode) == "zone-b");
  CHECK(f.take_zone_changes() == "other ");
  f.table.nodes().upsert(make_node(kOtherNode));
  CHECK(f.table.zone_of(kOtherNode).empty());
  CHECK(f.take_zone_changes() == "other ");
  f.table.nodes().upsert(make_node(kThisNode, "zone-b"));
  CHECK(f.take_zone_changes() == "own ");
  f.table.nodes().remove({.ns = "", .name = kThisNode});
  CHECK(f.table.zone_of(kThisNode).empty());
  CHECK(f.take_zone_changes() == "own ");
  f.table.nodes().remove({.ns = "", .name = kOtherNode});
  CHECK(f.take_zone_changes().empty());  // it already had none
}

TEST_CASE("a heartbeat of a Node that stays in its zone is no change") {
  Fixture f;
  for (const char* name : {kThisNode, kOtherNode})
    f.table.nodes().upsert(make_node(name, "zone-a"));
  f.take_zone_changes();
  for (const char* name : {kThisNode, kOtherNode}) {
    k8s::Node node = make_node(name, "zone-a");
    node.meta.resource_version = "77";
    f.table.nodes().upsert(node);
  }
  CHECK(f.zone_changes.empty());
  CHECK(f.changes == 1);
}

TEST_CASE("the changes of zones in a full list are reported once, at its end") {
  Fixture f;
  f.table.nodes().list_started();
  for (int n = 0; n < 100; ++n)
    f.table.nodes().upsert(make_node("n" + std::to_string(n), "zone-a"));
  f.table.nodes().upsert(make_node(kThisNode, "zone-a"));
  CHECK(f.zone_changes.empty());
  f.table.nodes().list_finished();
  CHECK(f.take_zone_changes() == "own ");
  f.table.nodes().list_started();
  f.table.nodes().upsert(make_node(kThisNode, "zone-a"));
  f.table.nodes().upsert(make_node("n1", "zone-b"));
  f.table.nodes().list_started();  // the first one was interrupted
  f.table.nodes().upsert(make_node(kThisNode, "zone-a"));
  f.table.nodes().upsert(make_node("n1", "zone-b"));
  f.table.nodes().list_finished();
  CHECK(f.take_zone_changes() == "other ");
  CHECK(f.table.zone_of("n1") == "zone-b");
  CHECK(f.table.zone_of("n2").empty());
}

TEST_CASE("a full list without the own Node removes it; one that keeps it does not") {
  Fixture f;
  f.table.nodes().upsert(make_node(kThisNode));
  f.table.nodes().list_started();
  f.table.nodes().keep({.ns = "", .name = kThisNode});
  f.table.nodes().keep({.ns = "", .name = "never-seen"});
  f.table.nodes().list_finished();
  CHECK(f.table.own() != nullptr);
  f.table.nodes().list_started();
  f.table.nodes().upsert(make_node(kThisNode));
  f.table.nodes().list_finished();
  CHECK(f.changes == 1);
  f.table.nodes().list_started();
  f.table.nodes().upsert(make_node(kOtherNode));
  f.table.nodes().list_finished();
  CHECK(f.table.own() == nullptr);
  CHECK(f.changes == 2);
}

TEST_CASE(
    "the own Node and the others come by sinks of their own, and no list of one removes what the "
    "other has (item 9)") {
  Fixture f;
  k8s::Sink<k8s::Node>& others = f.table.other_nodes();
  f.table.nodes().list_started();
  f.table.nodes().upsert(make_node(kThisNode, "zone-a"));
  f.table.nodes().list_finished();
  CHECK(f.take_zone_changes() == "own ");
  others.list_started();
  others.upsert(make_node(kOtherNode, "zone-b", "172.20.0.2"));
  others.upsert(make_node("node-3", "zone-b", "172.20.0.3"));
  CHECK(f.zone_changes.empty());
  others.list_finished();
  CHECK(f.take_zone_changes() == "other ");
  CHECK(f.table.own() != nullptr);
  CHECK(f.table.zone_of(kOtherNode) == "zone-b");
  // A list of the own Node between the beginning and the end of one of the others.
  others.list_started();
  others.keep({.ns = "", .name = kThisNode});
  f.table.nodes().list_started();
  f.table.nodes().upsert(make_node(kThisNode, "zone-a"));
  f.table.nodes().list_finished();
  others.upsert(make_node("node-3", "zone-c", "172.20.0.3"));
  CHECK(f.zone_changes.empty());
  others.list_finished();
  CHECK(f.take_zone_changes() == "other ");
  CHECK(f.table.zone_of(kOtherNode).empty());
  CHECK(f.changes == 1);
  CHECK(f.addresses == "node-2: 172.20.0.2\nnode-3: 172.20.0.3\nnode-3: 172.20.0.3\nnode-2:\n");
  // A list of the others that never ends does not hide what the own Node says.
  others.list_started();
  f.table.nodes().upsert(make_node(kThisNode, "zone-d"));
  CHECK(f.take_zone_changes() == "own ");
  // The own Node is deleted.
  f.table.nodes().list_started();
  f.table.nodes().list_finished();
  CHECK(f.table.own() == nullptr);
  CHECK(f.table.zone_of("node-3") == "zone-c");
}

TEST_CASE(
    "a Node that an API server does not have is not eligible, whatever other Nodes are "
    "known") {
  agent::NodeTable table(kThisNode, {.own_changed = [] {}, .zones_changed = [](bool) {}}, true);
  CHECK_FALSE(table.eligible());
  table.nodes().upsert(make_node(kThisNode));
  CHECK(table.eligible());
}

TEST_CASE("a node is eligible while it exists, is not being deleted and not being scaled down") {
  Fixture f;
  CHECK(f.table.eligible());  // no Nodes at all: a manifest directory without one
  k8s::Node node = make_node(kThisNode);
  f.table.nodes().upsert(node);
  CHECK(f.table.eligible());
  SECTION("deleted") {
    f.table.nodes().upsert(make_node(kOtherNode));
    f.table.nodes().remove({.ns = "", .name = kThisNode});
    CHECK_FALSE(f.table.eligible());
  }
  SECTION("being deleted") {
    node.meta.deletion_timestamp = 1;
    f.table.nodes().upsert(node);
    CHECK_FALSE(f.table.eligible());
  }
  SECTION("being scaled down") {
    node.taint_keys = {"node.kubernetes.io/unschedulable", "ToBeDeletedByClusterAutoscaler"};
    f.table.nodes().upsert(node);
    CHECK_FALSE(f.table.eligible());
    node.taint_keys.pop_back();
    f.table.nodes().upsert(node);
    CHECK(f.table.eligible());
  }
}
