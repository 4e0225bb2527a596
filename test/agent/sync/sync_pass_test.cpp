// SPDX-License-Identifier: Apache-2.0
//
// What a pass costs: how often it reads the clock, and which calls of the kernel it makes, in which
// order. Both are few on purpose.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "agent/sync/sync_loop.hpp"
#include "test/agent/decide/plan_text.hpp"
#include "test/agent/objects.hpp"
#include "test/agent/sync/sync_fixture.hpp"

namespace {

using namespace agent::test;
using namespace std::chrono_literals;
using agent::SyncOptions;
using Fixture = SyncFixture;

// Nothing is due by time until the test sets the clock forward.
SyncOptions on_test_clock() {
  TestClock::reads = 0;
  TestClock::ahead = {};
  SyncOptions options = quick();
  options.drain_interval = options.again_interval = 1h;
  options.now = TestClock::now;
  return options;
}

}  // namespace

TEST_CASE("a pass reads the clock few times, and calls the kernel once for one changed Service") {
  Fixture f(on_test_clock());
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  f.run_what_is_ready();
  f.on_kernel([](auto& kernel) { kernel.calls.clear(); });
  TestClock::reads = 0;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.2"}));
  f.until_idle();
  f.run_what_is_ready();
  CHECK(TestClock::reads == 5);  // woken, begun, planned, carried out, asleep again
  CHECK(f.look().calls == std::vector<std::string>{"change_servers"});
}

TEST_CASE("what is due at once is done in one pass, in its order") {
  SyncOptions options = on_test_clock();
  options.retry_first = options.retry_limit = options.object_retry_limit = 1h;
  Fixture f(options);
  f.settle();
  f.on_kernel([](auto& kernel) {
    for (std::size_t n = 1; n < 8; ++n) kernel.fail_at(n, ENOMEM);
  });
  f.want("a/failing", plan_of("10.96.0.7", {"10.244.0.7"}));
  f.until([&] { return f.observer.passes.size() == 2; });
  f.on_kernel([](auto& kernel) { kernel.operations += 100; });  // past all planned failures
  f.plans.drainable = {ip("10.244.0.1")};
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.2"}));
  f.until([&] { return f.observer.passes.size() == 3; });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));  // one drains
  f.plans.wanted["a/slow"] = {
      .since = 0, .plan = plan_of("10.96.0.2", {"10.244.0.3"}), .again_in_a_second = true};
  f.sync.mark_dirty("a/slow");
  f.until([&] { return f.observer.passes.size() == 4; });
  f.run_what_is_ready();
  f.on_kernel([](auto& kernel) { kernel.calls.clear(); });
  TestClock::reads = 0;

  TestClock::ahead = 2h;
  f.plans.wanted["a/slow"] = {.since = 0, .plan = plan_of("10.96.0.2", {"10.244.0.4"})};
  f.plans.node_addresses = kernel_ips({"192.168.1.1"});
  f.sync.node_addresses_changed();
  f.sync.device_changed();
  f.sync.table_lost();
  f.until_idle();
  f.run_what_is_ready();
  const std::vector<std::string> checks{
      "install_table",      // the table is restored
      "read_addresses",     // the addresses are checked
      "read_destinations",  // and the draining destinations, one of which
      "change_servers",     // is deleted
      "read_addresses",     // the audit
      "read_counters",     "read_destinations",
  };
  // What was planned for the first time, again, or failed.
  const std::vector<std::string> changes{"replace_rules",  // for the first node addresses
                                         "change_elements",  "change_servers",    "change_servers",
                                         "change_addresses", "read_destinations", "change_servers"};
  std::vector<std::string> expected = checks;
  expected.insert(expected.end(), changes.begin(), changes.end());
  CHECK(f.look().calls == expected);
  CHECK(TestClock::reads == 10);  // one of them for the pace of repairs
  CHECK(f.observer.passes.size() == 5);
  CHECK(f.observer.passes[4].services == 1);
  CHECK(f.look().servers.size() == 3);
  CHECK(server_text(f.look().servers.at(kWeb)) ==
        "TCP 10.96.0.1:80 rr\n  -> 10.244.0.2:8080 weight 1\n");
}

namespace {

ServicePlan refusing(const std::string& vip) {
  ServicePlan plan = plan_of(vip, {});
  plan.elements.push_back({.kind = ipvs::ElementKind::kGuardedIp,
                           .address = ip(vip),
                           .traffic_class = ipvs::TrafficClass::kRefused,
                           .port = 80});
  std::sort(plan.elements.begin(), plan.elements.end(), ipvs::ElementKeyLess{});
  return plan;
}

ServicePlan limited(const std::string& vip) {
  ServicePlan plan = plan_of(vip, {"10.244.0.3"});
  plan.elements.push_back({.kind = ipvs::ElementKind::kLimitedIp, .address = ip(vip), .port = 80});
  std::sort(plan.elements.begin(), plan.elements.end(), ipvs::ElementKeyLess{});
  return plan;
}

}  // namespace

