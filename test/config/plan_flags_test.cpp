// SPDX-License-Identifier: Apache-2.0
//
// The flags of `kube-ipvs plan`, and short ones.
#include <catch2/catch_test_macros.hpp>

#include "config/compared.hpp"
#include "test/config/command_lines.hpp"

using namespace config;
using namespace config::test;

TEST_CASE("the command plan has forms, and flags of its own") {
  CHECK(good({"plan"}).plan);
  CHECK(good({"plan"}).plan_form == PlanForm::kSummary);
  CHECK(good({"plan", "-o", "nft"}).plan_form == PlanForm::kNft);
  CHECK(good({"plan", "-oip"}).plan_form == PlanForm::kIp);
  CHECK(good({"plan", "--output=ipvsadm", "--manifests=d"}).plan_form == PlanForm::kIpvsadm);
  CHECK(good({"plan", "--node-addresses=192.0.2.1,fd00::1"}).node_addresses.size() == 2);
  CHECK(good({"plan", "--against-kernel"}).against_kernel);
  CHECK(good({"--manifests=d", "plan", "--against-kernel"}).manifests == "d");
  CHECK_FALSE(good({}).plan);
  CHECK(run({"plan", "--unknown"}).is_plan);
  CHECK(faults({"plan", "-o", "xml"}) ==
        Lines{"--output: \"xml\" is not one of: summary, diff, ipvsadm, nft, ip, json"});
  CHECK(faults({"-o", "json"}) == Lines{"--output: belongs to \"kube-ipvs plan\""});
  CHECK(faults({"plan", "-o"}) == Lines{"--output: a value is missing"});
  CHECK(faults({"--compare-with=f"}) == Lines{"--compare-with: belongs to \"kube-ipvs plan\""});
  CHECK(faults({"cleanup", "--node-addresses=192.0.2.1"}).size() == 1);
  CHECK(faults({"plan", "--node-addresses=127.0.0.1,0.0.0.0"}) ==
        Lines{"--node-addresses: \"127.0.0.1\" cannot be a node's address",
              "--node-addresses: \"0.0.0.0\" cannot be a node's address"});
  CHECK(faults({"plan", "--node-addresses=node-1"}).size() == 1);
  CHECK(faults({"--against-kernel"}).size() == 1);
  CHECK(faults({"plan", "--against-kernel", "--dry-run"}).size() == 1);
  CHECK(faults({"plan", "--against-kernel", "--cleanup"}).size() == 1);
}

TEST_CASE("a plan prints one difference at a time") {
  CHECK(good({"plan", "-o=diff", "--against-kernel"}).plan_form == PlanForm::kDiff);
  CHECK(good({"plan", "-o=diff", "--compare-with=f"}).compare_with == "f");
  CHECK(faults({"plan", "-o=nft", "--against-kernel"}) ==
        Lines{"--against-kernel: prints a difference: cannot be combined with -o nft"});
  CHECK(faults({"plan", "-o=json", "--compare-with=f"}) ==
        Lines{"--compare-with: prints a difference: cannot be combined with -o json"});
  CHECK(faults({"plan", "--against-kernel", "--compare-with=f"}).size() == 1);
  CHECK(faults({"plan", "-o=diff", "--node-addresses=192.0.2.1"}) ==
        Lines{"--node-addresses: the kernel of this host is compared: it has its own"});
  CHECK(good({"plan", "-o=diff", "--node-addresses=192.0.2.1", "--compare-with=f"}).plan);
}

TEST_CASE("a flag with one dash missing is not taken for a short one") {
  CHECK(faults({"-one-output"}) == Lines{"unknown flag: -one-output; did you mean --one-output?"});
  CHECK(faults({"-vmodule=a=1"}) == Lines{"unknown flag: -vmodule; did you mean --vmodule?"});
  CHECK(good({"-v=2"}).verbosity == 2);
  CHECK(good({"-v3"}).verbosity == 3);
  CHECK(good({"-v", "4"}).verbosity == 4);
}

TEST_CASE(
    "settings to compare with are those of their file, for the same objects and the same node") {
  Environment environment = node_a();
  environment.load_file = [](const std::string& path) {
    return load_yaml_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n"
        "ipvs: {scheduler: lc}\nclientConnection: {kubeconfig: /var/lib/kube-proxy/k.conf}\n",
        path);
  };
  const Config config =
      good({"plan", "--manifests=d", "--compare-with=f", "--ipvs-scheduler=sh", "--masquerade-all",
            "--hostname-override=n", "--node-addresses=192.0.2.1,192.0.2.2",
            "--service-cluster-ip-range=10.1.0.0/16,fd00::/112"},
           environment);
  const ParseOutcome other = parse_compared(config, "kube-ipvs", environment);
  for (const Fault& fault : other.faults) UNSCOPED_INFO(fault.text());
  REQUIRE(other.config);
  CHECK(other.config->ipvs_scheduler == "lc");
  CHECK_FALSE(other.config->masquerade_all);
  CHECK(other.config->manifests == "d");
  CHECK(other.config->kubeconfig.empty());
  CHECK(other.config->node_name == "n");
  CHECK(other.config->service_cluster_ip_range == config.service_cluster_ip_range);
  CHECK(other.config->node_addresses == config.node_addresses);
  environment.load_file = [](const std::string& path) { return load_yaml_text("kind: [", path); };
  CHECK_FALSE(parse_compared(config, "kube-ipvs", environment).faults.empty());
}
