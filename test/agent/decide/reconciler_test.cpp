// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/reconciler.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <utility>

#include "test/fake/fake_kernel.hpp"

namespace {

using agent::ConflictReason;
using agent::Reconciler;
using agent::Takeover;
using fake::FakeKernel;
using namespace ipvs;

Address ip(const std::string& text) { return boost::asio::ip::make_address(text); }

// A plan of one virtual server with its VIP bound and protected, as the planner makes them.
ServicePlan plan(const std::string& vip, std::uint16_t port, const std::vector<std::string>& pods,
                 Protocol protocol = Protocol::kTcp) {
  Server server{.settings = {.key = {ip(vip), port, protocol}, .scheduler = "rr"}};
  for (const std::string& pod : pods) {
    server.destinations.push_back({.endpoint = {ip(pod), 8080}, .weight = 1});
  }
  std::sort(server.destinations.begin(), server.destinations.end(),
            [](const auto& a, const auto& b) { return a.endpoint < b.endpoint; });
  ServicePlan result{.servers = {server}, .addresses = {ip(vip)}, .elements = {}};
  result.elements = {
      {.kind = ElementKind::kServiceIp, .address = ip(vip), .protocol = protocol, .port = port},
      {.kind = ElementKind::kVirtualIp, .address = ip(vip)}};
  std::sort(result.elements.begin(), result.elements.end(), ElementKeyLess{});
  return result;
}

// A node: reconciler and kernel, with the steps of the sync loop.
struct Node {
  FakeKernel kernel;
  Reconciler reconciler;
  std::set<Address> drainable;

  void start() {
    reconciler = Reconciler{};
    reconciler.adopt(*kernel.observe());
  }
  void install() {
    const auto elements = reconciler.table_elements();
    REQUIRE(kernel.install_table({}, elements) == 0);
    reconciler.table_installed(elements);
  }
  Changes next() {
    return reconciler.next_changes(
        [this](const ServerKey&, const Endpoint& e) { return drainable.contains(e.address); });
  }
  Recorded step() {
    const Changes changes = next();
    return reconciler.record(changes, apply(kernel, changes));
  }
  Recorded step_with_retry() {
    reconciler.retry_failed();
    return step();
  }
  std::vector<std::string> take_log() { return std::exchange(kernel.log, {}); }
};

Node running(const std::map<std::string, ServicePlan>& plans) {
  Node node;
  node.start();
  for (const auto& [owner, p] : plans) node.reconciler.set_plan(owner, 0, p);
  node.install();
  node.step();
  node.take_log();
  return node;
}

}  // namespace

TEST_CASE("a first start adds elements, then virtual servers, then addresses") {
  Node node;
  node.start();
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"}));
  node.install();
  const Recorded recorded = node.step();
  CHECK(recorded.failures.empty());
  CHECK(node.take_log() ==
        std::vector<std::string>{"install table of 2", "NEW_SERVICE TCP 10.96.0.1:80 rr",
                                 "NEW_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w1",
                                 "NEW_DEST TCP 10.96.0.1:80 10.244.0.2:8080 w1", "bind 10.96.0.1"});
  CHECK(node.kernel.violations.empty());
}

TEST_CASE("one changed endpoint costs two messages") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"})}});
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.2", "10.244.0.3"}));
  node.step();
  CHECK(node.take_log() == std::vector<std::string>{"NEW_DEST TCP 10.96.0.1:80 10.244.0.3:8080 w1",
                                                    "DEL_DEST TCP 10.96.0.1:80 10.244.0.1:8080"});
}

TEST_CASE("an endpoint whose Pod still exists drains and is deleted when it has no connections") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"})}});
  const ServerKey key{ip("10.96.0.1"), 80, Protocol::kTcp};
  node.drainable = {ip("10.244.0.1")};
  node.kernel.active_connections[{key, {ip("10.244.0.1"), 8080}}] = 3;
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.2"}));
  node.step();
  CHECK(node.take_log() ==
        std::vector<std::string>{"SET_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w0"});
  const auto may_drain = [&](const ServerKey&, const Endpoint& e) {
    return node.drainable.contains(e.address);
  };
  const auto look = [&] {
    const std::vector<ServerKey> keys{key};
    return node.reconciler.finish_drains(*node.kernel.read_destinations(keys), may_drain);
  };
  CHECK(look().empty());
  SECTION("when its connections have ended") { node.kernel.active_connections.clear(); }
  SECTION("when its pod is gone") { node.drainable.clear(); }
  const Changes finished = look();
  REQUIRE(finished.release.size() == 1);
  node.reconciler.record(finished, apply(node.kernel, finished));
  CHECK(node.kernel.servers[key].destinations.size() == 1);
  CHECK(node.reconciler.ledger().draining_servers().empty());
}

