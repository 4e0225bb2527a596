// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/sync_loop.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/sync/sync_fixture.hpp"

namespace {

using namespace agent::test;
using namespace std::chrono_literals;
using agent::SyncOptions;
using Fixture = SyncFixture;

}  // namespace

TEST_CASE("nothing is read or changed before every source has delivered its first list") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.on_kernel([](auto& kernel) { kernel.observe_error = EIO; });  // reading would be reported
  f.run_what_is_ready();
  CHECK(f.look().log.empty());
  CHECK(f.observer.waits.empty());
  CHECK_FALSE(f.sync.complete());
  f.on_kernel([](auto& kernel) { kernel.observe_error = 0; });
  f.settle();
  CHECK(f.look().servers.size() == 1);
}

TEST_CASE("the first pass comes after the table, and is reported as the first") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  CHECK(f.look().log ==
        std::vector<std::string>{"install table of 2", "NEW_SERVICE TCP 10.96.0.1:80 rr",
                                 "NEW_DEST TCP 10.96.0.1:80 10.244.0.1:8080 w1", "bind 10.96.0.1"});
  CHECK(f.look().violations.empty());
  REQUIRE(f.observer.passes.size() == 1);
  CHECK(f.observer.passes[0].first);
  CHECK(f.observer.passes[0].operations == 3);
  CHECK(f.observer.passes[0].services == 1);
}

TEST_CASE("the loop waits for the lists, installs the table, makes the first pass, and is synced") {
  using agent::SyncState;
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.on_kernel([](auto& kernel) {
    kernel.install_error = EPERM;
    kernel.fail_at(1, ENOMEM);  // in the first pass
  });
  f.run_what_is_ready();
  CHECK(f.sync.state() == SyncState::kAwaitingLists);
  f.sync.sources_ready();
  f.until([&] { return f.observer.waits.size() == 2; });
  CHECK(f.sync.state() == SyncState::kInstalling);
  std::vector<SyncState> states;
  f.observer.when_failed = [&] { states.push_back(f.sync.state()); };
  f.observer.when_passed = [&] { states.push_back(f.sync.state()); };
  f.on_kernel([](auto& kernel) { kernel.install_error = 0; });
  f.until([&] { return !f.observer.passes.empty(); });
  CHECK(states == std::vector{SyncState::kFirstPass, SyncState::kSynced});
  CHECK(f.sync.complete());
  f.sync.sources_ready();  // once more changes nothing
  f.until_idle();
  CHECK(f.sync.state() == SyncState::kSynced);
}

TEST_CASE("how virtual IPs are bound is chosen by their number, and served either way") {
  const int error = GENERATE(0, ENOMEM);
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.want("a/db", plan_of("10.96.0.2", {"10.244.0.2"}));
  f.on_kernel([error](auto& kernel) { kernel.binding_error = error; });
  f.settle();
  CHECK(f.look().binding_chosen_for == (error == 0 ? std::optional<std::size_t>(2) : std::nullopt));
  CHECK(f.look().addresses.size() == 2);
}

TEST_CASE("from the first pass on, each node adds endpoints in an order of its own") {
  const auto log_of = [](const char* node) {
    SyncOptions options;
    options.spread = ipvs::Spread(node);
    Fixture f(options);
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.4",
                                          "10.244.0.5", "10.244.0.6"}));
    f.settle();
    return f.look().log;
  };
  CHECK(log_of("node-1") == log_of("node-1"));
  CHECK(log_of("node-1") != log_of("node-2"));
}

TEST_CASE("an empty cluster is complete too") {
  Fixture f;
  f.settle();
  CHECK(f.look().table_present);
  CHECK(f.observer.passes.size() == 1);
}

