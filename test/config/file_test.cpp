// SPDX-License-Identifier: Apache-2.0
//
// The file of --config, of both kinds.
#include "config/file.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "config/parse.hpp"
#include "config/values.hpp"
#include "test/config/config_text.hpp"

namespace {

using namespace config;
using Lines = std::vector<std::string>;

const std::string kOurs = "apiVersion: kube-ipvs.io/v1alpha1\nkind: KubeIpvsConfiguration\n";
const std::string kProxys =
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

Environment node_a() {
  Environment environment;
  environment.host_name = "node-a";
  return environment;
}

Config good(const std::string& text) {
  ParseOutcome outcome = parse_file_text(text, "f", node_a());
  for (const Fault& fault : outcome.faults) UNSCOPED_INFO(fault.text());
  REQUIRE(outcome.config.has_value());
  return *outcome.config;
}

Lines faults(const std::string& text) {
  Lines out;
  for (const Fault& fault : parse_file_text(text, "f", node_a()).faults)
    out.push_back(fault.text());
  return out;
}

Config defaults() {
  Config config;
  config.node_name = "node-a";
  return config;
}

// The file that kubeadm writes for kube-proxy.
const char* const kKubeadm = R"(
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: true
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ipvs
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
)";

}  // namespace

TEST_CASE("a file with only its kind has every value at its default") {
  CHECK(good(kOurs) == defaults());
  CHECK(good(kProxys) == defaults());
}

TEST_CASE("the file that kubeadm writes for kube-proxy works unchanged, without a warning") {
  Config expected = defaults();
  expected.kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf";
  expected.cluster_cidrs = {*parse_network("10.244.0.0/16")};
  expected.ipvs_strict_arp = true;
  CHECK(good(kKubeadm) == expected);
}

TEST_CASE("in kube-proxy's kind of file, unknown keys and keys that do nothing here are warnings") {
  const Config config =
      good(kProxys +
           "conntrack: {min: 131072}\nipvs: {syncPeriod: 20s, excludeCIDRs: [10.1.0.0/8]}\n"
           "oomScoreAdj: -999\ndetectLocalMode: ClusterCIDR\nschedular: rr\nmanifests: /m\n"
           "configSyncPeriod: 30s\n");
  CHECK(
      config.warnings ==
      Lines{"f:7:1: schedular: unknown key; ignored",
            "f:8:1: manifests: unknown key in this kind of file: it is a key of "
            "KubeIpvsConfiguration; ignored",
            "f:9:1: configSyncPeriod: ignored: there is no periodic resync: changes are applied as "
            "they arrive"});
  CHECK(config.manifests.empty());
  CHECK(config.conntrack_min == 131072);
  CHECK(config.oom_score_adj == -999);
  CHECK(config.ipvs_exclude_cidrs == std::vector<config::Network>{*parse_network("10.0.0.0/8")});
}

TEST_CASE("an invalid value is a fault in kube-proxy's kind of file too") {
  CHECK(faults(kProxys + "mode: userspace\nipvs:\n  tcpTimeout: 5\n") ==
        Lines{"f:3:7: mode: \"userspace\" is not one of: ipvs, iptables, nftables",
              "f:5:15: ipvs.tcpTimeout: \"5\" has no unit: write for example 900s, 15m or 1h30m"});
}

TEST_CASE("logging.vmodule is a list of files and levels, as in kube-proxy's kind of file (18.4)") {
  const std::vector<FileVerbosity> wanted{{"sync_*", 4}, {"app", 2}};
  CHECK(good(kProxys + "logging:\n  vmodule:\n  - filePattern: sync_*\n    verbosity: 4\n"
                       "  - {verbosity: 2, filePattern: app}\n")
            .vmodule == wanted);
  CHECK(good(kProxys + "logging: {vmodule: null}\n").vmodule.empty());
  CHECK(good(kOurs + "vmodule: sync_*=4,app=2\n").vmodule == wanted);
  CHECK(good(kOurs + "vmodule: [sync_*=4, app=2]\n").vmodule == wanted);
  const std::string form = "an item must be a map of filePattern and verbosity, one value each";
  CHECK(faults(kProxys + "logging:\n  vmodule:\n  - {filePattern: a, level: 4}\n") ==
        Lines{"f:5:22: logging.vmodule: " + form});
  CHECK(faults(kProxys + "logging:\n  vmodule:\n  - {filePattern: [a], verbosity: 4}\n") ==
        Lines{"f:5:6: logging.vmodule: " + form});
  CHECK(faults(kProxys + "logging:\n  vmodule:\n  - {filePattern: a}\n").size() == 1);
  CHECK(faults(kProxys + "logging:\n  vmodule:\n  - {filePattern: a, verbosity: x}\n").size() == 1);
  CHECK(faults(kProxys + "logging:\n  vmodule:\n  - [a]\n") ==
        Lines{"f:5:5: logging.vmodule: must be a list of plain values"});
}