TEST_CASE("a UDP endpoint is deleted at once even if its Pod exists") {
  Node node = running({{"default/dns", plan("10.96.0.10", 53, {"10.244.0.1"}, Protocol::kUdp)}});
  node.drainable = {ip("10.244.0.1")};
  node.reconciler.set_plan("default/dns", 0, plan("10.96.0.10", 53, {}, Protocol::kUdp));
  node.step();
  CHECK(node.take_log() == std::vector<std::string>{"DEL_DEST UDP 10.96.0.10:53 10.244.0.1:8080"});
}

TEST_CASE("a draining endpoint that is wanted again gets its weight back without being recreated") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1"})}});
  node.drainable = {ip("10.244.0.1")};
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {}));
  node.step();
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
  node.step();
  CHECK(node.take_log() ==
        std::vector<std::string>{"SET_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w0",
                                 "SET_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w1"});
}

TEST_CASE("a removed Service loses its addresses, then its virtual servers, then its elements") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1"})}});
  node.reconciler.remove("default/web");
  node.step();
  const auto log = node.take_log();
  REQUIRE(log.size() == 4);
  CHECK(log[0] == "unbind 10.96.0.1");
  CHECK(log[1] == "DEL_SERVICE TCP 10.96.0.1:80");
  CHECK(log[2].starts_with("- "));
  CHECK(node.kernel.violations.empty());
}

TEST_CASE("a restart adopts a correct state without changing it") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1"})},
                       {"default/dns", plan("10.96.0.10", 53, {"10.244.0.2"}, Protocol::kUdp)}});
  node.start();
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
  node.reconciler.set_plan("default/dns", 0,
                           plan("10.96.0.10", 53, {"10.244.0.2"}, Protocol::kUdp));
  node.install();
  node.take_log();
  node.step();
  CHECK(node.take_log().empty());
}

TEST_CASE("a restart restores the weight of an endpoint that the last run left draining") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"})}});
  node.drainable = {ip("10.244.0.1")};
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.2"}));
  node.step();
  node.start();
  node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"}));
  node.install();
  node.take_log();
  node.step();
  CHECK(node.take_log() ==
        std::vector<std::string>{"SET_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w1"});
}

TEST_CASE("a new scheduler or affinity changes the virtual server in place") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"})}});
  ServicePlan next = plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"});
  SECTION("another scheduler") { next.servers[0].settings.scheduler = "lc"; }
  SECTION("affinity") {
    next.servers[0].settings.flags = kFlagPersistent;
    next.servers[0].settings.timeout_seconds = 600;
  }
  node.reconciler.set_plan("default/web", 0, next);
  node.step();
  CHECK(node.take_log() == std::vector<std::string>{"SET_SERVICE TCP 10.96.0.1:80 " +
                                                    next.servers[0].settings.scheduler});
  CHECK(node.kernel.servers.at(next.servers[0].settings.key) == next.servers[0]);
}

TEST_CASE("a restart removes what is ours and no longer wanted") {
  Node node = running({{"default/web", plan("10.96.0.1", 80, {"10.244.0.1"})}});
  node.start();
  node.install();
  node.step();
  CHECK(node.kernel.servers.empty());
  CHECK(node.kernel.addresses.empty());
  CHECK(node.kernel.elements.empty());
}