TEST_CASE("a burst of events costs one pass") {
  Fixture f;
  f.settle();
  for (int i = 0; i < 100; ++i) {
    f.want("a/web-" + std::to_string(i), plan_of("10.96.1." + std::to_string(i), {"10.244.0.1"}));
    f.sync.mark_dirty("a/web-" + std::to_string(i));
  }
  f.until_idle();
  REQUIRE(f.observer.passes.size() == 2);
  CHECK(f.observer.passes[1].services == 100);
  CHECK_FALSE(f.observer.passes[1].first);
  CHECK(f.look().servers.size() == 100);
}

TEST_CASE("an event that comes while a pass is under way is not lost") {
  Fixture f;
  f.settle();
  f.observer.when_passed = [&] { f.want("a/late", plan_of("10.96.0.2", {"10.244.0.2"})); };
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return f.observer.passes.size() == 3; });
  CHECK(f.look().servers.size() == 2);
}

TEST_CASE("a Service that changes nothing in the kernel costs it nothing") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  const auto before = f.look().log;
  f.sync.mark_dirty("a/web");
  f.until_idle();
  CHECK(f.look().log == before);
}

TEST_CASE("what the kernel refuses is reported, retried, and meanwhile counted as waiting") {
  Fixture f;
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 12; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return !f.observer.failures.empty() && f.observer.passes.size() >= 2; });
  CHECK(f.observer.failures[0].error_number == ENOMEM);
  CHECK(f.observer.failures[0].owner == "a/web");
  CHECK(f.observer.passes[1].failing_keys > 0);
  CHECK(f.sync.waiting_since());
  f.until([&] { return f.sync.reconciler().failed_count() == 0; });
  f.until_idle();
  CHECK(f.look().servers.at(kWeb) == f.plans.wanted["a/web"].plan.servers[0]);
  CHECK(f.look().addresses.contains(ip("10.96.0.1")));
  CHECK(f.look().violations.empty());
  CHECK(f.observer.passes.size() > 3);
}

TEST_CASE("what has waited long counts as old even when newer events come") {
  SyncOptions options = quick();
  options.retry_first = options.retry_limit = options.object_retry_limit = 1h;
  Fixture f(options);
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 8; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  const auto since = f.sync.waiting_since();
  f.observer.when_failed = [&] { f.sync.mark_dirty("a/other"); };
  f.until([&] { return f.observer.passes.size() == 3; });
  CHECK(f.sync.waiting_since() == since);
  f.sync.mark_dirty("a/other");
  f.until([&] { return f.observer.passes.size() == 4; });
  CHECK(f.sync.waiting_since() == since);
}

TEST_CASE("other Services are programmed while one fails") {
  SyncOptions options = quick();
  options.retry_first = options.retry_limit = options.object_retry_limit = 1h;
  Fixture f(options);
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 8; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return f.observer.passes.size() == 2; });
  f.on_kernel([](auto& kernel) { kernel.operations += 100; });  // past all planned failures
  f.want("a/other", plan_of("10.96.0.2", {"10.244.0.2"}));
  f.until([&] { return f.observer.passes.size() == 3; });
  const auto kernel = f.look();
  CHECK(kernel.servers.contains({ip("10.96.0.2"), 80}));
  CHECK_FALSE(kernel.servers.contains(kWeb));
}

TEST_CASE("what one object is to blame for does not count as waiting (A1)") {
  Fixture f;
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.refused_endpoints[ip("203.0.113.255")] = EINVAL; });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "203.0.113.255"}));
  f.until([&] { return f.observer.failures.size() >= 5; });
  CHECK_FALSE(f.sync.waiting_since());
  CHECK(f.sync.reconciler().failed_count() == 1);
  CHECK(f.observer.failures[4].tries == 5);
  CHECK(f.observer.failures[4].what == "NEW_DEST TCP 10.96.0.1:80 -> 203.0.113.255:8080");
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 1\n");
  CHECK(f.look().addresses.contains(ip("10.96.0.1")));
  SECTION("until the object changes") { f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"})); }
  SECTION("until the kernel accepts it") {
    f.on_kernel([](auto& kernel) { kernel.refused_endpoints.clear(); });
  }
  f.until([&] { return !f.observer.over.empty(); });
  CHECK(f.sync.reconciler().failed_count() == 0);
  REQUIRE(f.observer.over.size() == 1);
  CHECK(f.observer.over[0].what == f.observer.failures[0].what);
}

