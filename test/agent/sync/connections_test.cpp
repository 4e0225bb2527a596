// SPDX-License-Identifier: Apache-2.0
//
// Connections that drain or are cut, as the sync loop counts them.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <map>

#include "test/agent/sync/sync_fixture.hpp"

namespace {

using namespace agent::test;
using agent::CutCause;
using Cut = std::map<CutCause, std::uint64_t>;

void connect(SyncFixture& f, const std::string& pod, std::uint32_t count) {
  f.on_kernel([&](RecordingKernel& kernel) {
    kernel.active_connections[{kWeb, {ip(pod), 8080}}] = count;
  });
}

}  // namespace

TEST_CASE(
    "connections that end while their Pod drains are not cut, those of a Pod that is gone are") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.1.1", "10.244.1.2", "10.244.1.3"}));
  f.settle();
  connect(f, "10.244.1.1", 5);
  connect(f, "10.244.1.2", 3);
  f.plans.drainable.insert(ip("10.244.1.1"));
  f.want("default/web", plan_of("10.96.0.1", {"10.244.1.2", "10.244.1.3"}));
  f.until_idle();
  CHECK(f.sync.draining() ==
        std::map<Owner, agent::DrainingConnections::Draining>{{"default/web", {1, 5}}});
  connect(f, "10.244.1.1", 0);
  f.until([&] { return f.sync.draining().empty(); });
  CHECK(f.observer.drained == 5);
  CHECK(f.observer.cut == Cut{});

  f.want("default/web", plan_of("10.96.0.1", {"10.244.1.3"}));
  f.until_idle();
  CHECK(f.observer.cut == Cut{{CutCause::kPodGone, 3}});
}

TEST_CASE("the connections of a deleted Service are cut, and counted as its own") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.1.1"}));
  f.settle();
  connect(f, "10.244.1.1", 2);
  f.drop("default/web");
  f.until_idle();
  CHECK(f.observer.cut == Cut{{CutCause::kServiceDeleted, 2}});
}

TEST_CASE("a change that deletes and drains nothing reads no connections") {
  SyncFixture f;
  f.want("default/web", plan_of("10.96.0.1", {"10.244.1.1"}));
  f.settle();
  f.want("default/web", plan_of("10.96.0.1", {"10.244.1.1", "10.244.1.2"}));
  f.until_idle();
  CHECK(f.look().reads() == 0);
}