TEST_CASE(
    "a foreign virtual server is left alone, and the Service that wants its address and port is "
    "reported") {
  Node node;
  const ServerKey key{ip("10.96.0.1"), 80, Protocol::kTcp};
  node.kernel.servers[key] = {.settings = {.key = key, .scheduler = "wlc"}};
  SECTION("when it was there before us") {
    node.start();
    const auto planned =
        node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
    REQUIRE(planned.conflicts.size() == 1);
    CHECK(planned.conflicts[0].reason == ConflictReason::kForeignServer);
    CHECK(planned.conflicts[0].holder.empty());
    node.install();
    node.step();
  }
  SECTION("when it came after us") {
    const Server foreign = node.kernel.servers[key];
    node.kernel.servers.clear();
    node.start();
    node.install();
    node.kernel.servers[key] = foreign;
    node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
    const Recorded recorded = node.step();
    CHECK(recorded.foreign == std::vector<ServerKey>{key});
    node.reconciler.set_plan("default/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
    node.step();
  }
  CHECK(node.kernel.servers[key].settings.scheduler == "wlc");
  CHECK(node.kernel.servers[key].destinations.empty());
  CHECK(node.kernel.addresses.empty());
  CHECK(node.kernel.elements.empty());
}

TEST_CASE(
    "of two Services that claim one VIP and port the older gets it and the other succeeds it") {
  Node node;
  node.start();
  node.install();
  auto young = node.reconciler.set_plan("a/young", 200, plan("192.0.2.1", 80, {"10.244.0.1"}));
  CHECK(young.conflicts.empty());
  auto old = node.reconciler.set_plan("b/old", 100, plan("192.0.2.1", 80, {"10.244.0.9"}));
  CHECK(old.conflicts.empty());
  CHECK(old.others == std::set<Owner>{"a/young"});
  young = node.reconciler.set_plan("a/young", 200, plan("192.0.2.1", 80, {"10.244.0.1"}));
  REQUIRE(young.conflicts.size() == 1);
  CHECK(young.conflicts[0].reason == ConflictReason::kOtherService);
  CHECK(young.conflicts[0].holder == "b/old");
  node.step();
  const ServerKey key{ip("192.0.2.1"), 80, Protocol::kTcp};
  CHECK(node.kernel.servers[key].destinations[0].endpoint.address == ip("10.244.0.9"));

  CHECK(node.reconciler.remove("b/old") == std::set<Owner>{"a/young"});
  young = node.reconciler.set_plan("a/young", 200, plan("192.0.2.1", 80, {"10.244.0.1"}));
  CHECK(young.conflicts.empty());
  node.step();
  CHECK(node.kernel.servers[key].destinations[0].endpoint.address == ip("10.244.0.1"));
  CHECK(node.kernel.addresses.size() == 1);
}

TEST_CASE("an address that two Services share stays until the last of them is removed") {
  Node node =
      running({{"a/web", plan("192.0.2.1", 80, {})}, {"a/tls", plan("192.0.2.1", 443, {})}});
  node.reconciler.remove("a/web");
  node.step();
  CHECK(node.kernel.addresses.contains(ip("192.0.2.1")));
  node.reconciler.remove("a/tls");
  node.step();
  CHECK(node.kernel.addresses.empty());
  CHECK(node.kernel.violations.empty());
}

TEST_CASE("the address of a Service with two ports stays until the last port is removed") {
  ServicePlan both = plan("10.96.0.1", 80, {"10.244.0.1"});
  const ServicePlan one = plan("10.96.0.1", 443, {"10.244.0.1"});
  both.servers.push_back(one.servers[0]);
  both.elements.insert(both.elements.begin() + 1, one.elements[0]);
  Node node = running({{"default/web", both}});
  node.reconciler.set_plan("default/web", 0, one);
  node.step();
  CHECK(node.kernel.servers.size() == 1);
  CHECK(node.kernel.addresses.contains(ip("10.96.0.1")));
  node.reconciler.set_plan("default/web", 0, {});
  node.step();
  CHECK(node.kernel.addresses.empty());
  CHECK(node.kernel.violations.empty());
}

TEST_CASE("whichever single operation fails or loses its reply, retries end in the wanted state") {
  for (const bool lost : {false, true}) {
    for (std::size_t n = 1; n < 20; ++n) {
      INFO("operation " << n << (lost ? " loses its reply" : " fails"));
      Node node = running({{"a/web", plan("10.96.0.1", 80, {"10.244.0.1", "10.244.0.2"})},
                           {"a/gone", plan("10.96.0.3", 80, {"10.244.0.5"})}});
      if (lost) {
        node.kernel.lose_reply_at(n);
      } else {
        node.kernel.fail_at(n, ENOMEM);
      }
      node.reconciler.set_plan("a/web", 0, plan("10.96.0.1", 80, {"10.244.0.2", "10.244.0.4"}));
      node.reconciler.set_plan("a/new", 0, plan("10.96.0.2", 80, {"10.244.0.3"}));
      node.reconciler.remove("a/gone");
      node.step();
      for (int tries = 0; tries < 4 && node.reconciler.failed_count() > 0; ++tries) {
        node.step_with_retry();
      }
      const Node right = running({{"a/web", plan("10.96.0.1", 80, {"10.244.0.2", "10.244.0.4"})},
                                  {"a/new", plan("10.96.0.2", 80, {"10.244.0.3"})}});
      CHECK(node.kernel.servers == right.kernel.servers);
      CHECK(node.kernel.addresses == right.kernel.addresses);
      CHECK(node.kernel.elements == right.kernel.elements);
      CHECK(node.kernel.violations.empty());
      CHECK(node.reconciler.failed_count() == 0);
    }
  }
}

TEST_CASE("one refused set element holds back only what it protects") {
  Node node = running({});
  node.kernel.fail_at(1, ENOMEM);  // the transaction
  node.kernel.fail_at(2, ENOMEM);  // its first half
  node.reconciler.set_plan("a/one", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
  node.reconciler.set_plan("a/two", 0, plan("10.96.0.2", 80, {"10.244.0.2"}));
  const Recorded recorded = node.step();
  CHECK(node.kernel.violations.empty());
  CHECK(recorded.done > 0);
  node.step_with_retry();
  CHECK(node.kernel.servers.size() == 2);
  CHECK(node.kernel.addresses.size() == 2);
}

TEST_CASE("a refused set element is retried at once when what it protects is to be created") {
  Node node = running({});
  // The transaction, again without what is there, and its first half.
  for (const std::size_t n : {1u, 2u, 3u}) node.kernel.fail_at(n, ENOMEM);
  node.reconciler.set_plan("a/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
  node.step();
  REQUIRE(node.kernel.servers.empty());
  node.reconciler.set_plan("a/web", 0, plan("10.96.0.1", 80, {"10.244.0.2"}));
  node.step();
  CHECK(node.kernel.violations.empty());
  CHECK(node.kernel.servers.size() == 1);
}

namespace {

// The plan of a load balancer IP with source ranges.
ServicePlan limited_to(const std::vector<std::pair<std::string, std::uint16_t>>& networks) {
  ServicePlan result = plan("192.0.2.1", 80, {"10.244.0.1"});
  Element element{.kind = ElementKind::kLimitedIp, .address = ip("192.0.2.1"), .port = 80};
  result.elements.push_back(element);
  element.kind = ElementKind::kAllowedSource;
  for (const auto& [address, length] : networks) {
    element.source_network = {ip(address), length};
    result.elements.push_back(element);
  }
  std::sort(result.elements.begin(), result.elements.end(), ElementKeyLess{});
  return result;
}

}  // namespace

// The kernel refuses a range that overlaps one that is there: it must be deleted before the addition.
TEST_CASE("source ranges that overlap the old ones replace them in one transaction") {
  const ServicePlan wide = limited_to({{"203.0.112.0", 23}});
  const ServicePlan narrow = limited_to({{"203.0.112.0", 25}, {"203.0.113.0", 24}});
  for (const auto& [before, after] : {std::pair(wide, narrow), std::pair(narrow, wide)}) {
    Node node = running({{"default/web", before}});
    node.reconciler.set_plan("default/web", 0, after);
    const Recorded recorded = node.step();
    CHECK(recorded.failures.empty());
    CHECK(node.reconciler.failed_count() == 0);
    const auto log = node.take_log();
    REQUIRE(log.size() == 3);
    CHECK(log.front().starts_with("- "));
    CHECK(log.back().starts_with("+ "));
    CHECK(std::vector<Element>(node.kernel.elements.begin(), node.kernel.elements.end()) ==
          after.elements);
  }
}

TEST_CASE("a refused exchange of source ranges keeps the old ones, and other changes are made") {
  const ServicePlan before = limited_to({{"203.0.112.0", 23}});
  const ServicePlan after = limited_to({{"203.0.113.0", 24}});
  Node node = running({{"default/web", before}});
  node.reconciler.set_plan("default/web", 0, after);
  node.reconciler.set_plan("default/new", 0, plan("10.96.0.2", 80, {"10.244.0.2"}));
  // The new range, each time: with all others, again, with half of them, and alone with the old
  // one.
  for (const std::size_t n : {4u, 8u, 12u, 15u}) node.kernel.fail_at(n, ENOMEM);
  node.step();
  CHECK(node.kernel.servers.size() == 2);
  CHECK(node.kernel.elements.contains(before.elements.back()));
  CHECK_FALSE(node.kernel.elements.contains(after.elements.back()));
  node.step_with_retry();
  CHECK_FALSE(node.kernel.elements.contains(before.elements.back()));
  CHECK(node.kernel.elements.contains(after.elements.back()));
  CHECK(node.reconciler.failed_count() == 0);
}

TEST_CASE(
    "after a restart the table is installed with the current source ranges, even if old ones "
    "overlap") {
  Node node = running({{"default/web", limited_to({{"203.0.112.0", 23}, {"198.51.100.0", 24}})}});
  node.start();
  node.reconciler.set_plan("default/web", 0, limited_to({{"203.0.113.0", 24}}));
  node.install();
  CHECK(node.step().failures.empty());
  CHECK(node.kernel.elements.size() == 4);
  CHECK(node.kernel.violations.empty());
}

TEST_CASE("an address that could not be deleted keeps its protection, whatever is looked at next") {
  Node node = running({{"a/web", plan("10.96.0.1", 80, {})}});
  node.reconciler.remove("a/web");
  node.kernel.fail_at(1, ENOMEM);  // the address
  SECTION("the virtual server is read back") { node.kernel.lose_reply_at(2); }
  node.step();
  REQUIRE(node.kernel.addresses.size() == 1);
  SECTION("the table is installed again") { node.install(); }
  node.kernel.fail_at(1, ENOMEM);
  node.step();
  CHECK(node.kernel.violations.empty());
  node.step_with_retry();
  node.step_with_retry();
  CHECK(node.kernel.violations.empty());
  CHECK(node.kernel.addresses.empty());
  CHECK(node.kernel.elements.empty());
}

TEST_CASE("drift of a virtual server is found by comparison and repaired") {
  Node node = running({{"a/web", plan("10.96.0.1", 80, {"10.244.0.1"})}});
  const ServerKey key{ip("10.96.0.1"), 80, Protocol::kTcp};
  const Server right = node.kernel.servers[key];
  std::optional<Server> found;
  SECTION("deleted") { node.kernel.servers.clear(); }
  SECTION("another scheduler") {
    node.kernel.servers[key].settings.scheduler = "lc";
    found = node.kernel.servers[key];
  }
  SECTION("a destination lost") {
    node.kernel.servers[key].destinations.clear();
    found = node.kernel.servers[key];
  }
  CHECK(node.reconciler.compare(key, found));
  node.step();
  CHECK(node.kernel.servers[key] == right);
  CHECK_FALSE(node.reconciler.compare(key, right));
}

namespace {

// Few owners, VIPs, ports and pods, so that they conflict.
ServicePlan arbitrary_plan() {
  const auto vip = "10.96.0." + std::to_string(*rc::gen::inRange(1, 4));
  const auto port = static_cast<std::uint16_t>(*rc::gen::inRange(80, 83));
  std::set<std::string> pods;
  for (const int n : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 6))) {
    pods.insert("10.244.0." + std::to_string(n));
  }
  return plan(vip, port, {pods.begin(), pods.end()});
}

}  // namespace

TEST_CASE("any order of changes, failures and restarts ends in the state planned from scratch") {
  REQUIRE(rc::check("final state equals the plan from scratch", [] {
    Node node;
    node.start();
    node.install();
    std::map<Owner, ServicePlan> wanted;
    const auto replan = [&](std::set<Owner> owners) {
      while (!owners.empty()) {
        const Owner owner = *owners.begin();
        owners.erase(owners.begin());
        const auto found = wanted.find(owner);
        if (found == wanted.end()) {
          owners.merge(node.reconciler.remove(owner));
        } else {
          owners.merge(node.reconciler.set_plan(owner, 0, found->second).others);
        }
      }
    };
    const int events = *rc::gen::inRange(1, 25);
    for (int i = 0; i < events; ++i) {
      const Owner owner = "ns/" + std::to_string(*rc::gen::inRange(0, 4));
      switch (*rc::gen::inRange(0, 6)) {
        case 0:
          wanted.erase(owner);
          break;
        case 1:
          node.kernel.fail_at(static_cast<std::size_t>(*rc::gen::inRange(1, 8)), ENOMEM);
          break;
        case 2:
          node.kernel.lose_reply_at(static_cast<std::size_t>(*rc::gen::inRange(1, 8)));
          break;
        case 3: {
          node.start();
          std::set<Owner> all;
          for (const auto& [name, p] : wanted) all.insert(name);
          replan(all);
          node.install();
          break;
        }
        default:
          wanted[owner] = arbitrary_plan();
          break;
      }
      replan({owner});
      if (*rc::gen::inRange(0, 2) == 0) node.step();
    }
    for (int tries = 0; tries < 30; ++tries) node.step_with_retry();

    Node scratch;
    scratch.start();
    scratch.install();
    for (const auto& [owner, p] : wanted) scratch.reconciler.set_plan(owner, 0, p);
    for (const auto& [owner, p] : wanted) scratch.reconciler.set_plan(owner, 0, p);
    scratch.step();
    for (const std::string& each : node.kernel.violations) RC_LOG(each);
    RC_ASSERT(node.kernel.violations.empty());
    RC_ASSERT(node.kernel.servers == scratch.kernel.servers);
    RC_ASSERT(node.kernel.addresses == scratch.kernel.addresses);
    RC_ASSERT(node.kernel.elements == scratch.kernel.elements);
    RC_ASSERT(node.next().empty());
  }));
}

namespace {

const ServerKey kNodePort{ip("203.0.113.1"), 30080};

// A Service with the cluster IP 10.96.0.1 and a node port on 203.0.113.1 and 203.0.113.3.
ServicePlan plan_with_node_port() {
  ServicePlan result = plan("10.96.0.1", 80, {"10.244.0.1"});
  for (const char* address : {"203.0.113.1", "203.0.113.3"}) {
    result.servers.push_back({.settings = {.key = {ip(address), 30080}, .scheduler = "rr"},
                              .destinations = {{.endpoint = {ip("10.244.0.1"), 8080}}}});
  }
  result.elements.push_back({.kind = ElementKind::kNodePort,
                             .protocol = Protocol::kTcp,
                             .traffic_class = TrafficClass::kExternal,
                             .port = 30080});
  std::sort(result.elements.begin(), result.elements.end(), ElementKeyLess{});
  return result;
}

void want_node_port(Node& node) {
  node.reconciler.set_node_addresses({ip("203.0.113.1"), ip("203.0.113.3")});
  node.reconciler.set_plan("a/web", 0, plan_with_node_port());
}

// As the sync loop does it after the plans are made.
void record_and_install(Node& node) {
  REQUIRE(node.kernel.record_own(node.reconciler.ledger().server_keys()).has_value());
  node.install();
}

Server server_at(const ServerKey& key, const std::vector<Destination>& destinations) {
  return {.settings = {.key = key, .scheduler = "rr"}, .destinations = destinations};
}

Server left_by_kube_proxy(const ServerKey& key) {
  return server_at(key, {{.endpoint = {ip("10.244.1.99"), 80}, .weight = 1}});
}

Server of_another_program(const ServerKey& key) {
  return server_at(key, {{.endpoint = {ip("10.244.1.99"), 80}, .weight = 7}});
}

}  // namespace

TEST_CASE("what is ours is known after the table was flushed while the agent was stopped (C3)") {
  Node node;
  node.start();
  want_node_port(node);
  record_and_install(node);
  node.step();
  CHECK(node.kernel.record ==
        std::set<ServerKey>{{ip("10.96.0.1"), 80}, kNodePort, {ip("203.0.113.3"), 30080}});
  node.kernel.elements.clear();
  node.kernel.table_present = false;
  node.start();
  CHECK(node.reconciler.foreign_count() == 0);
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.empty());
  CHECK(node.kernel.record->empty());
}

