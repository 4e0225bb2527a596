// SPDX-License-Identifier: Apache-2.0
//
// What somebody else changes in the kernel, from the notification or the audit that finds it until
// it is repaired and reported.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <thread>

#include "test/agent/sync/sync_fixture.hpp"

namespace agent {
namespace {

using namespace agent::test;
using Fixture = SyncFixture;

const ipvs::VipEvent kLost{ip("10.96.0.1"), false};
const ipvs::VipEvent kBound{ip("10.96.0.1"), true};

void serve(Fixture& f) {
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.want("a/api", plan_of("10.96.0.2", {"10.244.0.2"}));
  f.settle();
}

std::size_t address_readings(Fixture& f) {
  const auto calls = f.look().calls;
  return static_cast<std::size_t>(std::count(calls.begin(), calls.end(), "read_addresses"));
}

}  // namespace

TEST_CASE("a deleted kube-ipvs0 is made again with all its addresses, at once (D1)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.delete_device(); });
  f.sync.device_changed();
  f.until([&] { return f.look().addresses.size() == 2; });
  f.until_idle();
  CHECK(f.observer.drifts == std::vector<std::string>{"link", "address", "address"});
  CHECK(f.observer.drift_lines[1] ==
        "VIPs of kube-ipvs0 that somebody else deleted or added: 10.96.0.1, 10.96.0.2: put right");
  CHECK(f.observer.failures.empty());
  CHECK(f.look().violations.empty());
}

TEST_CASE("without a notification the audit finds that kube-ipvs0 was deleted (D1)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.delete_device(); });
  f.until([&] { return f.look().addresses.size() == 2; });
}

TEST_CASE("an address that was deleted is back as soon as the kernel reports it (D3)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.addresses.erase(ip("10.96.0.1")); });
  f.sync.vips_changed({&kLost, 1});
  f.until([&] { return f.look().addresses.size() == 2; });
  f.until_idle();
  CHECK(f.observer.drifts == std::vector<std::string>{"address"});
}

TEST_CASE("addresses that a change finds deleted are reported, before a check finds them (D3)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.addresses.clear(); });
  f.drop("a/web");
  f.until([&] { return f.look().addresses.size() == 1; });
  f.until_idle();
  CHECK(f.observer.drifts == std::vector<std::string>{"address"});
  CHECK(f.observer.drift_lines ==
        std::vector<std::string>{"VIPs of kube-ipvs0 that somebody else deleted or added: "
                                 "10.96.0.2: put right"});
}

TEST_CASE("an address that somebody else adds to kube-ipvs0 is removed (D3)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.addresses.insert(ip("192.0.2.7")); });
  const ipvs::VipEvent added{ip("192.0.2.7"), true};
  f.sync.vips_changed({&added, 1});
  f.until([&] { return !f.look().addresses.contains(ip("192.0.2.7")); });
  CHECK(f.look().addresses.size() == 2);
}

TEST_CASE("notifications of the agent's own changes start no check (D3)") {
  Fixture f;
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1"}));
  f.settle();
  f.sync.vips_changed({&kBound, 1});
  f.drop("a/web");
  f.until([&] { return f.look().addresses.empty(); });
  f.sync.vips_changed({&kLost, 1});
  f.run_what_is_ready();
  CHECK(address_readings(f) == 0);
}

TEST_CASE("a repair that fails is reported only when it is done (D3)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) {
    kernel.addresses.erase(ip("10.96.0.1"));
    kernel.fail_at(1, ENOMEM);
  });
  std::size_t drifts_at_failure = 99;
  f.observer.when_failed = [&] { drifts_at_failure = f.observer.drifts.size(); };
  f.sync.device_changed();
  f.until([&] { return f.look().addresses.size() == 2; });
  f.until_idle();
  CHECK(drifts_at_failure == 0);
  CHECK(f.observer.drifts == std::vector<std::string>{"address"});
}

TEST_CASE("a deleted kube-ipvs0 gets its addresses though they cannot be read (D1)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) {
    kernel.delete_device();
    kernel.addresses_error = ENOBUFS;
  });
  f.sync.device_changed();
  f.until([&] { return f.look().addresses.size() == 2; });
  CHECK(f.look().violations.empty());
  CHECK(f.observer.failures.size() == 1);  // that they cannot be read
}

