// SPDX-License-Identifier: Apache-2.0
#include "config/difference.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <utility>

#include "config/options.hpp"
#include "test/config/config_text.hpp"

namespace {

using namespace config;

Config read(const std::string& text) {
  const ParseOutcome outcome =
      parse_file_text("apiVersion: kube-ipvs.io/v1alpha1\nkind: KubeIpvsConfiguration\n" + text,
                      "file", {.host_name = "node-a"});
  for (const Fault& fault : outcome.faults) UNSCOPED_INFO(fault.text());
  REQUIRE(outcome.config.has_value());
  return *outcome.config;
}

std::string key_of(const Option& option) {
  return std::string(option.own_key.empty() ? option.key : option.own_key);
}

// "a.b" with the value, as YAML.
std::string line(const std::string& key, const std::string& value) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return key + ": " + value + "\n";
  return key.substr(0, dot) + ":\n  " + key.substr(dot + 1) + ": " + value + "\n";
}

// For each key another value than the default.
const std::map<std::string, std::string> kOther = {
    {"kubeconfig", "/k"},
    {"master", "https://a"},
    {"manifests", "/m"},
    {"hostnameOverride", "b"},
    {"endpointSource", "selector"},
    {"serviceProxyName", "other"},
    {"compat", "kube-proxy"},
    {"ipvs.scheduler", "lc"},
    {"ipvs.strictARP", "true"},
    {"ipvs.excludeCIDRs", "[10.0.0.0/8, fd00::/64]"},
    {"ipvs.tcpTimeout", "10m"},
    {"ipvs.tcpFinTimeout", "1m30s"},
    {"ipvs.udpTimeout", "5m"},
    {"ipvs.syncPeriod", "1m"},
    {"ipvs.minSyncPeriod", "250ms"},
    {"vipBinding", "route"},
    {"masqueradeAll", "true"},
    {"masqueradeBit", "3"},
    {"clusterCIDR", "10.244.0.0/16,fd00:244::/56"},
    {"nodePortAddresses", "[192.168.0.0/16]"},
    {"forwardAccept", "true"},
    {"takeover", "report"},
    {"bindAddress", "192.0.2.1"},
    {"conntrack.maxPerCore", "1"},
    {"conntrack.min", "2"},
    {"conntrack.tcpEstablishedTimeout", "2h"},
    {"conntrack.tcpCloseWaitTimeout", "2m"},
    {"conntrack.tcpBeLiberal", "true"},
    {"conntrack.udpTimeout", "40s"},
    {"conntrack.udpStreamTimeout", "3m"},
    {"reserveNodePorts", "true"},
    {"oomScoreAdj", "-5"},
    {"dnsBindAddress", "\"10.0.0.1,[fd00::1]:5353\""},
    {"clusterDomain", "example.org"},
    {"dnsUpstream", "[192.0.2.1, 192.0.2.2:5353]"},
    {"metricsBindAddress", "0.0.0.0:10249"},
    {"healthzBindAddress", "\"\""},
    {"bindAddressHardFail", "true"},
    {"logFormat", "json"},
    {"verbosity", "4"},
    {"vmodule", "[{filePattern: planner, verbosity: 4}]"},
    {"enableProfiling", "true"},
    {"metricsEndpoints", "all"},
    {"detectLocalMode", "NodeCIDR"},
    {"detectLocal.bridgeInterface", "cni0"},
    {"detectLocal.interfaceNamePrefix", "cali"},
    {"clientConnection.qps", "50"},
    {"clientConnection.burst", "7"},
    {"clientConnection.contentType", "application/json"},
    {"clientConnection.acceptContentTypes", "application/json"},
    {"featureGates", "{A: true}"},
    {"showHiddenMetricsForVersion", "\"1.36\""},
    {"runDir", "/r"},
    {"apiSocket", "/s"},
    {"apiSocketGroup", "ops"},
};
// Those that change nothing without others, or are all alike.
bool has_one_value(const std::string& key) {
  return key == "mode" || key == "serviceClusterIPRange" || key == "serviceNodePortRange";
}