TEST_CASE("a start without a record writes down what the table says is ours (C3)") {
  Node node;
  node.start();
  want_node_port(node);
  node.install();
  node.step();
  CHECK_FALSE(node.kernel.record);
  node.start();
  CHECK(node.reconciler.foreign_count() == 0);
  want_node_port(node);
  record_and_install(node);
  CHECK(node.kernel.record->size() == 3);
}

TEST_CASE("servers of others on our addresses and ports are left alone at a restart (C4)") {
  const Server beside = server_at({ip("10.96.0.1"), 8080}, {});
  const Server same_port = of_another_program(kNodePort);
  Node node;
  node.kernel.servers[kNodePort] = same_port;
  node.start();
  want_node_port(node);
  record_and_install(node);
  node.step();
  node.kernel.servers[beside.settings.key] = beside;
  node.start();
  CHECK(node.reconciler.foreign_count() == 2);
  SECTION("while the Service stays") { want_node_port(node); }
  SECTION("when it is gone") {}
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.at(beside.settings.key) == beside);
  CHECK(node.kernel.servers.at(kNodePort) == same_port);
  CHECK_FALSE(node.kernel.record->contains(kNodePort));
}

TEST_CASE("a server of another program that appears after a failed creation is not ours (C4)") {
  Node node;
  node.start();
  node.install();
  node.reconciler.set_plan("a/web", 0, plan("10.96.0.1", 80, {}));
  // The two elements are set, the creation is refused.
  node.kernel.fail_at(3, ENOMEM);
  node.step();
  const ServerKey key{ip("10.96.0.1"), 80};
  node.kernel.servers[key] = of_another_program(key);
  const Recorded recorded = node.step_with_retry();
  CHECK(recorded.foreign == std::vector<ServerKey>{key});
  CHECK(node.kernel.servers.at(key) == of_another_program(key));
}

