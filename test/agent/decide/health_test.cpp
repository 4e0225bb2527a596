// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/health.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using agent::HealthInputs;
using agent::judge_health;
using namespace std::chrono_literals;

// A healthy node at 2026-11-20T10:11:12Z, a minute after its last sync.
HealthInputs well() {
  HealthInputs inputs;
  inputs.now = std::chrono::system_clock::time_point(std::chrono::seconds(1795169472));
  inputs.last_sync = inputs.now - 1min;
  return inputs;
}

}  // namespace

TEST_CASE("a healthy node answers 200 and was updated just now, as in kube-proxy") {
  const auto health = judge_health(well(), false);
  CHECK(health.healthy);
  CHECK(health.status == 200);
  CHECK(health.body ==
        R"({"lastUpdated": "2026-11-20T10:11:12Z","currentTime": "2026-11-20T10:11:12Z",)"
        R"("nodeEligible": true,"healthy": true,"reasons": []})"
        "\n");
}

TEST_CASE("livez does not show the node's eligibility and does not fail for it") {
  HealthInputs inputs = well();
  inputs.node_eligible = false;
  const auto live = judge_health(inputs, true);
  CHECK(live.status == 200);
  CHECK(live.body.find("nodeEligible") == std::string::npos);
  const auto ready = judge_health(inputs, false);
  CHECK(ready.status == 503);
  CHECK(ready.body.find(R"("nodeEligible": false,"healthy": false)") != std::string::npos);
}

TEST_CASE("a change may wait for the kernel for less than a minute") {
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

TEST_CASE("before the first sync the reason is that the source has no complete list") {
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

TEST_CASE("a port that cannot be opened is a reason, and its text is quoted as JSON") {
  HealthInputs inputs = well();
  inputs.bind_faults = {{"healthz", "cannot listen: \"in use\"\n"}, {"metrics", "back\\slash"}};
  const auto health = judge_health(inputs, true);
  CHECK(health.status == 503);
  CHECK(health.body.find(R"("reasons": ["healthz: cannot listen: \"in use\"\n",)"
                         R"("metrics: back\\slash"]})") != std::string::npos);
}