TEST_CASE("addresses that the kernel reported are put right though they cannot be read (D3)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) {
    kernel.addresses.erase(ip("10.96.0.1"));
    kernel.addresses.insert(ip("192.0.2.7"));
    kernel.addresses_error = EPERM;
  });
  const ipvs::VipEvent events[] = {kLost, {ip("192.0.2.7"), true}};
  f.sync.vips_changed(events);
  f.until([&] {
    const auto held = f.look().addresses;
    return held.contains(ip("10.96.0.1")) && !held.contains(ip("192.0.2.7"));
  });
  f.until_idle();
  CHECK(f.observer.drifts == std::vector<std::string>{"address", "address"});
}

TEST_CASE("addresses that could not be read are read again, though nothing is reported (D3)") {
  Fixture f;
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.addresses_error = ENOMEM; });
  f.sync.device_changed();
  f.until([&] { return address_readings(f) > 3; });
  f.on_kernel([](auto& kernel) {
    kernel.addresses_error = 0;
    kernel.addresses.erase(ip("10.96.0.1"));
  });
  f.until([&] { return f.look().addresses.size() == 2; });
}

namespace {

SyncOptions often_counted() {
  SyncOptions options = quick();
  options.count_interval = 1ms;
  return options;
}

void serve_twenty(Fixture& f) {
  for (int i = 1; i <= 20; ++i) {
    const std::string vip = "10.96.0." + std::to_string(i);
    f.want("a/" + vip, plan_of(vip, {"10.244.0.1"}));
  }
  f.settle();
}

}  // namespace

TEST_CASE("a slice that cannot be read stays part of the comparison of all (D2)") {
  Fixture f(often_counted());
  serve_twenty(f);
  f.on_kernel([](auto& kernel) {
    while (kernel.servers.size() > 1) kernel.servers.erase(std::prev(kernel.servers.end()));
    kernel.readings_to_refuse = 3;
  });
  f.until([&] { return f.look().servers.size() == 20; });
  CHECK(f.look().readings_to_refuse == 0);
}

TEST_CASE("where no virtual server of IPv4 is left, none is read before all are made again (D2)") {
  Fixture f(often_counted());
  serve_twenty(f);
  f.on_kernel([](auto& kernel) {
    kernel.servers.clear();
    kernel.calls.clear();
  });
  f.until([&] { return f.look().servers.size() == 20; });
  const auto calls = f.look().calls;
  CHECK(std::count(calls.begin(), calls.end(), "read_servers") == 0);
  CHECK(std::count(calls.begin(), calls.end(), "change_servers") == 2);  // created, filled
}

TEST_CASE("two programs that repair each other's work slow down, and say so once (C5)") {
  SyncOptions options = quick();
  options.now = &TestClock::now;
  TestClock::ahead = {};
  Fixture f(options);
  serve(f);
  const auto lose = [&] {
    f.on_kernel([](auto& kernel) { kernel.addresses.erase(ip("10.96.0.1")); });
    f.sync.vips_changed({&kLost, 1});
  };
  for (std::size_t i = 1; i <= 5; ++i) {
    lose();
    f.until([&] { return f.observer.drifts.size() == i; });
  }
  CHECK(f.observer.drift_lines[4].find("again and again") != std::string::npos);
  lose();
  f.run_what_is_ready();
  CHECK(f.observer.drifts.size() == 5);
  CHECK_FALSE(f.look().addresses.contains(ip("10.96.0.1")));
  TestClock::ahead += 1s;
  f.sync.mark_dirty("a/web");  // wakes the loop, whose timer runs on the real clock
  f.until([&] { return f.observer.drifts.size() == 6; });
  CHECK(f.observer.drift_lines[5].empty());
}

TEST_CASE("an error of a check is reported once while it lasts (D1)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  serve(f);
  f.on_kernel([](auto& kernel) { kernel.addresses_error = ENOBUFS; });
  f.until([&] { return !f.observer.failures.empty(); });
  const std::size_t before = address_readings(f);
  f.until([&] { return address_readings(f) > before + 3; });
  REQUIRE(f.observer.failures.size() == 1);
  CHECK(f.observer.failures[0].what ==
        "checking the addresses of kube-ipvs0: reading the addresses of kube-ipvs0");
  CHECK(f.observer.failures[0].error_number == ENOBUFS);
}