TEST_CASE("a server of ours that somebody deleted and put back is still ours (C4)") {
  Node node = running({{"a/web", plan("10.96.0.1", 80, {"10.244.0.1"})}});
  const ServerKey key{ip("10.96.0.1"), 80};
  const Server ours = node.kernel.servers.at(key);
  CHECK(node.reconciler.compare(key, std::nullopt));
  CHECK(node.step().foreign.empty());
  node.step_with_retry();
  CHECK(node.kernel.servers.at(key) == ours);
}

TEST_CASE("a creation whose reply was lost is undone when the Service is gone meanwhile (C4)") {
  Node node;
  node.start();
  node.install();
  node.reconciler.set_plan("a/web", 0, plan("10.96.0.1", 80, {}));
  const Changes changes = node.next();
  node.kernel.lose_reply_at(3);
  Outcome outcome = apply(node.kernel, changes);
  outcome.read_back.clear();  // could not be read, either
  node.reconciler.record(changes, outcome);
  node.reconciler.remove("a/web");
  node.step_with_retry();
  CHECK(node.kernel.servers.empty());
}

TEST_CASE("a virtual server that kube-proxy left is taken over when a Service wants it (C1)") {
  Node node;
  node.kernel.servers[kNodePort] = left_by_kube_proxy(kNodePort);
  node.start();
  SECTION("at the start") {}
  SECTION("later") {
    record_and_install(node);
    node.step();
    CHECK(node.kernel.servers.size() == 1);
  }
  node.reconciler.set_node_addresses({ip("203.0.113.1"), ip("203.0.113.3")});
  const auto planned = node.reconciler.set_plan("a/web", 0, plan_with_node_port());
  CHECK(planned.conflicts.empty());
  CHECK(planned.taken_over == std::vector<ServerKey>{kNodePort});
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.at(kNodePort) == plan_with_node_port().servers[1]);
  CHECK(node.kernel.record->contains(kNodePort));
  CHECK(node.reconciler.foreign_count() == 0);
}