TEST_CASE("the rules that read a set come before its first element, and once") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.calls.clear(); });
  f.want("a/none", refusing("10.96.0.2"));
  f.until_idle();
  CHECK(f.look().calls == std::vector<std::string>{"replace_rules", "change_elements",
                                                   "change_servers", "change_addresses"});
  f.on_kernel([](auto& kernel) { kernel.calls.clear(); });
  f.want("a/nothing", refusing("10.96.0.3"));
  f.until_idle();
  CHECK(f.look().calls ==
        std::vector<std::string>{"change_elements", "change_servers", "change_addresses"});
  CHECK(f.look().violations.empty());
}

TEST_CASE(
    "where rules are refused the whole table is installed, and where that is, too, what needs "
    "them waits") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  const ServerKey none{ip("10.96.0.2"), 80, ipvs::Protocol::kTcp};
  SECTION("the rules alone") {
    f.on_kernel([](auto& kernel) { kernel.replace_error = ENOENT; });
    f.want("a/none", refusing("10.96.0.2"));
    f.until([&] { return f.look().servers.contains(none); });
  }
  SECTION("both, for a while") {
    f.on_kernel([](auto& kernel) { kernel.replace_error = kernel.install_error = ENOMEM; });
    f.want("a/none", limited("10.96.0.2"));
    f.until([&] {
      return std::any_of(f.observer.failures.begin(), f.observer.failures.end(),
                         [](const auto& failure) { return failure.error_number == EAGAIN; });
    });
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));
    f.until([&] {
      const auto destinations = f.look().servers.at(kWeb).destinations;
      return destinations.size() == 1 && destinations[0].endpoint.address == ip("10.244.0.2");
    });
    CHECK_FALSE(f.look().servers.contains(none));
    f.on_kernel([](auto& kernel) { kernel.replace_error = kernel.install_error = 0; });
    f.until([&] { return f.look().servers.contains(none); });
  }
  CHECK(f.look().violations.empty());
}

TEST_CASE("a class that changes to the first of its kind is changed though the rules are refused") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  f.on_kernel([](auto& kernel) { kernel.replace_error = ENOMEM; });
  ServicePlan next = plan_of("10.96.0.1", {"10.244.0.1"});
  for (ipvs::Element& element : next.elements) {
    if (element.kind == ipvs::ElementKind::kServiceIp) {
      element.traffic_class = ipvs::TrafficClass::kExternal;
    }
  }
  f.want("a/web", next);
  f.until([&] {
    const auto elements = f.look().elements;
    return std::any_of(elements.begin(), elements.end(), [](const auto& element) {
      return element.traffic_class == ipvs::TrafficClass::kExternal;
    });
  });
  f.until_idle();
  CHECK(f.observer.failures.size() == 1);  // of the rules
  CHECK(f.look().violations.empty());
}

TEST_CASE("shorter periods are in force at once, not after the longer ones (18.2)") {
  SyncOptions options = quick();
  options.min_gap = 1h;
  Fixture f(options);
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.sync.sources_ready();
  f.until([&] { return f.sync.complete(); });
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.2"}));
  f.run_what_is_ready();
  CHECK(f.sync.pending() == 1);
  f.on_kernel([](auto& kernel) { kernel.servers.erase(kWeb); });
  f.sync.set_periods(0ms, 1ms);
  f.until([&] { return f.sync.pending() == 0; });
  f.until([&] { return f.look().servers.contains(kWeb); });  // by an audit
  CHECK(f.look().violations.empty());
}

TEST_CASE("refusals are dropped before a scheduler changes, and until all have changed (18.2)") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  f.on_kernel([](auto& kernel) {
    kernel.log.clear();
    kernel.calls.clear();
  });
  ServicePlan next = plan_of("10.96.0.1", {"10.244.0.1"});
  next.servers.front().settings.scheduler = "lc";
  f.sync.schedulers_change();
  f.want("a/web", next);
  f.until([&] { return f.look().servers.at(kWeb).settings.scheduler == "lc"; });
  f.until([&] { return !f.look().table_rules->drops_refusals; });
  CHECK(f.look().calls ==
        std::vector<std::string>{"replace_rules", "change_servers", "install_table"});
  CHECK(f.look().violations.empty());
}