TEST_CASE("enableProfiling opens the path that changes the log's level (18.4)") {
  CHECK(good(kProxys + "enableProfiling: true\n").profiling);
  CHECK_FALSE(good(kProxys + "enableProfiling: false\n").profiling);
  CHECK(good(kProxys + "enableProfiling: true\n").warnings.empty());
}

TEST_CASE("our kind of file has kube-proxy's structure and keys of its own") {
  const Config config = good(
      kOurs +
      "ipvs: {scheduler: wlc, udpTimeout: 90s}\n"
      "iptables: {masqueradeBit: 3}\nlogging: {verbosity: 4}\n"
      "masqueradeAll: true\nnodePortAddresses: [10.0.0.0/8, \"fd00::/8\"]\n"
      "clusterCIDR: 10.244.0.0/16,fd00:1::/56\nmetricsBindAddress: \"\"\n"
      "vipBinding: route\nendpointSource: endpointslice\nmanifests: /m\n"
      "serviceClusterIPRange: [10.9.0.0/16]\nserviceNodePortRange: 1000-2000\nlogFormat: json\n");
  CHECK(config.ipvs_scheduler == "wlc");
  CHECK(config.ipvs_udp_timeout == 90);
  CHECK(config.masquerade_mark == 8);
  CHECK(config.masquerade_all);
  CHECK(config.verbosity == 4);
  CHECK(config.nodeport_addresses.size() == 2);
  CHECK(config.cluster_cidrs.size() == 2);
  CHECK_FALSE(config.metrics_bind.has_value());
  CHECK(config.vip_binding == VipBinding::kRoute);
  CHECK(config.endpoint_source == EndpointSource::kEndpointSlice);
  CHECK(config.manifests == "/m");
  CHECK(text(config.service_cluster_ip_range.at(0)) == "10.9.0.0/16");
  CHECK(config.node_port_last == 2000);
  CHECK(config.log_format == LogFormat::kJson);
}

TEST_CASE("every fault of a file is reported with its position and the nearest known key") {
  CHECK(faults(kOurs + R"(ipvs:
  schedular: lc
  scheduler: lcc
  strictARP: yes
masqueradeAll: true
iptables: {masqueradeAll: false, masqueradeBit: "14"}
clusterCIDR: [10.0.0.0/8, nope, {a: b}]
metricsBindAddress: {a: b}
featureGates: {A: [true]}
vipBinding: [route]
logging: text
)") == Lines{"f:4:3: ipvs.schedular: unknown key: did you mean \"scheduler\"?",
             "f:6:14: ipvs.strictARP: must be true or false, not \"yes\"",
             "f:8:12: iptables.masqueradeAll: already set at f:7:16",
             "f:8:49: iptables.masqueradeBit: must be a number without quotes, not \"14\"",
             "f:9:33: clusterCIDR: must be a list of plain values",
             "f:10:21: metricsBindAddress: must be one value, not a map",
             "f:11:19: featureGates: must be a map of plain values",
             "f:12:13: vipBinding: must be one value, not a list",
             "f:13:10: logging: must be a map of keys",
             "f:5:14: ipvs.scheduler: \"lcc\" is not an IPVS scheduler; known: rr, wrr, lc, wlc, "
             "sh, mh, dh, sed, nq, fo, ovf, lblc, lblcr, twos; did you mean \"lc\"?",
             "f:9:27: clusterCIDR: \"nope\" is not a network such as 10.0.0.0/8 or fd00::/64"});
}