TEST_CASE("in an excluded network nothing that we did not make is taken over or deleted (17.6)") {
  Node node;
  node.kernel.excluded = {{ip("203.0.113.0"), 24}, {ip("10.96.0.0"), 16}};
  const ServerKey on_device{ip("10.96.0.77"), 80};
  node.kernel.servers[kNodePort] = left_by_kube_proxy(kNodePort);
  node.kernel.servers[on_device] = left_by_kube_proxy(on_device);
  node.kernel.addresses.insert(on_device.address);
  node.kernel.record.reset();  // without the table, too: what is on kube-ipvs0 would be ours
  node.start();
  CHECK(node.reconciler.foreign_count() == 2);
  node.reconciler.set_node_addresses({ip("203.0.113.1"), ip("203.0.113.3")});
  const auto planned = node.reconciler.set_plan("a/web", 0, plan_with_node_port());
  CHECK(planned.taken_over.empty());
  REQUIRE(planned.conflicts.size() == 1);
  CHECK(planned.conflicts[0].key == kNodePort);
  CHECK(planned.conflicts[0].reason == ConflictReason::kForeignServer);
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.at(kNodePort) == left_by_kube_proxy(kNodePort));
  CHECK(node.kernel.servers.at(on_device) == left_by_kube_proxy(on_device));
  // What nobody else has there is served, as by kube-proxy, and deleted with its Service.
  const ServerKey cluster_ip = plan_with_node_port().servers[0].settings.key;
  CHECK(node.kernel.servers.contains(cluster_ip));
  node.reconciler.remove("a/web");
  node.step();
  CHECK_FALSE(node.kernel.servers.contains(cluster_ip));
  CHECK(node.kernel.servers.at(kNodePort) == left_by_kube_proxy(kNodePort));
}