namespace {

void delete_all_servers(Fixture& f) {
  f.on_kernel([](auto& kernel) { kernel.servers.clear(); });
}

bool is_complete(Fixture& f) {
  const auto kernel = f.look();
  return kernel.servers.size() == 2 &&
         std::all_of(kernel.servers.begin(), kernel.servers.end(),
                     [](const auto& each) { return each.second.destinations.size() == 1; });
}

}  // namespace

TEST_CASE("virtual servers that somebody else deleted are back after the next count (D2)") {
  SyncOptions options = quick();
  options.count_interval = 1ms;
  options.audit_slice = 1;
  Fixture f(options);
  SECTION("all of them") {
    serve(f);
    f.run_what_is_ready();
    delete_all_servers(f);
  }
  SECTION("those of IPv6, which nothing counts") {
    f.want("a/web", plan_of("fd00:10:96::1", {"fd00:10:244::1"}));
    f.want("a/api", plan_of("fd00:10:96::2", {"fd00:10:244::2"}));
    f.settle();
    delete_all_servers(f);
  }
  SECTION("one, for which somebody else added another") {
    serve(f);
    f.on_kernel([](auto& kernel) {
      kernel.servers.erase(kWeb);
      const ServerKey other{ip("198.51.100.9"), 80};
      kernel.servers[other] = {.settings = {.key = other, .scheduler = "rr"}};
    });
    f.sync.mark_dirty("a/web");  // the number is right: the audit, or the next change, finds it
    f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.3"}));
    f.until([&] { return f.look().servers.contains(kWeb); });
    return;
  }
  f.until([&] { return is_complete(f); });
}

TEST_CASE("what a comparison of all repairs is one line, however many slices it had (D2)") {
  SyncOptions options = quick();
  options.count_interval = 1ms;
  Fixture f(options);
  for (int i = 0; i < 3000; ++i) {
    const std::string vip = "10.96." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    f.want("a/" + vip, plan_of(vip, {"10.244.0.1"}));
  }
  f.settle();
  delete_all_servers(f);
  f.until([&] { return !f.observer.drift_lines.empty(); });
  f.until_idle();
  CHECK(f.look().servers.size() == 3000);
  CHECK(f.observer.drifts.size() == 3000);
  REQUIRE(f.observer.drift_lines.size() == 1);
  CHECK(f.observer.drift_lines[0].ends_with(
      " and 2997 more were deleted by somebody else: added again"));
}

TEST_CASE("the line of a repair says what somebody else did to a virtual server (D2)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  serve(f);
  SECTION("it was deleted") {
    f.on_kernel([](auto& kernel) { kernel.servers.erase(kWeb); });
    f.until([&] { return !f.observer.drift_lines.empty(); });
    CHECK(f.observer.drift_lines[0] ==
          "TCP 10.96.0.1:80 was deleted by somebody else: added again");
  }
  SECTION("it got another scheduler") {
    f.on_kernel([](auto& kernel) { kernel.servers.at(kWeb).settings.scheduler = "sh"; });
    f.until([&] { return !f.observer.drift_lines.empty(); });
    CHECK(f.observer.drift_lines[0] ==
          "the settings of TCP 10.96.0.1:80 were changed by somebody else: put right");
  }
  SECTION("it lost a destination") {
    f.on_kernel([](auto& kernel) { kernel.servers.at(kWeb).destinations.clear(); });
    f.until([&] { return !f.observer.drift_lines.empty(); });
    CHECK(f.observer.drift_lines[0] ==
          "the destinations of TCP 10.96.0.1:80 were changed by somebody else: put right");
    CHECK(f.observer.drifts == std::vector<std::string>{"destination"});
  }
}

TEST_CASE("where virtual servers are deleted again and again, comparisons become rarer (D2)") {
  SyncOptions options = quick();
  options.count_interval = 1ms;
  options.now = &TestClock::now;
  TestClock::ahead = {};
  Fixture f(options);
  serve(f);
  const auto lose = [&] { f.on_kernel([](auto& kernel) { kernel.servers.erase(kWeb); }); };
  for (std::size_t i = 1; i <= 5; ++i) {
    lose();
    f.until([&] { return f.observer.drifts.size() == i; });
  }
  CHECK(f.observer.drift_lines[4].find("again and again") != std::string::npos);
  f.until_idle();
  lose();
  // The count that was due before the fifth repair was reported may still come.
  std::this_thread::sleep_for(5ms);
  f.run_what_is_ready();
  const std::size_t counts = f.look().counts;
  std::this_thread::sleep_for(5ms);
  f.run_what_is_ready();
  CHECK(f.look().counts == counts);
  TestClock::ahead += 1s;
  f.sync.mark_dirty("a/web");  // wakes the loop, whose timer runs on the real clock
  f.until([&] { return f.look().servers.contains(kWeb); });
}

