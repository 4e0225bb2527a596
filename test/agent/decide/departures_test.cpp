// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/departures.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::CutCause;
using agent::Departures;
using agent::DrainingConnections;
using ipvs::Endpoint;
using ipvs::Protocol;
using ipvs::ServerCommand;
using ipvs::ServerKey;

const ServerKey kWeb{ip("10.96.0.1"), 80};
const ServerKey kAdmin{ip("10.96.0.1"), 8443};
const ServerKey kDns{ip("10.96.0.10"), 53, Protocol::kUdp};
const ServerKey kCalls{ip("10.96.0.20"), 38412, Protocol::kSctp};

Endpoint pod(int n) { return {ip("10.244.1." + std::to_string(n)), 8080}; }

ipvs::Server server(const ServerKey& key, const std::vector<int>& pods,
                    const std::string& scheduler = "rr") {
  ipvs::Server made{.settings = {.key = key, .scheduler = scheduler}};
  for (const int n : pods) made.destinations.push_back({.endpoint = pod(n)});
  return made;
}

struct Held {
  int pod;
  std::uint32_t weight;
  std::uint32_t active;
  std::uint32_t inactive = 0;
};

ipvs::ServerReading reading(const ServerKey& key, const std::vector<Held>& held) {
  ipvs::ServerReading made{.settings = {.key = key}};
  for (const Held& each : held) {
    made.destinations.push_back({.destination = {.endpoint = pod(each.pod), .weight = each.weight},
                                 .active_connections = each.active,
                                 .inactive_connections = each.inactive});
  }
  return made;
}

ipvs::ServerOp op(ServerCommand command, const ServerKey& key, int n = 0,
                  std::uint32_t weight = 0) {
  ipvs::ServerOp made{.command = command, .server = {.key = key}, .destination = {}};
  if (n != 0) made.destination = {.endpoint = pod(n), .weight = weight};
  return made;
}

// The kernel did all of it, and had read this meanwhile.
ipvs::Outcome done(const ipvs::Changes& changes, std::vector<ipvs::ServerReading> leaving = {}) {
  ipvs::Outcome outcome;
  outcome.fill.assign(changes.fill.size(), 0);
  outcome.release.assign(changes.release.size(), 0);
  outcome.dismantle.assign(changes.dismantle.size(), 0);
  outcome.leaving = std::move(leaving);
  return outcome;
}

struct Fixture {
  Fixture() { desired.set("default/web", {.servers = {server(kWeb, {2})}}); }
  Departures conclude(const ipvs::Changes& changes, std::vector<ipvs::ServerReading> leaving = {}) {
    return connections.conclude(changes, done(changes, std::move(leaving)), desired,
                                [this](const auto&, const Endpoint& e) { return e == existing; });
  }
  ipvs::Desired desired;
  DrainingConnections connections;
  Endpoint existing{};
};

using Cut = std::map<std::pair<ipvs::Owner, CutCause>, std::uint64_t>;
using Drained = std::map<ipvs::Owner, std::uint64_t>;

}  // namespace

TEST_CASE("connections that end while their endpoint drains are counted, and none is cut") {
  Fixture f;
  const ipvs::Changes drain{.fill = {op(ServerCommand::kSetDest, kWeb, 1, 0)}};
  CHECK(agent::servers_to_read(drain) == std::vector<ServerKey>{kWeb});
  CHECK(f.conclude(drain, {reading(kWeb, {{1, 0, 41212}, {2, 1, 7}})}).empty());
  CHECK(f.connections.by_service(f.desired) ==
        std::map<ipvs::Owner, DrainingConnections::Draining>{{"default/web", {1, 41212}}});
  const auto some = f.connections.checked(
      std::vector{kWeb}, std::vector{reading(kWeb, {{1, 0, 12}, {2, 1, 3}})}, f.desired);
  CHECK(some.drained == Drained{{"default/web", 41200}});
  CHECK(some.cut.empty());
  const auto rest = f.connections.checked(
      std::vector{kWeb}, std::vector{reading(kWeb, {{1, 0, 0, 5}, {2, 1, 3}})}, f.desired);
  CHECK(rest.drained == Drained{{"default/web", 12}});
  CHECK(f.conclude({.release = {op(ServerCommand::kDelDest, kWeb, 1)}}).empty());
  CHECK(f.connections.by_service(f.desired).empty());
}