TEST_CASE("every option with a key says whether it may change while the agent runs (18.2)") {
  for (const Option& option : options()) {
    INFO(option.flag);
    CHECK(option.live.has_value() == (!option.key.empty() || !option.own_key.empty()));
  }
}

TEST_CASE("equal settings have no difference") {
  CHECK(difference(read(""), read("ipvs:\n  scheduler: rr\n  tcpTimeout: 0s\n")).empty());
  CHECK(
      difference(read("ipvs:\n  tcpTimeout: 15m\n"), read("ipvs:\n  tcpTimeout: 900s\n")).empty());
}

TEST_CASE("each option's change is found, and a live one is taken over with nothing else (18.2)") {
  const Config before = read("");
  for (const Option& option : options()) {
    if (!option.live || has_one_value(key_of(option))) continue;
    INFO(option.flag);
    REQUIRE(kOther.contains(key_of(option)));
    const Config after = read(line(key_of(option), kOther.at(key_of(option))));
    Difference found = difference(before, after);
    const bool live =
        *option.live && (option.needs_restart == nullptr || !option.needs_restart(before, after));
    auto& changes = live ? found.live : found.restart;
    REQUIRE(!changes.empty());
    const auto* change = &changes.front();
    for (const auto& each : changes) {
      if (each.option == &option) change = &each;
    }
    CHECK(change->option == &option);
    CHECK(change->text() == key_of(option) + ": " +
                                (change->before.empty() ? "\"\"" : change->before) + " -> " +
                                (change->after.empty() ? "\"\"" : change->after));
    const Config next = with_live(before, after);
    CHECK((option.get(next) == option.get(after)) == live);
    CHECK(difference(next, after).live.empty());
    CHECK(difference(before, next).restart.empty());
    CHECK(with_live(next, before) == before);
  }
}

TEST_CASE(
    "the addresses of the DNS server change while it runs, and whether there is one does not") {
  const Config off = read("");
  const Config one = read("dnsBindAddress: 127.0.0.1\n");
  const Config two = read("dnsBindAddress: [127.0.0.1, \"[::1]:5353\"]\n");
  CHECK(text(difference(one, two).live) ==
        "dnsBindAddress: 127.0.0.1:53 -> 127.0.0.1:53,[::1]:5353");
  CHECK(difference(one, two).restart.empty());
  for (const auto& [before, after] : {std::pair{off, one}, std::pair{two, off}}) {
    CHECK(difference(before, after).live.empty());
    CHECK(difference(before, after).restart.size() == 1);
  }
}

TEST_CASE("what follows from a changed option is a change of its own") {
  const Difference found = difference(read(""), read("compat: kube-proxy\n"));
  CHECK(text(found.live) == "compat: none -> kube-proxy, forwardAccept: false -> true");
  CHECK(found.has({"ipvs-scheduler", "compat"}));
  CHECK_FALSE(found.has({"ipvs-scheduler"}));
}

TEST_CASE("a disabled address is shown as an empty text") {
  const Difference found = difference(read(""), read("metricsBindAddress: \"\"\n"));
  CHECK(text(found.live) == "metricsBindAddress: 127.0.0.1:10249 -> \"\"");
}

TEST_CASE("a list that becomes empty is taken over") {
  const Config before = read("nodePortAddresses: [primary]\nipvs:\n  excludeCIDRs: [10.0.0.0/8]\n");
  const Config next = with_live(before, read(""));
  CHECK_FALSE(next.nodeport_addresses_primary);
  CHECK(next.ipvs_exclude_cidrs.empty());
}

TEST_CASE("the name of the node stays, whatever the file says") {
  const Config next =
      with_live(read(""), read("hostnameOverride: other\nipvs:\n  scheduler: lc\n"));
  CHECK(next.node_name == "node-a");
  CHECK(next.ipvs_scheduler == "lc");
}

}  // namespace
