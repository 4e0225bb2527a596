// SPDX-License-Identifier: Apache-2.0
//
// What somebody else changes in the kernel, from the notification or the audit that finds it until
// it is repaired and reported.
#include <catch2/catch_test_macros.hpp>

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

}  // namespace agent