TEST_CASE("the fields of a KubeProxyConfiguration that name the API client are obeyed (18.2)") {
  const Config config = good(
      kProxys +
      "clientConnection: {qps: 2.5, burst: 7, contentType: application/vnd.kubernetes.protobuf,"
      " acceptContentTypes: \"application/json,application/vnd.kubernetes.protobuf\"}\n"
      "featureGates: {AllAlpha: false, EndpointSlice: false}\n"
      "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n"
      "nodePortAddresses: [primary, localhost, 10.0.0.0/8]\n");
  CHECK(config.kube_api_qps == 2.5);
  CHECK(config.kube_api_burst == 7);
  CHECK(config.prefers_json);
  CHECK(config.feature_gates == Lines{"AllAlpha=false", "EndpointSlice=false"});
  CHECK(config.detect_local_mode == LocalMode::kNamePrefix);
  CHECK(config.pod_interface_name_prefix == "veth");
  CHECK(config.nodeport_addresses_localhost);
  CHECK(config.warnings == Lines{"f:4:48: featureGates: the gate \"EndpointSlice\" cannot be "
                                 "turned off in kube-ipvs: ignored"});
}

TEST_CASE("what does nothing here has kube-proxy's type all the same (18.2)") {
  CHECK(faults(kProxys + "configSyncPeriod: 5\nnftables: {masqueradeAll: 1, syncPeriod: [1s]}\n"
                         "enableProfiling: {a: b}\nwinkernel: {enableDSR: \"true\"}\n") ==
        Lines{"f:3:19: configSyncPeriod: \"5\" has no unit: write for example 900s, 15m or 1h30m",
              "f:4:27: nftables.masqueradeAll: must be true or false, not \"1\"",
              "f:4:42: nftables.syncPeriod: must be one value, not a list",
              "f:5:18: enableProfiling: must be true or false, not a map",
              "f:6:24: winkernel.enableDSR: must be true or false, not \"true\""});
}

TEST_CASE("a text with control characters is refused") {
  CHECK(faults(kOurs + "kubeconfig: \"a\\0b\"\n") ==
        Lines{"f:3:13: kubeconfig: must not contain control characters"});
}

TEST_CASE("numbers and booleans that only YAML 1.1 allows are refused") {
  CHECK(faults(kOurs + "verbosity: 0x2\n").size() == 1);
  CHECK(good(kOurs + "verbosity: 010\n").verbosity == 10);
  CHECK(faults(kOurs + "masqueradeAll: on\n").size() == 1);
  CHECK(faults(kOurs + "masqueradeAll: \"true\"\n").size() == 1);
  CHECK(good(kOurs + "masqueradeAll: True\n").masquerade_all);
}

TEST_CASE("a file of no known kind is refused with the known kinds") {
  CHECK(faults("a: b\n") == Lines{"f:1:1: must have \"apiVersion: kube-ipvs.io/v1alpha1\" with "
                                  "\"kind: KubeIpvsConfiguration\" or "
                                  "\"apiVersion: kubeproxy.config.k8s.io/v1alpha1\" with \"kind: "
                                  "KubeProxyConfiguration\", but has neither"});
  CHECK(faults("apiVersion: v1\nkind: [x]\n")
            .at(0)
            .ends_with("but has \"apiVersion: v1\" with \"kind: \""));
  CHECK(faults("- a\n") == Lines{"f:1:1: the file must be a map of keys"});
  CHECK(faults("# nothing\n") == Lines{"f: is empty: apiVersion and kind are required"});
}

TEST_CASE("broken YAML is a fault of the file") {
  CHECK(faults(kOurs + "mode: \"ipvs\n").at(0).find("a quoted string is not closed") !=
        std::string::npos);
}

TEST_CASE("a file that kube-proxy took is taken, with one warning for what was done (G)") {
  const Config config = good(kProxys +
                             "ipvs: &i {scheduler: lc, scheduler: wrr, tcpTimeout: 500ms}\n"
                             "iptables: {<<: {masqueradeAll: true}}\nmode: iptables\nmode: ipvs\n"
                             "clusterCIDR: 010.244.0.0/16\n---\nkind: [\n");
  CHECK(config.ipvs_scheduler == "wrr");
  CHECK(config.masquerade_all);
  CHECK(config.ipvs_tcp_timeout == 1);
  CHECK(text(config.cluster_cidrs.at(0)) == "10.244.0.0/16");
  CHECK(config.warnings ==
        Lines{"f:3:26: duplicate key \"scheduler\": the last one counts",
              "f:6:1: duplicate key \"mode\": the last one counts",
              "f:8:1: a second document (---): ignored, the first one counts",
              "f:3:54: ipvs.tcpTimeout: 500ms is not a whole number of seconds: 1s is used"});
}

