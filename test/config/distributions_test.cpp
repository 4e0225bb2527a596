// SPDX-License-Identifier: Apache-2.0
//
// The command lines and files that distributions start kube-proxy with (test/distributions): each is
// accepted as it is, and means what it says.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "config/parse.hpp"

namespace {

using namespace config;
using Lines = std::vector<std::string>;

const std::string kRoot = std::string(KUBE_IPVS_SOURCE_DIR) + "/test/distributions/";

Lines command_of(const std::string& distribution) {
  std::ifstream file(kRoot + distribution + "/command");
  Lines words;
  for (std::string word; std::getline(file, word);) {
    const std::size_t place = word.find("$(NODE_NAME)");
    if (place != std::string::npos) word.replace(place, 12, "node");
    words.push_back(word);
  }
  REQUIRE_FALSE(words.empty());
  return words;
}

Config started_as(const std::string& distribution) {
  std::vector<const char*> argv;
  const Lines words = command_of(distribution);
  for (const std::string& word : words) argv.push_back(word.c_str());
  const Environment environment{.host_name = "ip-10-0-0-1",
                                .load_file = [&](const std::string& path) {
                                  return load_yaml_file(kRoot + distribution + "/root" + path);
                                }};
  const ParseOutcome outcome = parse(static_cast<int>(argv.size()), argv.data(), environment);
  for (const Fault& fault : outcome.faults) UNSCOPED_INFO(fault.text());
  REQUIRE(outcome.config);
  return *outcome.config;
}

bool mentions(const Lines& warnings, const std::string& what) {
  return std::any_of(warnings.begin(), warnings.end(), [&](const std::string& warning) {
    return warning.find(what) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("what a distribution starts kube-proxy with is accepted as it is (18.3)") {
  const std::string distribution =
      GENERATE("kubeadm", "kubespray", "kubekey", "sealos", "typhoon", "k3s", "rke2", "eks");
  CAPTURE(distribution);
  const Config config = started_as(distribution);
  CHECK(config.as_kube_proxy);
  CHECK(config.endpoint_source == EndpointSource::kEndpointSlice);
  CHECK(config.node_name == "node");
  CHECK(config.ipvs_scheduler == "rr");
  CHECK(config.kubeconfig.starts_with("/"));
  CHECK(config.healthz_bind->port == 10256);
  CHECK(config.metrics_bind->port == 10249);
  for (const std::string& warning : config.warnings) UNSCOPED_INFO(warning);
  // None writes a value that has no effect and is not kube-proxy's default.
  CHECK(config.warnings.size() == (distribution == "rke2" ? 1 : 0));
}

TEST_CASE("what distributions set has the effect that it has in kube-proxy (18.3)") {
  CHECK(started_as("kubeadm").warnings.empty());
  CHECK(started_as("typhoon").warnings.empty());
  CHECK(started_as("typhoon").metrics_bind->address.is_unspecified());
  CHECK(started_as("sealos").metrics_bind->address.is_unspecified());
  CHECK(started_as("sealos").ipvs_exclude_cidrs.size() == 1);
  CHECK(started_as("kubekey").ipvs_strict_arp);
  CHECK(started_as("kubekey").ipvs_exclude_cidrs.size() == 1);  // host bits do not matter
  CHECK(started_as("kubespray").conntrack_max_per_core == 32768);
  CHECK(started_as("kubespray").oom_score_adj == -999);
  CHECK(started_as("k3s").conntrack_max_per_core == 0);
  CHECK(started_as("k3s").conntrack_tcp_close_wait == 0);
  CHECK(started_as("k3s").healthz_bind->address.is_loopback());
  CHECK(mentions(started_as("rke2").warnings, "\"iptables\" is a mode of kube-proxy"));
  CHECK(started_as("eks").verbosity == 2);
  CHECK(started_as("eks").kube_api_qps == 5);
  CHECK(started_as("eks").kube_api_burst == 10);
  CHECK(started_as("kubeadm").kube_api_qps == 0);
  CHECK(started_as("eks").cluster_cidrs.empty());
}
