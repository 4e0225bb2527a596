// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/backlog.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using namespace ipvs;

Address vip(int n) { return boost::asio::ip::address_v4(0x0A600000U + static_cast<unsigned>(n)); }
ServerKey key(int n) { return {vip(n), 80, Protocol::kTcp}; }
Element element(ElementKind kind, int n) {
  return {.kind = kind, .address = vip(n), .protocol = Protocol::kTcp, .port = 80};
}

// A Service that comes: an element of each kind that protects, its virtual server and address.
Changes coming(int n) {
  Changes changes;
  changes.protect = {
      {.add = true, .element = element(ElementKind::kServiceIp, n)},
      {.add = true, .element = {.kind = ElementKind::kVirtualIp, .address = vip(n)}}};
  changes.create = {
      {.command = ServerCommand::kNewService, .server = {.key = key(n)}, .destination = {}}};
  changes.bind = {{.add = true, .address = vip(n)}};
  return changes;
}

Changes going(int n) {
  Changes changes;
  changes.unbind = {{.add = false, .address = vip(n)}};
  changes.dismantle = {
      {.command = ServerCommand::kDelService, .server = {.key = key(n)}, .destination = {}}};
  changes.unprotect = {
      {.add = false, .element = {.kind = ElementKind::kVirtualIp, .address = vip(n)}}};
  return changes;
}

}  // namespace

TEST_CASE("the backlog gives back what it got, in order") {
  Backlog backlog;
  CHECK(backlog.empty());
  backlog.add(coming(2));
  backlog.add(coming(1));
  CHECK(backlog.size() == 8);
  const Changes all = backlog.take();
  REQUIRE(all.create.size() == 2);
  CHECK(all.create[0].server.key == key(2));
  CHECK(all.create[1].server.key == key(1));
  CHECK(backlog.empty());
  CHECK(backlog.take().empty());
}

TEST_CASE("nothing is taken out of the backlog for an unrelated object") {
  Backlog backlog;
  backlog.add(coming(1));
  CHECK(backlog.take_related({.servers = {key(2)}, .addresses = {vip(3)}, .elements = {}}).empty());
  CHECK(backlog.take_related({}).empty());
  CHECK(backlog.size() == 4);
}

TEST_CASE("a virtual server takes the elements out of the backlog that protect it") {
  Backlog backlog;
  backlog.add(coming(1));
  backlog.add(coming(2));
  const DirtyKeys found = backlog.take_related(
      {.servers = {{vip(1), 443, Protocol::kTcp}}, .addresses = {}, .elements = {}});
  CHECK(found.elements.size() == 2);
  CHECK(found.servers.empty());
  CHECK(backlog.size() == 6);
}

TEST_CASE(
    "a virtual server takes the elements of its node port out of the backlog, of both families") {
  const Address none6 = boost::asio::ip::address_v6::any();
  const Element port{.kind = ElementKind::kNodePort, .protocol = Protocol::kUdp, .port = 30053};
  const Element port6{.kind = ElementKind::kGuardedNodePort,
                      .address = none6,
                      .protocol = Protocol::kUdp,
                      .port = 30053};
  Backlog backlog;
  Changes changes;
  changes.protect = {{.add = true, .element = port}, {.add = true, .element = port6}};
  backlog.add(changes);
  const DirtyKeys found = backlog.take_related(
      {.servers = {{vip(1), 30053, Protocol::kUdp}}, .addresses = {}, .elements = {}});
  CHECK(found.elements.size() == 2);
  CHECK(backlog.empty());
}

TEST_CASE("an element takes out of the backlog what it protects, for that goes first") {
  Backlog backlog;
  backlog.add(going(1));
  backlog.add(going(2));
  const Element gone{.kind = ElementKind::kVirtualIp, .address = vip(1)};
  const DirtyKeys found =
      backlog.take_related({.servers = {}, .addresses = {}, .elements = {gone}});
  CHECK(found.servers == std::set<ServerKey>{key(1)});
  CHECK(found.addresses == std::set<Address>{vip(1)});
  CHECK(found.elements.size() == 1);
  CHECK(backlog.size() == 3);
}

TEST_CASE("what was refused takes the deletion of what protects it out of the backlog") {
  Backlog backlog;
  Changes changes;
  changes.unprotect = going(1).unprotect;
  changes.dismantle = going(2).dismantle;
  backlog.add(changes);
  const DirtyKeys refused{.servers = {}, .addresses = {vip(1)}, .elements = {}};
  CHECK(backlog.take_related(refused).empty());
  CHECK(backlog.take_refused(refused).elements.size() == 1);
  CHECK(backlog.size() == 1);
}

TEST_CASE("ranges of one virtual server stay in one transaction") {
  const auto range = [](const char* network, unsigned char length) {
    Element source = element(ElementKind::kAllowedSource, 1);
    source.source_network = {boost::asio::ip::make_address(network), length};
    return source;
  };
  Backlog backlog;
  Changes changes;
  changes.unprotect = {{.add = false, .element = range("192.0.2.0", 24)}};
  backlog.add(changes);
  const DirtyKeys found =
      backlog.take_related({.servers = {}, .addresses = {}, .elements = {range("192.0.2.0", 25)}});
  CHECK(found.elements.size() == 1);
  CHECK(backlog.empty());
}