TEST_CASE("what is taken over enters the record even if nothing in it has to change (C1)") {
  Node node;
  const Server equal = plan_with_node_port().servers[1];
  node.kernel.servers[kNodePort] = equal;
  node.start();
  record_and_install(node);
  CHECK(node.kernel.record->empty());
  want_node_port(node);
  node.step();
  CHECK(node.kernel.servers.at(kNodePort) == equal);
  CHECK(node.kernel.record->contains(kNodePort));
}

TEST_CASE("what does not look like kube-proxy's is foreign and stays (C1)") {
  Node node;
  Server found = left_by_kube_proxy(kNodePort);
  SECTION("a weight that kube-proxy does not set") { found = of_another_program(kNodePort); }
  SECTION("a destination that is not masqueraded") { node.kernel.not_masqueraded = {kNodePort}; }
  SECTION("a flag that kube-proxy does not set") { found.settings.flags = kFlagOnePacket; }
  SECTION("empty, and nothing else of kube-proxy on the node") { found.destinations.clear(); }
  node.kernel.servers[kNodePort] = found;
  node.start();
  node.reconciler.set_node_addresses({ip("203.0.113.1"), ip("203.0.113.3")});
  const auto planned = node.reconciler.set_plan("a/web", 0, plan_with_node_port());
  CHECK(planned.taken_over.empty());
  REQUIRE(planned.conflicts.size() == 1);
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.at(kNodePort) == found);
}

TEST_CASE("an empty virtual server is taken over where kube-proxy's chains are (C1)") {
  Node node;
  node.kernel.servers[kNodePort] = server_at(kNodePort, {});
  node.kernel.kube_proxy_chains = {{.family = 2, .table = "nat", .names = {"KUBE-SERVICES"}}};
  node.start();
  want_node_port(node);
  CHECK(node.reconciler.foreign_count() == 0);
}