TEST_CASE("established connections to a deleted destination are cut, closing ones are not") {
  Fixture f;
  const ipvs::Changes gone{.release = {op(ServerCommand::kDelDest, kWeb, 1)}};
  CHECK(agent::servers_to_read(gone) == std::vector<ServerKey>{kWeb});
  CHECK(f.conclude(gone, {reading(kWeb, {{1, 1, 3, 900}, {2, 1, 7}})}).cut ==
        Cut{{{"default/web", CutCause::kPodGone}, 3}});
  f.existing = pod(1);
  CHECK(f.conclude(gone, {reading(kWeb, {{1, 0, 4}})}).cut ==
        Cut{{{"default/web", CutCause::kDrainTimeout}, 4}});
  CHECK(f.conclude(gone, {reading(kWeb, {{1, 0, 0, 900}})}).cut.empty());
}

TEST_CASE("what cannot drain is cut for that reason") {
  Fixture f;
  f.existing = pod(1);
  f.desired.set("default/calls", {.servers = {server(kCalls, {2})}});
  CHECK(f.conclude({.release = {op(ServerCommand::kDelDest, kCalls, 1)}},
                   {reading(kCalls, {{1, 1, 2}})})
            .cut == Cut{{{"default/calls", CutCause::kNoDraining}, 2}});
  f.desired.set("default/web", {.servers = {server(kWeb, {2}, "dh")}});
  CHECK(
      f.conclude({.release = {op(ServerCommand::kDelDest, kWeb, 1)}}, {reading(kWeb, {{1, 1, 5}})})
          .cut == Cut{{{"default/web", CutCause::kNoDraining}, 5}});
}

TEST_CASE("flows of UDP are not read, and none counts as cut") {
  Fixture f;
  f.desired.set("kube-system/dns", {.servers = {server(kDns, {2})}});
  const ipvs::Changes gone{.release = {op(ServerCommand::kDelDest, kDns, 1)}};
  CHECK(agent::servers_to_read(gone).empty());
  CHECK(f.conclude(gone, {reading(kDns, {{1, 1, 3, 40}})}).empty());
}

TEST_CASE("a deleted virtual server cuts the connections of all its destinations") {
  Fixture f;
  f.desired.set("default/web", {.servers = {server(kWeb, {2}), server(kAdmin, {2})}});
  (void)f.desired.take_dirty();
  f.desired.set("default/web", {.servers = {server(kWeb, {2})}});
  (void)f.desired.take_dirty();
  const ipvs::Changes port{.dismantle = {op(ServerCommand::kDelService, kAdmin)}};
  CHECK(agent::servers_to_read(port) == std::vector<ServerKey>{kAdmin});
  CHECK(f.conclude(port, {reading(kAdmin, {{1, 0, 2}, {2, 1, 3}})}).cut ==
        Cut{{{"default/web", CutCause::kPortRemoved}, 5}});
  f.desired.set("default/web", {});
  (void)f.desired.take_dirty();
  CHECK(f.conclude({.dismantle = {op(ServerCommand::kDelService, kWeb)}},
                   {reading(kWeb, {{2, 1, 8}})})
            .cut == Cut{{{"default/web", CutCause::kServiceDeleted}, 8}});
}

TEST_CASE("what the kernel refused to delete has cut nothing") {
  Fixture f;
  const ipvs::Changes gone{.release = {op(ServerCommand::kDelDest, kWeb, 1)},
                           .dismantle = {op(ServerCommand::kDelService, kAdmin)}};
  ipvs::Outcome outcome = done(gone, {reading(kWeb, {{1, 1, 3}}), reading(kAdmin, {{1, 1, 3}})});
  outcome.release = {ENOMEM};
  outcome.dismantle = {ipvs::kUnknownOutcome};
  CHECK(
      f.connections.conclude(gone, outcome, f.desired, [](auto&, auto&) { return false; }).empty());
}

TEST_CASE(
    "an endpoint that is wanted again drains no more, and one of weight 0 by wish does not drain") {
  Fixture f;
  CHECK(
      f.conclude({.fill = {op(ServerCommand::kSetDest, kWeb, 1, 0)}}, {reading(kWeb, {{1, 0, 9}})})
          .empty());
  f.desired.set("default/web", {.servers = {server(kWeb, {1, 2})}});
  CHECK(f.conclude({.fill = {op(ServerCommand::kSetDest, kWeb, 1, 1)}}).empty());
  CHECK(f.connections.by_service(f.desired).empty());
  CHECK(
      f.connections
          .checked(std::vector{kWeb}, std::vector{reading(kWeb, {{1, 0, 9}, {2, 0, 9}})}, f.desired)
          .empty());
  CHECK(f.connections.by_service(f.desired).empty());
}

TEST_CASE("if connections cannot be read, the last check counts") {
  Fixture f;
  CHECK(f.connections.checked(std::vector{kWeb}, std::vector{reading(kWeb, {{1, 0, 6}})}, f.desired)
            .empty());
  CHECK(f.conclude({.release = {op(ServerCommand::kDelDest, kWeb, 1)}}).cut ==
        Cut{{{"default/web", CutCause::kPodGone}, 6}});
}
