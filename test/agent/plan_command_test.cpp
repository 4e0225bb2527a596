// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_command.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

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

config::Config config_of(const Manifests& manifests) {
  config::Config config;
  config.manifests = manifests.path();
  config.node_name = "node";
  config.node_addresses = {boost::asio::ip::make_address("192.0.2.1")};
  config.plan = true;
  return config;
}

// What goes to standard output meanwhile.
class Printed {
 public:
  Printed() : file_(std::tmpfile()) {
    std::fflush(stdout);
    before_ = ::dup(STDOUT_FILENO);
    ::dup2(::fileno(file_), STDOUT_FILENO);
  }
  std::string text() {
    restore();
    std::rewind(file_);
    std::string text;
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) text += static_cast<char>(c);
    return text;
  }
  ~Printed() {
    restore();
    std::fclose(file_);
  }
  Printed(const Printed&) = delete;
  Printed& operator=(const Printed&) = delete;

 private:
  void restore() {
    if (before_ < 0) return;
    std::fflush(stdout);
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
    before_ = -1;
  }
  std::FILE* file_;
  int before_ = -1;
};

struct Ended {
  int code = 0;
  std::string text{};
};

// A kernel of which nothing can be read but the addresses.
Ended plan(const config::Config& config,
           std::function<config::ParseOutcome()> load_compared = nullptr) {
  fake::FakeKernel kernel;
  kernel.observe_error = 1;  // EPERM
  Printed printed;
  const int code = agent::run_plan({.config = config,
                                    .kernel = kernel,
                                    .load_compared = std::move(load_compared),
                                    .timeout = 20s});
  return {code, printed.text()};
}

}  // namespace

TEST_CASE("a plan says whether a start would change anything, and changes nothing") {
  const Manifests manifests;
  fake::FakeKernel kernel;
  config::Config config;
  config.manifests = manifests.path();
  config.node_name = "node";
  config.plan_form = config::PlanForm::kDiff;
  CHECK(agent::run_plan({.config = config, .kernel = kernel}) == agent::kDifference);
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
  config.against_kernel = true;
  CHECK(agent::run_plan({.config = config, .kernel = kernel, .timeout = 1h}) == agent::kNoPlan);
}

TEST_CASE("a plan without complete lists is none") {
  fake::FakeKernel kernel;
  config::Config config;
  config.manifests = "/nonexistent";
  config.node_name = "node";
  CHECK(agent::run_plan({.config = config, .kernel = kernel, .timeout = 50ms}) == agent::kNoPlan);
}

TEST_CASE("without rights a plan is printed as text for ipvsadm, ip and nft") {
  const Manifests manifests;
  config::Config config = config_of(manifests);
  config.plan_form = config::PlanForm::kIpvsadm;
  CHECK(plan(config).text ==
        "-A -t 10.96.0.1:80 -s rr\n-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1\n");
  config.plan_form = config::PlanForm::kIp;
  CHECK(plan(config).text.ends_with("\naddress add 10.96.0.1/32 dev kube-ipvs0 scope host\n"));
  config.plan_form = config::PlanForm::kNft;
  const Ended table = plan(config);
  CHECK(table.code == agent::kNoDifference);
  CHECK(table.text.find("elements = { 10.96.0.1 . tcp . 80 }") != std::string::npos);
  CHECK(table.text.find("elements = { 192.0.2.1 }") != std::string::npos);
}

TEST_CASE("without a form a plan is a summary of each Service") {
  const Manifests manifests;
  CHECK(plan(config_of(manifests)).text ==
        "default/web  ClusterIP\n"
        "  clusterIP  TCP 10.96.0.1:80  rr, 1 endpoint\n"
        "  endpoint   10.244.0.1:8080   default/web-1 serving\n");
}

TEST_CASE("the endpoints of a plan are all there, in whichever order they are added") {
  const Manifests manifests;
  for (const char* number : {"2", "3", "4", "5"}) {
    std::string pod = kManifest;
    pod.erase(0, pod.find("---"));
    for (const char* text : {"web-1", "10.244.0.1", "10.244.0.1"}) {
      const std::size_t at = pod.find(text);
      pod.replace(at + std::string(text).size() - 1, 1, number);
    }
    manifests.write(std::string(number) + ".yaml", pod);
  }
  const std::string text = plan(config_of(manifests)).text;
  CHECK(text.find("rr, 5 endpoints") != std::string::npos);
  CHECK(text.find("pending") == std::string::npos);
}

TEST_CASE("a plan is compared with a saved one, and with that of other settings") {
  const Manifests manifests;
  config::Config config = config_of(manifests);
  config.plan_form = config::PlanForm::kJson;
  const Ended saved = plan(config);
  CHECK(saved.code == agent::kNoDifference);
  const fake::TemporaryFolder files;
  config.plan_form = config::PlanForm::kSummary;
  config.compare_with = files.write("saved.json", saved.text);
  CHECK(plan(config).text == "no difference\n");
  CHECK(plan(config).code == agent::kNoDifference);

  const std::string difference = "TCP 10.96.0.1:80 (Service default/web)\n  scheduler rr -> lc\n";
  config.ipvs_scheduler = "lc";
  const Ended from_saved = plan(config);
  CHECK(from_saved.code == agent::kDifference);
  CHECK(from_saved.text == difference);

  config.compare_with = files.write("other.yaml", "ipvs: {scheduler: rr}");
  const auto load = [&] {
    config::ParseOutcome outcome;
    outcome.config = config_of(manifests);
    return outcome;
  };
  const Ended from_settings = plan(config, load);
  CHECK(from_settings.code == agent::kDifference);
  CHECK(from_settings.text == difference);
}

TEST_CASE("there is no comparison with what cannot be read") {
  const Manifests manifests;
  config::Config config = config_of(manifests);
  const fake::TemporaryFolder files;
  config.compare_with = files.path("nothing");
  CHECK(plan(config).code == agent::kNoPlan);
  config.compare_with =
      files.write("bad.json", R"({"kind": "Plan", "apiVersion": "kube-ipvs.io/v9"})");
  CHECK(plan(config).code == agent::kNoPlan);
  config.compare_with = files.write("bad.yaml", "kind: [");
  const auto load = [] {
    config::ParseOutcome outcome;
    outcome.faults = {{"bad.yaml", "no YAML"}};
    return outcome;
  };
  const Ended ended = plan(config, load);
  CHECK(ended.code == agent::kNoPlan);
  CHECK(ended.text.empty());
}