TEST_CASE("every duration that Go reads is taken or brought within our limits (G)") {
  const auto sync = [](const std::string& value) {
    return good(kProxys + "ipvs: {syncPeriod: " + value + "}\n");
  };
  CHECK(sync("500ms").sync_period == std::chrono::seconds(1));
  CHECK(sync("500ms").warnings.at(0) ==
        "f:3:20: ipvs.syncPeriod: 500ms is not a whole number of seconds: 1s is used");
  CHECK(sync("24h0m0s").sync_period == std::chrono::hours(1));
  CHECK(sync("24h0m0s").warnings.at(0) ==
        "f:3:20: ipvs.syncPeriod: 24h0m0s is more than 1h: 1h is used");
  CHECK(sync("1h30m").sync_period == std::chrono::hours(1));
  CHECK(sync("0s").sync_period == std::chrono::seconds(30));
  CHECK(sync("1m0s").warnings.empty());
  CHECK(faults(kProxys + "ipvs: {syncPeriod: -1s}\n") ==
        Lines{"f:3:20: ipvs.syncPeriod: must not be negative: 0s or more"});
}

TEST_CASE("positions are counted from the start of the file, not of the document") {
  CHECK(faults("# a\n# b\n---\n" + kOurs + "x: 1\n") == Lines{"f:6:1: x: unknown key"});
}

TEST_CASE("flags win over the file, lists as a whole, and faults of both are reported") {
  Environment environment = node_a();
  std::string text =
      kOurs +
      "ipvs: {scheduler: lc, strictARP: true}\nnodePortAddresses: [10.0.0.0/8]\nverbosity: 3\n";
  environment.load_file = [&text](const std::string& path) { return load_yaml_text(text, path); };
  const std::vector<const char*> argv = {"kube-ipvs", "--config=f", "--ipvs-scheduler=sh",
                                         "--nodeport-addresses=primary", "--ipvs-strict-arp=false"};
  const auto run = [&] { return parse(static_cast<int>(argv.size()), argv.data(), environment); };
  const ParseOutcome outcome = run();
  REQUIRE(outcome.config.has_value());
  CHECK(outcome.config->ipvs_scheduler == "sh");
  CHECK_FALSE(outcome.config->ipvs_strict_arp);
  CHECK(outcome.config->nodeport_addresses.empty());
  CHECK(outcome.config->nodeport_addresses_primary);
  CHECK(outcome.config->verbosity == 3);

  text = kOurs + "ipvs: {scheduler: nope}\nhostnameOverride: a_b\n";
  const ParseOutcome bad = run();
  REQUIRE(bad.faults.size() == 2);
  CHECK(bad.faults[0].where == "f:3:19");
  CHECK(bad.faults[1].where == "f:4:19");
}

TEST_CASE("a missing file is a fault") {
  const std::vector<const char*> argv = {"kube-ipvs", "--config", "/does/not/exist.yaml"};
  const ParseOutcome outcome = parse(3, argv.data(), node_a());
  REQUIRE(outcome.faults.size() == 1);
  CHECK(outcome.faults[0].text() ==
        "/does/not/exist.yaml: cannot be opened: No such file or directory");
}

TEST_CASE("the example file has every key with its default") {
  std::ifstream file(KUBE_IPVS_SOURCE_DIR "/examples/kube-ipvs.yaml");
  REQUIRE(file.is_open());
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(good(text) == defaults());
  const YamlFile yaml = load_yaml_text(text, "example");
  const YAML::Node& root = yaml.documents.at(0).root;
  for (const Option& option : options()) {
    const std::string key(option.own_key.empty() ? option.key : option.own_key);
    if (key.empty()) continue;
    CAPTURE(key);
    const std::size_t dot = key.find('.');
    const YAML::Node node =
        dot == std::string::npos ? root[key] : root[key.substr(0, dot)][key.substr(dot + 1)];
    CHECK(node.IsDefined());
  }
}

