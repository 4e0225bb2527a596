// SPDX-License-Identifier: Apache-2.0
//
// How long a single change waits while thousands of objects change: counted in operations of the
// kernel between the event and its own.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "test/agent/sync/sync_fixture.hpp"

namespace {

using namespace agent::test;

constexpr int kMany = 2000;
// Of operations, from the call of the kernel under way to the end of a pass that must not be empty: a
// transaction of elements, and four steps of virtual servers.
constexpr std::size_t kMostBefore = 512 + 4 * 128;

std::string vip_of(int n) {
  return "10.97." + std::to_string(n / 200) + "." + std::to_string(1 + n % 200);
}

std::string name_of(int n) { return "many/svc-" + std::to_string(n); }

std::vector<std::string> pods_of(int n) {
  return {"10.244." + std::to_string(n / 200) + "." + std::to_string(1 + n % 200),
          "10.245." + std::to_string(n / 200) + "." + std::to_string(1 + n % 200)};
}

void want_many(SyncFixture& f) {
  for (int n = 0; n < kMany; ++n) f.want(name_of(n), plan_of(vip_of(n), pods_of(n)));
}

void drop_many(SyncFixture& f) {
  for (int n = 0; n < kMany; ++n) f.drop(name_of(n));
}

constexpr const char* kNewPod = "NEW_DEST TCP 10.96.0.1:80 10.244.99.9:8080 w1";

// The single change: a Pod becomes an endpoint of another Service.
void add_pod(SyncFixture& f) {
  f.want("default/web", plan_of("10.96.0.1", {"10.244.99.1", "10.244.99.9"}));
}

struct Wait {
  std::size_t operations = 0;  // between the event and the new endpoint
  std::size_t rest = 0;        // after it
};

// `begin` changes thousands of objects; the event comes after `after` of its operations.
template <typename Begin>
Wait wait_of_pod(SyncFixture& f, std::size_t after, Begin begin) {
  f.interrupt_kernel(after, [&] { add_pod(f); });
  const std::size_t logged = f.look().log.size();
  begin();
  f.until_idle();
  const RecordingKernel kernel = f.look();
  REQUIRE(kernel.violations.empty());
  const auto found = std::find(kernel.log.begin(), kernel.log.end(), kNewPod);
  REQUIRE(found != kernel.log.end());
  const auto place = static_cast<std::size_t>(found - kernel.log.begin());
  return {.operations = place - logged - after, .rest = kernel.log.size() - place};
}

}  // namespace

TEST_CASE("a Pod's change does not wait for a namespace of 2,000 Services that goes") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.99.1"}));
  want_many(f);
  f.settle();
  REQUIRE(f.look().servers.size() == kMany + 1);
  for (const std::size_t after : {std::size_t{100}, std::size_t{1500}, std::size_t{3000}}) {
    SECTION("after " + std::to_string(after) + " operations") {
      const Wait wait = wait_of_pod(f, after, [&] { drop_many(f); });
      CHECK(wait.operations < kMostBefore);
      CHECK(wait.rest > kMany);
      const RecordingKernel kernel = f.look();
      CHECK(kernel.servers.size() == 1);
      CHECK(kernel.addresses.size() == 1);
      CHECK(kernel.elements.size() == 2);
    }
  }
}

TEST_CASE("a Pod's change does not wait for a namespace of 2,000 Services that comes") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.99.1"}));
  f.settle();
  for (const std::size_t after : {std::size_t{100}, std::size_t{3000}, std::size_t{6000}}) {
    SECTION("after " + std::to_string(after) + " operations") {
      const Wait wait = wait_of_pod(f, after, [&] { want_many(f); });
      CHECK(wait.operations < kMostBefore);
      CHECK(wait.rest > kMany);
      const RecordingKernel kernel = f.look();
      CHECK(kernel.servers.size() == kMany + 1);
      CHECK(kernel.addresses.size() == kMany + 1);
      CHECK(kernel.elements.size() == 2 * (kMany + 1));
    }
  }
}

TEST_CASE("a Pod's change does not wait for the rest of the first pass") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.99.1"}));
  want_many(f);
  const Wait wait = wait_of_pod(f, 1000, [&] { f.sync.sources_ready(); });
  CHECK(wait.operations < kMostBefore);
  CHECK(wait.rest > kMany);
  // It is one pass all the same, reported when all is done.
  REQUIRE_FALSE(f.observer.passes.empty());
  CHECK(f.observer.passes.front().first);
  CHECK(f.observer.passes.front().held_addresses == kMany + 1);
}

TEST_CASE("a Pod's change does not wait for 2,000 Services that lose an endpoint") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.99.1"}));
  want_many(f);
  f.settle();
  const Wait wait = wait_of_pod(f, 500, [&] {
    for (int n = 0; n < kMany; ++n) f.want(name_of(n), plan_of(vip_of(n), {pods_of(n).front()}));
  });
  CHECK(wait.operations < kMostBefore);
  for (const auto& [key, server] : f.look().servers) {
    if (key != kWeb) CHECK(server.destinations.size() == 1);
  }
}

TEST_CASE("of a Service that goes and comes back while it is put off, the last state counts") {
  SyncFixture f;
  want_many(f);
  f.settle();
  f.interrupt_kernel(200,
                     [&] { f.want(name_of(kMany - 1), plan_of(vip_of(kMany - 1), {"10.9.9.9"})); });
  drop_many(f);
  f.until_idle();
  const RecordingKernel kernel = f.look();
  REQUIRE(kernel.violations.empty());
  REQUIRE(kernel.servers.size() == 1);
  CHECK(kernel.servers.begin()->second.destinations.front().endpoint.address == ip("10.9.9.9"));
  CHECK(kernel.addresses == std::set<ipvs::Address>{ip(vip_of(kMany - 1))});
  CHECK(kernel.elements.size() == 2);
}

TEST_CASE("a virtual IP that passes from a Service of thousands to another is never unbound") {
  SyncFixture f;
  want_many(f);
  f.settle();
  // Its name comes last, and its claim is granted only after the other Service has gone.
  drop_many(f);
  f.want("zzz/next", plan_of(vip_of(0), {"10.9.9.9"}));
  f.until_idle();
  const RecordingKernel kernel = f.look();
  CHECK(kernel.servers.size() == 1);
  CHECK(std::count(kernel.log.begin(), kernel.log.end(), "unbind " + vip_of(0)) == 0);
  CHECK(f.observer.conflicts.empty());
}
