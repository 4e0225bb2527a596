// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/health.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>

namespace {

using agent::HealthInputs;
using agent::HealthQuestion;
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
  const auto health = judge_health(well(), HealthQuestion::kHealthy);
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
  const auto live = judge_health(inputs, HealthQuestion::kAlive);
  CHECK(live.status == 200);
  CHECK(live.body.find("nodeEligible") == std::string::npos);
  const auto ready = judge_health(inputs, HealthQuestion::kHealthy);
  CHECK(ready.status == 503);
  CHECK(ready.body.find(R"("nodeEligible": false,"healthy": false)") != std::string::npos);
}

TEST_CASE("the kernel may refuse what no object is to blame for, for less than a minute (A1)") {
  HealthInputs inputs = well();
  inputs.refusal = "NEW_SERVICE TCP 10.96.0.1:80 scheduler rr: Operation not permitted";
  inputs.refused = 59s;
  CHECK(judge_health(inputs, HealthQuestion::kHealthy).healthy);
  inputs.refused = 60s;
  for (const auto question : {HealthQuestion::kServing, HealthQuestion::kHealthy}) {
    const auto health = judge_health(inputs, question);
    CHECK(health.status == 503);
    CHECK(health.body.find(R"("lastUpdated": "2026-11-20T10:10:12Z")") != std::string::npos);
    CHECK(health.body.find("\"reasons\": [\"the kernel has refused for 60 s: NEW_SERVICE TCP "
                           "10.96.0.1:80 scheduler rr: Operation not permitted\"]") !=
          std::string::npos);
  }
  CHECK(judge_health(inputs, HealthQuestion::kAlive).status == 200);
}

TEST_CASE("a missing table is the node's fault after a minute, and no reason to restart (A1)") {
  HealthInputs inputs = well();
  inputs.table_missing = 61s;
  const auto health = judge_health(inputs, HealthQuestion::kServing);
  CHECK(health.status == 503);
  CHECK(health.body.find("the nftables table kube-ipvs has been missing for 61 s") !=
        std::string::npos);
  CHECK(judge_health(inputs, HealthQuestion::kAlive).status == 200);
}

TEST_CASE("a kernel that does not return, or a loop that does not turn, ends liveness (A1)") {
  HealthInputs inputs = well();
  std::string reason;
  SECTION("the kernel") {
    inputs.kernel_silent = 119s;
    reason = "the kernel has not returned from a call for 120 s";
  }
  SECTION("the loop") {
    inputs.unpassed = 119s;
    reason = "a change has been waiting for the sync loop for 120 s";
  }
  CHECK(judge_health(inputs, HealthQuestion::kAlive).status == 200);
  CHECK(judge_health(inputs, HealthQuestion::kHealthy).status == 503);
  for (auto* time : {&inputs.kernel_silent, &inputs.unpassed}) {
    if (*time) *time = 120s;
  }
  const auto health = judge_health(inputs, HealthQuestion::kAlive);
  CHECK(health.status == 503);
  CHECK(health.body.find(reason) != std::string::npos);
}

TEST_CASE("before the first sync the reason is that the source has no complete list") {
  HealthInputs inputs = well();
  inputs.last_sync.reset();
  inputs.starting = 10s;
  CHECK(judge_health(inputs, HealthQuestion::kHealthy).healthy);
  inputs.starting = 75s;
  const auto health = judge_health(inputs, HealthQuestion::kHealthy);
  CHECK(health.status == 503);
  CHECK(health.body.find("no complete list from the source in 75 s") != std::string::npos);
  CHECK(health.body.find(R"("lastUpdated": "1970-01-01T00:00:00Z")") != std::string::npos);
  CHECK(judge_health(inputs, HealthQuestion::kAlive).status == 200);
  inputs.has_lists = true;
  CHECK(judge_health(inputs, HealthQuestion::kHealthy)
            .body.find("no complete table in the kernel in 75 s") != std::string::npos);
}

TEST_CASE("the text of a refusal is quoted as JSON") {
  HealthInputs inputs = well();
  inputs.refused = 60s;
  inputs.refusal = "\"in use\"\n back\\slash";
  CHECK(judge_health(inputs, HealthQuestion::kHealthy)
            .body.find(R"(60 s: \"in use\"\n back\\slash"]})") != std::string::npos);
}

TEST_CASE("health check ports do not ask whether the node is eligible") {
  HealthInputs inputs = well();
  inputs.node_eligible = false;
  CHECK(judge_health(inputs, HealthQuestion::kServing).status == 200);
}

TEST_CASE("readyz has no patience until the first time, and is then what healthz is (17.6)") {
  HealthInputs inputs = well();
  inputs.starting = 0s;
  inputs.awaited = "the end of the first pass";
  const auto early = judge_health(inputs, HealthQuestion::kReady);
  CHECK(early.status == 503);
  CHECK(early.body.find(R"("reasons": ["waiting for the end of the first pass"]})") !=
        std::string::npos);
  CHECK(judge_health(inputs, HealthQuestion::kHealthy).status == 200);
  inputs.awaited.clear();
  inputs.starting.reset();
  CHECK(judge_health(inputs, HealthQuestion::kReady).body ==
        judge_health(inputs, HealthQuestion::kHealthy).body);
  inputs.node_eligible = false;
  CHECK(judge_health(inputs, HealthQuestion::kReady).status == 503);
}