TEST_CASE("a Config written as a file is read back unchanged") {
  const auto network = [](bool v4, int least, int most) {
    const auto length = static_cast<std::uint8_t>(*rc::gen::inRange(least, most + 1));
    if (v4)
      return make_network(boost::asio::ip::address_v4(*rc::gen::arbitrary<std::uint32_t>()),
                          length);
    auto bytes = *rc::gen::arbitrary<boost::asio::ip::address_v6::bytes_type>();
    bytes[0] = 0xfd;
    return make_network(boost::asio::ip::address_v6(bytes), length);
  };
  REQUIRE(rc::check("config -> YAML -> config", [&network] {
    Config config;
    config.node_name = "node-a";
    config.kubeconfig = *rc::gen::container<std::string>(rc::gen::inRange<char>(' ', 127));
    config.ipvs_scheduler = std::string(*rc::gen::elementOf(
        std::vector<std::string_view>(known_schedulers().begin(), known_schedulers().end())));
    config.ipvs_strict_arp = *rc::gen::arbitrary<bool>();
    config.ipvs_tcp_timeout = *rc::gen::inRange(0u, 2147484u);
    config.ipvs_udp_timeout = *rc::gen::inRange(0u, 2147484u);
    config.min_sync_period = std::chrono::milliseconds(*rc::gen::inRange(0, 3'600'001));
    config.vip_binding =
        *rc::gen::element(VipBinding::kAuto, VipBinding::kAddress, VipBinding::kRoute);
    config.endpoint_source = *rc::gen::element(EndpointSource::kAuto, EndpointSource::kSelector,
                                               EndpointSource::kEndpointSlice);
    config.compat = *rc::gen::element(Compat::kNone, Compat::kKubeProxy);
    config.sync_period = std::chrono::seconds(*rc::gen::inRange(1, 3601));
    config.service_proxy_name = *rc::gen::element<std::string>("", "edge", "a b");
    config.log_format = *rc::gen::element(LogFormat::kText, LogFormat::kJson);
    config.masquerade_all = *rc::gen::arbitrary<bool>();
    config.forward_accept = *rc::gen::arbitrary<bool>();
    config.takeover = *rc::gen::element(Takeover::kAuto, Takeover::kReport, Takeover::kOff);
    config.metrics_endpoints = *rc::gen::element(
        MetricsEndpoints::kOff, MetricsEndpoints::kAnnotated, MetricsEndpoints::kAll);
    config.masquerade_mark = 1u << *rc::gen::inRange(0, 32);
    if (*rc::gen::arbitrary<bool>()) config.cluster_cidrs.push_back(network(true, 0, 32));
    if (*rc::gen::arbitrary<bool>()) config.cluster_cidrs.push_back(network(false, 0, 128));
    config.nodeport_addresses_primary = *rc::gen::arbitrary<bool>();
    config.nodeport_addresses_localhost = *rc::gen::arbitrary<bool>();
    config.nodeport_addresses_all = *rc::gen::arbitrary<bool>();
    config.kube_api_qps = *rc::gen::inRange(1, 1000) / 8.0;
    config.kube_api_burst = *rc::gen::inRange(0u, 100u);
    config.prefers_json = *rc::gen::arbitrary<bool>();
    if (config.prefers_json) config.kube_api_accept_content_types = "application/json";
    config.feature_gates = *rc::gen::element(
        std::vector<std::string>{}, std::vector<std::string>{"AllBeta=true", "IPv6DualStack=true"});
    config.show_hidden_metrics_for_version = *rc::gen::element<std::string>("", "1.36");
    config.detect_local_mode = *rc::gen::element(LocalMode::kClusterCidr, LocalMode::kNodeCidr,
                                                 LocalMode::kBridge, LocalMode::kNamePrefix);
    if (config.detect_local_mode == LocalMode::kBridge) config.pod_bridge_interface = "cni0";
    if (config.detect_local_mode == LocalMode::kNamePrefix)
      config.pod_interface_name_prefix = "cali";
    const int count = *rc::gen::inRange(0, 5);
    for (int i = 0; i < count; ++i) config.nodeport_addresses.push_back(network(i % 2 == 0, 0, 32));
    if (*rc::gen::arbitrary<bool>()) {
      config.dns_binds = {{boost::asio::ip::address_v4::loopback(), 53},
                          {boost::asio::ip::address_v6::loopback(), 5353}};
      config.dns_upstreams = {{boost::asio::ip::address_v4(0xC0000201), 53}};
      config.cluster_domain = *rc::gen::element<std::string>("cluster.local", "k8s.example.org");
    }
    if (*rc::gen::arbitrary<bool>()) config.metrics_bind.reset();
    if (*rc::gen::arbitrary<bool>()) config.healthz_bind.reset();
    config.verbosity = *rc::gen::inRange(0, 11);
    config.profiling = *rc::gen::arbitrary<bool>();
    if (*rc::gen::arbitrary<bool>()) config.vmodule = {{"sync_*", config.verbosity}, {"app", 2}};
    const ParseOutcome outcome = parse_file_text(to_yaml(config), "f", node_a());
    for (const Fault& fault : outcome.faults) RC_LOG() << fault.text() << "\n";
    RC_ASSERT(outcome.config.has_value());
    RC_ASSERT(*outcome.config == config);
  }));
}
