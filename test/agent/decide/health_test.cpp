// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/health.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using agent::HealthInputs;
using agent::judge_health;
using namespace std::chrono_literals;

// 2026-11-20T10:11:12Z, of a node on which all is well since a minute.
HealthInputs well() {
  HealthInputs inputs;
  inputs.now = std::chrono::system_clock::time_point(std::chrono::seconds(1795169472));
  inputs.last_sync = inputs.now - 1min;
  return inputs;
}

}  // namespace

TEST_CASE("all is well: 200, updated just now, as kube-proxy says it") {
  const auto health = judge_health(well(), false);
  CHECK(health.healthy);
  CHECK(health.status == 200);
  CHECK(health.body ==
        R"({"lastUpdated": "2026-11-20T10:11:12Z","currentTime": "2026-11-20T10:11:12Z",)"
        R"("nodeEligible": true,"healthy": true,"reasons": []})"
        "\n");
}

TEST_CASE("livez says nothing of the node's eligibility and does not fail for it") {
  HealthInputs inputs = well();
  inputs.node_eligible = false;
  const auto live = judge_health(inputs, true);
  CHECK(live.status == 200);
  CHECK(live.body.find("nodeEligible") == std::string::npos);
  const auto ready = judge_health(inputs, false);
  CHECK(ready.status == 503);
  CHECK(ready.body.find(R"("nodeEligible": false,"healthy": false)") != std::string::npos);
}

TEST_CASE("a change may wait for the kernel for a minute, and no longer") {
  HealthInputs inputs = well();
  inputs.failing_keys = 3;
  inputs.waiting = 59s;
  CHECK(judge_health(inputs, false).healthy);
  inputs.waiting = 60s;
  for (const bool livez : {false, true}) {
    const auto health = judge_health(inputs, livez);
    CHECK(health.status == 503);
    CHECK(health.body.find(R"("lastUpdated": "2026-11-20T10:10:12Z")") != std::string::npos);
    CHECK(health.body.find("\"reasons\": [\"a change has been waiting for the kernel for 60 s "
                           "(3 objects failing)\"]") != std::string::npos);
  }
}

TEST_CASE("before the first sync it is the source that is waited for") {
  HealthInputs inputs = well();
  inputs.last_sync.reset();
  inputs.waiting = 10s;
  CHECK(judge_health(inputs, false).healthy);
  inputs.waiting = 75s;
  const auto health = judge_health(inputs, false);
  CHECK(health.status == 503);
  CHECK(health.body.find("no complete list from the source in 75 s") != std::string::npos);
  CHECK(health.body.find(R"("lastUpdated": "1970-01-01T00:00:00Z")") != std::string::npos);
}

TEST_CASE("an address that cannot be listened on is a reason, and its text cannot break the JSON") {
  HealthInputs inputs = well();
  inputs.bind_faults = {{"healthz", "cannot listen: \"in use\"\n"}, {"metrics", "back\\slash"}};
  const auto health = judge_health(inputs, true);
  CHECK(health.status == 503);
  CHECK(health.body.find(R"("reasons": ["healthz: cannot listen: \"in use\"\n",)"
                         R"("metrics: back\\slash"]})") != std::string::npos);
}