TEST_CASE("a change of an object that is refused is tried at once (A1)") {
  SyncOptions options = quick();
  options.retry_first = options.retry_limit = options.object_retry_limit = 1h;
  Fixture f(options);
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.refused_endpoints[ip("203.0.113.255")] = EINVAL; });
  f.want("a/web", plan_of("10.96.0.1", {"203.0.113.255"}));
  f.until([&] { return f.observer.failures.size() == 1; });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "203.0.113.255"}));
  f.until([&] { return f.observer.failures.size() == 2; });
  f.until_idle();
  CHECK(f.look().servers.at(kWeb).destinations.size() == 1);
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));
  f.until([&] { return f.sync.reconciler().failed_count() == 0; });
}

TEST_CASE("what the kernel refuses of every Service is the node's fault, whatever the errno (A1)") {
  Fixture f;
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.refused_endpoints[ip("10.244.0.1")] = EINVAL; });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return f.observer.failures.size() >= 2; });
  CHECK_FALSE(f.sync.reconciler().fault_of_node());  // one alone may be refused because of itself
  f.want("a/api", plan_of("10.96.0.2", {"10.244.0.1"}));
  f.until([&] { return f.sync.reconciler().failed_count() == 2; });
  CHECK(f.sync.reconciler().fault_of_node());
  CHECK(f.sync.waiting_since());
  f.want("a/good", plan_of("10.96.0.3", {"10.244.0.3"}));
  f.until([&] { return f.look().servers.size() == 3; });
  CHECK_FALSE(f.sync.reconciler().fault_of_node());
}

TEST_CASE("missing rights are the node's fault, with one object as with many (A1)") {
  Fixture f;
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.refused_endpoints[ip("10.244.0.1")] = EPERM; });
  f.want("a/good", plan_of("10.96.0.3", {"10.244.0.3"}));
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.until([&] { return f.observer.failures.size() >= 2; });
  REQUIRE(f.sync.reconciler().fault_of_node());
  CHECK(f.sync.reconciler().fault_of_node()->failure.error_number == EPERM);
}

TEST_CASE("a draining endpoint is checked until its connections have ended, and then deleted") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.2"}));
  f.plans.drainable = {ip("10.244.0.1")};
  f.settle();
  f.on_kernel([](auto& kernel) {
    kernel.active_connections[{kWeb, {ip("10.244.0.1"), 8080}}] = 3;
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));
  f.until([&] { return f.look().reads() >= 4; });
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n"
        "  -> 10.244.0.1:8080 weight 0\n"
        "  -> 10.244.0.2:8080 weight 1\n");
  SECTION("its connections end") {
    f.on_kernel([](auto& kernel) { kernel.active_connections.clear(); });
  }
  SECTION("its Pod is deleted") { f.plans.drainable.clear(); }
  f.until([&] { return f.sync.reconciler().ledger().draining_servers().empty(); });
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n"
        "  -> 10.244.0.2:8080 weight 1\n");
  const std::size_t reads = f.look().reads();
  f.run_what_is_ready();
  CHECK(f.look().reads() == reads);  // nothing drains, nothing is read
}

TEST_CASE("UDP flows to deleted servers and endpoints are deleted from conntrack, TCP flows stay") {
  Fixture f;
  const auto udp = ipvs::Protocol::kUdp;
  f.want("a/dns", plan_of("10.96.0.10", {"10.244.0.1", "10.244.0.2"}, udp));
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  const ServerKey dns{ip("10.96.0.10"), 80, udp};
  using Flows = std::vector<ipvs::Kernel::StaleFlow>;
  // Those that began before there was a virtual server.
  Flows expected{{.server = dns, .endpoint = std::nullopt}};
  CHECK(f.look().deleted_flows == expected);
  f.want("a/dns", plan_of("10.96.0.10", {"10.244.0.2"}, udp));
  f.want("a/web", plan_of("10.96.0.1", {}));
  f.until_idle();
  expected.push_back({.server = dns, .endpoint = ipvs::Endpoint{ip("10.244.0.1"), 8080}});
  CHECK(f.look().deleted_flows == expected);
  f.drop("a/dns");
  f.drop("a/web");
  f.until_idle();
  expected.push_back({.server = dns, .endpoint = std::nullopt});
  CHECK(f.look().deleted_flows == expected);
  CHECK(f.observer.flows_forgotten ==
        std::map<ipvs::Family, std::size_t>{{ipvs::Family::kIpv4, 3}});
}