TEST_CASE("a virtual server that is missing when an endpoint is added brings all back (D2)") {
  Fixture f;
  serve(f);
  delete_all_servers(f);
  f.want("a/web", plan_of("10.96.0.1", {"10.244.0.1", "10.244.0.3"}));
  f.until([&] {
    const auto kernel = f.look();
    return kernel.servers.size() == 2 && kernel.servers.at(kWeb).destinations.size() == 2;
  });
  CHECK(f.look().violations.empty());
}

TEST_CASE("one virtual server of a slice that is wrong leads to a comparison of all (D2)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  options.audit_slice = 1;
  Fixture f(options);
  serve(f);
  f.on_kernel([](auto& kernel) {
    for (auto& [key, server] : kernel.servers) server.destinations.clear();
  });
  f.until([&] { return is_complete(f); });
}

TEST_CASE("what an audit reads does not grow with the destinations of a virtual server (D2)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  std::vector<std::string> endpoints;
  for (int i = 0; i < 5000; ++i) {
    endpoints.push_back("10.244." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250));
  }
  f.want("a/large", plan_of("10.96.0.1", endpoints));
  f.want("a/small", plan_of("10.96.0.2", {"10.245.0.1"}));
  f.settle();
  const std::size_t audits = f.look().audits;
  const std::size_t read = f.look().reads();
  f.until([&] { return f.look().audits >= audits + 44; });
  // Once in about ten, because ten times 512 are 5,000; and all the same it is found.
  CHECK(f.look().reads() - read >= 4);
  CHECK(f.look().reads() - read <= 10);
  f.on_kernel([](auto& kernel) { kernel.servers.at(kWeb).destinations.pop_back(); });
  f.until([&] { return f.look().servers.at(kWeb).destinations.size() == 5000; });
}

TEST_CASE("virtual servers of others lead to one comparison, not to one with each count (D2)") {
  SyncOptions options = quick();
  options.count_interval = 1ms;
  Fixture f(options);
  serve(f);
  f.until([&] { return f.look().counts > 0; });
  f.on_kernel([](auto& kernel) {
    const ServerKey other{ip("198.51.100.9"), 80};
    kernel.servers[other] = {.settings = {.key = other, .scheduler = "rr"}};
  });
  f.until([&] { return f.look().reads() == 1; });
  for (int i = 0; i < 20; ++i) f.step();
  CHECK(f.look().reads() == 1);
  CHECK(f.observer.drifts.empty());
}

TEST_CASE("sysctls and timeouts that somebody else changed are put right and reported (D4)") {
  SyncOptions options = quick();
  options.audit_interval = 1ms;
  Fixture f(options);
  serve(f);
  f.on_kernel([](auto& kernel) {
    kernel.changed_settings = {
        {"sysctl", "sysctl net/ipv4/vs/conntrack: 0 -> 1: put right"},
        {"timeout", "timeouts of IPVS, in seconds: tcp 5 -> 900: put right"}};
  });
  f.until([&] { return f.observer.drifts == std::vector<std::string>{"sysctl", "timeout"}; });
}

TEST_CASE("the table gets other rules when the Pod networks of the node change (D5)") {
  Fixture f;
  serve(f);
  const auto installs = [&] {
    const auto calls = f.look().calls;
    return std::count(calls.begin(), calls.end(), "install_table");
  };
  CHECK(installs() == 1);
  f.sync.table_rules_may_differ();
  f.run_what_is_ready();
  CHECK(installs() == 1);
  f.plans.rules.own_pods = {{ip("10.244.1.0"), 24}};
  f.sync.table_rules_may_differ();
  f.until([&] { return installs() == 2; });
  f.until_idle();
  CHECK(f.observer.drifts.empty());
}

}  // namespace agent