TEST_CASE("a node port that kube-proxy served on a loopback address is deleted there (17.1)") {
  Node node;
  ServerKey key{ip("127.0.0.1"), kNodePort.port};
  bool is_deleted = false;
  bool has_chains = true;
  SECTION("by IPv4") { is_deleted = true; }
  SECTION("by IPv6") {
    key.address = ip("::1");
    is_deleted = true;
  }
  SECTION("not if kube-proxy left nothing else") { has_chains = false; }
  SECTION("not at a port that no Service has") { ++key.port; }
  SECTION("not for another protocol") { key.protocol = ipvs::Protocol::kUdp; }
  SECTION("not at another address") { key.address = ip("198.51.100.9"); }
  if (has_chains) {
    node.kernel.kube_proxy_chains = {{.family = 2, .table = "nat", .names = {"KUBE-SERVICES"}}};
  }
  node.kernel.servers[key] = left_by_kube_proxy(key);
  node.start();
  want_node_port(node);
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.contains(key) != is_deleted);
  CHECK(node.reconciler.foreign_count() == (is_deleted ? 0 : 1));
}

TEST_CASE("an external IP does not make a tenant the heir of another program's server (C1)") {
  const ServerKey key{ip("192.0.2.30"), 443};
  ServicePlan wanted = plan("192.0.2.30", 443, {"10.244.0.1"});
  for (Element& element : wanted.elements) {
    if (element.kind == ElementKind::kServiceIp) element.traffic_class = TrafficClass::kExternal;
  }
  Node node;
  bool is_heir = false;
  SECTION("destinations of its own") { node.kernel.servers[key] = left_by_kube_proxy(key); }
  SECTION("destinations that are the Service's endpoints") {
    node.kernel.servers[key] = wanted.servers[0];
    is_heir = true;
  }
  node.start();
  CHECK(node.reconciler.set_plan("a/web", 0, wanted).taken_over.size() == (is_heir ? 1 : 0));
}

TEST_CASE("all that kube-proxy left on kube-ipvs0 is taken over, and deleted if unwanted (C1)") {
  Node node;
  const ServerKey wanted{ip("10.96.0.1"), 80}, unwanted{ip("10.96.0.9"), 80};
  node.kernel.servers[wanted] = server_at(wanted, {});
  node.kernel.servers[unwanted] = left_by_kube_proxy(unwanted);
  node.kernel.addresses = {wanted.address, unwanted.address};
  node.start();
  CHECK(node.reconciler.foreign_count() == 0);
  node.reconciler.set_plan("a/web", 0, plan("10.96.0.1", 80, {"10.244.0.1"}));
  record_and_install(node);
  node.step();
  CHECK(node.kernel.servers.size() == 1);
  CHECK(node.kernel.addresses == std::set<Address>{wanted.address});
}

TEST_CASE("with --takeover=report what kube-proxy left stays, and is told from what others have") {
  const ServerKey unwanted{ip("10.96.0.9"), 80}, wanted{ip("10.96.0.1"), 80};
  Node node;
  for (const ServerKey& key : {kNodePort, unwanted, wanted}) {
    node.kernel.servers[key] = left_by_kube_proxy(key);
  }
  node.kernel.addresses = {wanted.address, unwanted.address};
  const auto before = node.kernel.servers;
  const bool reports = GENERATE(true, false);
  node.reconciler.adopt(node.kernel.observe().value(),
                        reports ? Takeover::kReport : Takeover::kOff);
  CHECK(node.reconciler.foreign_count() == 3);
  node.reconciler.set_node_addresses({ip("203.0.113.1"), ip("203.0.113.3")});
  const auto planned = node.reconciler.set_plan("a/web", 0, plan_with_node_port());
  CHECK(planned.taken_over.empty());
  REQUIRE(planned.conflicts.size() >= 1);
  CHECK(planned.conflicts.back().reason ==
        (reports ? ConflictReason::kLeftServer : ConflictReason::kForeignServer));
  record_and_install(node);
  node.step();
  for (const auto& [key, server] : before) CHECK(node.kernel.servers.at(key) == server);
  CHECK(node.kernel.addresses.contains(unwanted.address));
  // Neither when the addresses are compared, nor when the Service is gone.
  node.kernel.addresses.insert(ip("10.96.0.10"));
  node.reconciler.compare_addresses({node.kernel.addresses.begin(), node.kernel.addresses.end()});
  node.reconciler.remove("a/web");
  node.step();
  for (const char* address : {"10.96.0.1", "10.96.0.9", "10.96.0.10"}) {
    CHECK(node.kernel.addresses.contains(ip(address)));
  }
}