TEST_CASE("flows of the two families are deleted and reported one after the other (18.3)") {
  Fixture f;
  ServicePlan both = plan_of("10.96.0.10", {"10.244.0.1"}, ipvs::Protocol::kUdp);
  both.servers.push_back(plan_of("fd00:96::10", {"fd00:244::1"}, ipvs::Protocol::kUdp).servers[0]);
  f.want("a/dns", both);
  f.settle();
  CHECK(f.observer.flows_forgotten ==
        std::map<ipvs::Family, std::size_t>{{ipvs::Family::kIpv4, 1}, {ipvs::Family::kIpv6, 1}});
}

TEST_CASE("a draining endpoint is deleted as soon as its Pod is, without waiting for a check") {
  SyncOptions options = quick();
  options.drain_interval = 1h;
  Fixture f(options);
  const auto is_draining = [&] { return !f.sync.reconciler().ledger().draining_servers().empty(); };
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.2"}));
  f.plans.drainable = {ip("10.244.0.1")};
  f.settle();
  const std::size_t reads = f.look().reads();
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));
  f.until(is_draining);
  f.plans.drainable.clear();
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));  // the same plan
  f.until([&] { return !is_draining(); });
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n"
        "  -> 10.244.0.2:8080 weight 1\n");
  CHECK(f.look().reads() == reads + 2);  // of its connections, when it began and when it ended
}

TEST_CASE("a Service that lingers is planned again each second until its connections have ended") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  f.plans.drainable = {ip("10.244.0.1")};
  f.on_kernel([](auto& kernel) {
    kernel.active_connections[{kWeb, {ip("10.244.0.1"), 8080}}] = 1;
  });
  f.plans.wanted["a/web"] = {.since = 0, .plan = plan_of("10.96.0.1", {}), .is_lingering = true};
  f.sync.mark_dirty("a/web");
  f.until([&] { return !f.sync.reconciler().ledger().draining_servers().empty(); });
  f.run_what_is_ready();
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 0\n");
  f.on_kernel([](auto& kernel) { kernel.active_connections.clear(); });
  f.until([&] { return f.sync.reconciler().ledger().server_count() == 0; });
  CHECK(f.plans.drained_services == std::vector<Owner>{"a/web"});
  CHECK(f.look().servers.empty());
}

TEST_CASE("a plan that changes with time is made again without an event") {
  Fixture f;
  f.plans.wanted["a/web"] = {
      .since = 0, .plan = plan_of("10.96.0.1", {"10.244.0.1"}), .again_in_a_second = true};
  f.sync.mark_dirty("a/web");
  f.settle();
  ServicePlan next = plan_of("10.96.0.1", {"10.244.0.1"});
  next.servers[0].destinations[0].weight = 50;
  f.plans.wanted["a/web"] = {.since = 0, .plan = next};  // no event says so
  f.until([&] { return f.sync.reconciler().ledger().server(kWeb)->destinations[0].weight == 50; });
}

