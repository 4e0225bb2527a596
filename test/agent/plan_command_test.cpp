// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_command.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test/fake/fake_kernel.hpp"
#include "test/fake/temporary_folder.hpp"

namespace {

using namespace std::chrono_literals;

constexpr const char* kManifest = R"(apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web}}
status:
  podIP: 10.244.0.1
  podIPs: [{ip: 10.244.0.1}]
  phase: Running
  conditions: [{type: Ready, status: "True"}]
)";

class Manifests : public fake::TemporaryFolder {
 public:
  Manifests() { write("web.yaml", kManifest); }
};

}  // namespace

TEST_CASE("a plan says whether a start would change anything, and changes nothing") {
  const Manifests manifests;
  fake::FakeKernel kernel;
  config::Config config;
  config.manifests = manifests.path();
  config.node_name = "node";
  CHECK(agent::plan_against_kernel(config, kernel, std::nullopt, 20s) == agent::kDifference);
  CHECK(kernel.servers.empty());
  CHECK(kernel.addresses.empty());
  CHECK_FALSE(kernel.table_present);
}

TEST_CASE("where nothing of the kernel can be read there is no plan, and no waiting (17.2)") {
  const Manifests manifests;
  fake::FakeKernel kernel;
  kernel.observe_error = 1;  // EPERM
  config::Config config;
  config.manifests = manifests.path();
  config.node_name = "node";
  CHECK(agent::plan_against_kernel(config, kernel, std::nullopt, 1h) == agent::kNoPlan);
}

TEST_CASE("a plan without complete lists is none") {
  fake::FakeKernel kernel;
  config::Config config;
  config.manifests = "/nonexistent";
  config.node_name = "node";
  CHECK(agent::plan_against_kernel(config, kernel, std::nullopt, 50ms) == agent::kNoPlan);
}