TEST_CASE("the audit finds what somebody else changed, and restores it") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.want("a/api", plan_of("10.96.0.2", {"10.244.0.2"}));
  f.settle();
  const std::string right = kernel_text(f.look());
  std::string drift = "server";
  SECTION("a virtual server deleted") {
    f.on_kernel([](auto& kernel) { kernel.servers.erase(kWeb); });
  }
  SECTION("another scheduler") {
    f.on_kernel([](auto& kernel) { kernel.servers[kWeb].settings.scheduler = "lc"; });
  }
  SECTION("a destination added") {
    drift = "destination";
    f.on_kernel([](auto& kernel) {
      kernel.servers[kWeb].destinations.push_back({.endpoint = {ip("203.0.113.1"), 1}});
    });
  }
  SECTION("an address removed") {
    drift = "address";
    f.on_kernel([](auto& kernel) { kernel.addresses.clear(); });
  }
  f.until([&] { return kernel_text(f.look()) == right; });
  // Each of the two addresses counts.
  CHECK(f.observer.drifts == std::vector<std::string>(drift == "address" ? 2 : 1, drift));
  CHECK(f.look().violations.empty());
}

TEST_CASE("addresses that somebody else removed are restored as soon as that is reported") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {}));
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.addresses.clear(); });
  SECTION("by a notification about an address") {
    const ipvs::VipEvent events[] = {{ip("10.96.0.1"), false}};
    f.sync.vips_changed(events);
  }
  SECTION("by one about the device") { f.sync.device_changed(); }
  f.until([&] { return f.look().addresses.contains(ip("10.96.0.1")); });
  CHECK(f.observer.drifts == std::vector<std::string>{"address"});
}

TEST_CASE("a table that somebody else removed is restored with all its elements") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  const std::string right = kernel_text(f.look());
  int error = 0;
  SECTION("at once") {}
  SECTION("and again, until the kernel takes it") { error = EBUSY; }
  f.on_kernel([error](auto& kernel) {
    kernel.elements.clear();
    kernel.table_present = false;
    kernel.install_error = error;
  });
  f.sync.table_lost();
  if (error != 0) {
    f.until([&] { return f.observer.failures.size() >= 2; });
    CHECK(f.observer.failures[0].command == "NEWTABLE");
    CHECK(f.sync.waiting_since());
    f.on_kernel([](auto& kernel) { kernel.install_error = 0; });
  }
  f.until([&] { return kernel_text(f.look()) == right; });
  f.until_idle();
  CHECK(f.observer.drifts == std::vector<std::string>{"table"});
}

TEST_CASE("a kernel that cannot be read or written at the start is tried until it can") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  std::string text;
  SECTION("reading") {
    f.on_kernel([](auto& kernel) { kernel.observe_error = ENOBUFS; });
    text = "reading virtual servers (GET_SERVICE): No buffer space available";
  }
  SECTION("the table") {
    f.on_kernel([](auto& kernel) { kernel.install_error = EPERM; });
    text = "installing the nftables table kube-ipvs: Operation not permitted";
  }
  f.sync.sources_ready();
  f.until([&] { return f.observer.waits.size() == 3; });
  CHECK(f.observer.waits[0] == text);
  CHECK(f.look().servers.empty());
  CHECK_FALSE(f.sync.complete());
  f.on_kernel([](auto& kernel) { kernel.observe_error = kernel.install_error = 0; });
  f.settle();
  CHECK(f.look().servers.size() == 1);
  CHECK(f.look().violations.empty());
}

TEST_CASE("a start adopts what is there, and deletes what no Service wants any more") {
  Fixture f;
  const ServicePlan old = plan_of("10.96.0.9", {"10.244.0.9"});
  f.on_kernel([&](auto& kernel) {
    kernel.table_present = true;
    kernel.servers[old.servers[0].settings.key] = old.servers[0];
    kernel.elements = {old.elements.begin(), old.elements.end()};
    kernel.addresses = {ip("10.96.0.9")};
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  Fixture fresh;
  fresh.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  fresh.settle();
  CHECK(kernel_text(f.look()) == kernel_text(fresh.look()));
  CHECK(f.look().violations.empty());
}

TEST_CASE(
    "a foreign virtual server is reported as a conflict, and the Service does not get its place") {
  Fixture f;
  f.on_kernel(
      [](auto& kernel) { kernel.servers[kWeb] = {.settings = {.key = kWeb, .scheduler = "wlc"}}; });
  SECTION("there before us") {
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
    f.settle();
  }
  SECTION("there after us") {
    f.on_kernel([](auto& kernel) { kernel.servers.clear(); });
    f.settle();
    f.on_kernel([](auto& kernel) {
      kernel.servers[kWeb] = {.settings = {.key = kWeb, .scheduler = "wlc"}};
    });
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
    f.until([&] { return !f.observer.conflicts.empty(); });
    f.until_idle();
  }
  REQUIRE_FALSE(f.observer.conflicts.empty());
  CHECK(f.observer.conflicts[0].holder.empty());
  f.until([&] { return f.look().addresses.empty(); });
  CHECK(server_text(f.look().servers.at(kWeb)) == "TCP 10.96.0.1:80 wlc\n");
}

TEST_CASE("the addresses of node ports are read again after node_addresses_changed()") {
  Fixture f;
  f.plans.node_addresses = kernel_ips({"192.168.1.1"});
  f.settle();
  CHECK(kernel_text(f.look()) == "node-addresses-4 192.168.1.1\n");
  f.plans.node_addresses = kernel_ips({"192.168.1.2"});
  f.sync.node_addresses_changed();
  f.until([&] { return kernel_text(f.look()) == "node-addresses-4 192.168.1.2\n"; });
}

TEST_CASE("at least --ipvs-min-sync-period passes between two passes") {
  SyncOptions options = quick();
  options.min_gap = 5ms;
  Fixture f(options);
  f.settle();
  std::vector<std::chrono::steady_clock::time_point> times;
  for (int i = 0; i < 3; ++i) {
    f.observer.when_passed = [&] { times.push_back(std::chrono::steady_clock::now()); };
    f.want("a/web", plan_of("10.96.0." + std::to_string(i + 1), {}));
    f.until([&] { return times.size() == static_cast<std::size_t>(i + 1); });
  }
  CHECK(times[1] - times[0] >= 5ms);
  CHECK(times[2] - times[1] >= 5ms);
}

TEST_CASE("the loop ends wherever it is cancelled") {
  for (int steps = 0; steps < 25; ++steps) {
    INFO("after " << steps << " steps");
    Fixture f;
    if (steps % 2 == 1) f.sync.sources_ready();
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
    for (int i = 0; i < steps / 2; ++i) f.run_what_is_ready();
    f.stop();
    CHECK(f.was_cancelled());
  }
}

TEST_CASE("the loop ends when it is cancelled while the kernel refuses") {
  Fixture f;
  f.on_kernel([](auto& kernel) { kernel.observe_error = EIO; });
  f.sync.sources_ready();
  f.until([&] { return f.observer.waits.size() == 2; });
  f.stop();
  CHECK(f.was_cancelled());
}

TEST_CASE("a record that cannot be written is reported once, and nothing waits for it (C3)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  f.on_kernel([](auto& kernel) { kernel.record_error = EROFS; });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  CHECK(f.look().servers.size() == 1);
  for (int i = 0; i < 50; ++i) f.step();
  CHECK(f.observer.waits.size() == 1);
  CHECK_FALSE(f.observer.waits.empty());
}

TEST_CASE("the record names what is ours before the first virtual server is created (C3)") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  CHECK(f.look().record == std::set<ServerKey>{kWeb});
  f.drop("a/web");
  f.until_idle();
  CHECK(f.look().record->empty());
}

TEST_CASE("a virtual server that is taken over is reported with its Service (C1)") {
  Fixture f;
  f.on_kernel([](auto& kernel) {
    kernel.servers[kWeb] = {.settings = {.key = kWeb, .scheduler = "wlc"},
                            .destinations = {{.endpoint = {ip("10.244.1.99"), 80}}}};
  });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  CHECK(f.observer.taken_over == std::vector<std::string>{"a/web TCP 10.96.0.1:80"});
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n  -> 10.244.0.1:8080 weight 1\n");
}
