// SPDX-License-Identifier: Apache-2.0
//
// The command line and its values. The file: file_test.cpp.
#include "config/parse.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "config/options.hpp"
#include "config/values.hpp"
#include "config/write.hpp"
#include "test/config/command_lines.hpp"

using namespace config;
using namespace config::test;

TEST_CASE("without flags every value is its default") {
  Config expected;
  expected.node_name = "node-a";
  CHECK(good({}) == expected);
}

TEST_CASE("a flag's value follows = or is the next word") {
  CHECK(good({"--ipvs-scheduler=lc"}).ipvs_scheduler == "lc");
  CHECK(good({"--ipvs-scheduler", "lc"}).ipvs_scheduler == "lc");
  CHECK(good({"--kubeconfig=/a=b"}).kubeconfig == "/a=b");
  CHECK(good({"--master", "--x"}).master == "--x");
  CHECK(good({"--hostname_override=b"}).node_name == "b");
}

TEST_CASE("an empty value is a value; the next word is not used instead") {
  const Config config = good({"--metrics-bind-address=", "--healthz-bind-address", "", "--v=2"});
  CHECK_FALSE(config.metrics_bind.has_value());
  CHECK_FALSE(config.healthz_bind.has_value());
  CHECK(config.verbosity == 2);
}

TEST_CASE("a switch without a value is on, and its value can only follow =") {
  CHECK(good({"--masquerade-all"}).masquerade_all);
  CHECK(good({"--masquerade-all=true", "--cleanup=1"}).cleanup);
  CHECK_FALSE(good({"--masquerade-all", "--masquerade-all=false"}).masquerade_all);
  CHECK(faults({"--masquerade-all=maybe"}) ==
        Lines{"--masquerade-all: \"maybe\" is neither true nor false"});
  CHECK(faults({"--masquerade-all="}) == Lines{"--masquerade-all: \"\" is neither true nor false"});
}

TEST_CASE("verbosity is accepted in all forms that Go programs accept") {
  for (const char* word : {"-v=3", "--v=3", "-v3"}) CHECK(good({word}).verbosity == 3);
  CHECK(good({"-v", "3"}).verbosity == 3);
  CHECK(good({"--v", "3"}).verbosity == 3);
  CHECK(good({"-v=11"}).verbosity == 10);  // as klog does
  CHECK(faults({"-v=-1"}).size() == 1);
  CHECK(faults({"-v"}) == Lines{"--v: a value is missing"});
}

TEST_CASE("the last value of a repeated flag counts, and lists are joined") {
  CHECK(good({"--ipvs-scheduler=lc", "--ipvs-scheduler=sh"}).ipvs_scheduler == "sh");
  const Config config =
      good({"--nodeport-addresses=10.0.0.0/8, 10.1.0.0/16", "--nodeport-addresses", "fd00::/8"});
  REQUIRE(config.nodeport_addresses.size() == 3);
  CHECK(text(config.nodeport_addresses[2]) == "fd00::/8");
  CHECK(good({"--cluster-cidr="}).cluster_cidrs.empty());
}

TEST_CASE("every flag of our own and of kube-proxy sets its value in the Config") {
  const Config config = good({"--kubeconfig=k",
                              "--master=https://10.0.0.1",
                              "--ipvs-strict-arp",
                              "--ipvs-tcp-timeout=1h30m",
                              "--ipvs-tcpfin-timeout=900s",
                              "--ipvs-udp-timeout=5m",
                              "--ipvs-min-sync-period=250ms",
                              "--vip-binding=route",
                              "--endpoint-source=endpointslice",
                              "--iptables-masquerade-bit=31",
                              "--cluster-cidr=10.244.0.0/16,fd00::/56",
                              "--bind-address=10.0.0.7",
                              "--metrics-bind-address=0.0.0.0",
                              "--healthz-bind-address=[::]:0",
                              "--bind-address-hard-fail",
                              "--log-format=json",
                              "--proxy-mode=ipvs",
                              "--compat=kube-proxy",
                              "--forward-accept",
                              "--takeover=report",
                              "--metrics-endpoints=all",
                              "--run-dir=/run/other",
                              "--service-proxy-name=edge",
                              "--ipvs-sync-period=10s"});
  CHECK(config.compat == Compat::kKubeProxy);
  CHECK(config.forward_accept);
  CHECK(config.takeover == Takeover::kReport);
  CHECK(config.metrics_endpoints == MetricsEndpoints::kAll);
  CHECK(config.run_dir == "/run/other");
  CHECK(config.service_proxy_name == "edge");
  CHECK(config.sync_period == std::chrono::seconds(10));
  CHECK(config.kubeconfig == "k");
  CHECK(config.master == "https://10.0.0.1");
  CHECK(config.ipvs_strict_arp);
  CHECK(config.ipvs_tcp_timeout == 5400);
  CHECK(config.ipvs_tcp_fin_timeout == 900);
  CHECK(config.ipvs_udp_timeout == 300);
  CHECK(config.min_sync_period == std::chrono::milliseconds(250));
  CHECK(config.vip_binding == VipBinding::kRoute);
  CHECK(config.endpoint_source == EndpointSource::kEndpointSlice);
  CHECK(config.masquerade_mark == 0x80000000);
  CHECK(config.cluster_cidrs.size() == 2);
  CHECK(config.bind_address.to_string() == "10.0.0.7");
  CHECK(text(*config.metrics_bind) == "0.0.0.0:10249");
  CHECK(text(*config.healthz_bind) == "[::]:0");
  CHECK(config.bind_address_hard_fail);
  CHECK(config.log_format == LogFormat::kJson);
  CHECK(config.warnings.empty());
}

TEST_CASE("the flag --logging-format is kube-proxy's name for --log-format") {
  CHECK(good({"--logging-format=json"}).log_format == LogFormat::kJson);
}

TEST_CASE("an unknown flag is reported with the nearest known one") {
  CHECK(faults({"--ipvs-schedular=rr"}) ==
        Lines{"unknown flag: --ipvs-schedular; did you mean --ipvs-scheduler?"});
  CHECK(faults({"-config", "x"}) == Lines{"unknown flag: -config; did you mean --config?"});
  CHECK(faults({"--quux", "value"}) == Lines{"unknown flag: --quux; see --help"});
}

TEST_CASE("every fault of a command line is reported") {
  CHECK(
      faults({"--quux", "--ipvs-scheduler=x", "--v=x", "--vip-binding=y",
              "--cluster-cidr=z,10.0.0.0/8", "--master"}) ==
      Lines{
          "--master: a value is missing", "unknown flag: --quux; see --help",
          "--ipvs-scheduler: \"x\" is not an IPVS scheduler; known: rr, wrr, lc, wlc, sh, mh, dh, "
          "sed, nq, fo, ovf, lblc, lblcr, twos",
          "--vip-binding: \"y\" is not one of: auto, address, route",
          "--cluster-cidr: \"z\" is not a network such as 10.0.0.0/8 or fd00::/64",
          "--v: \"x\" is not a number from 0 to 2147483647"});
}

TEST_CASE("flags of kube-proxy that do nothing here are accepted with one warning each") {
  const Config config =
      good({"--config-sync-period=30s", "--log-flush-frequency=1s", "--oom-score-adj", "-999",
            "--conntrack-max-per-core=0", "--udp-timeout=1s", "--log_dir=/x", "--alsologtostderr"});
  REQUIRE(config.warnings.size() == 5);
  CHECK(config.warnings[0] ==
        "--config-sync-period: ignored: there is no periodic resync: changes are applied as they "
        "arrive");
  CHECK(good({"--log-flush-frequency=5s", "--logtostderr"}).warnings.empty());
}

TEST_CASE("another mode of kube-proxy is refused") {
  // What distributions start kube-proxy with is no reason to refuse.
  for (const std::string mode : {"iptables", "nftables"}) {
    CHECK(good({("--proxy-mode=" + mode).c_str()}).warnings ==
          Lines{"--proxy-mode: \"" + mode +
                "\" is a mode of kube-proxy: Services are served with IPVS"});
  }
  CHECK(faults({"--proxy-mode=userspace"}) ==
        Lines{"--proxy-mode: \"userspace\" is not one of: ipvs, iptables, nftables"});
  good({"--proxy-mode="});
}

TEST_CASE("timeouts are brought to what the kernel accepts, with a warning (G)") {
  CHECK(faults({"--ipvs-tcp-timeout=-1s"}) ==
        Lines{"--ipvs-tcp-timeout: must not be negative: 0s or more"});
  const Config longest = good({"--ipvs-udp-timeout=2147484s"});
  CHECK(longest.ipvs_udp_timeout == 2147483);
  CHECK(longest.warnings == Lines{"--ipvs-udp-timeout: 2147484s is more than the kernel's limit: "
                                  "596h31m23s is used"});
  CHECK(good({"--ipvs-udp-timeout=2147483s"}).warnings.empty());
  CHECK(good({"--ipvs-tcpfin-timeout=1500ms"}).ipvs_tcp_fin_timeout == 2);
  CHECK(good({"--ipvs-sync-period=500ms"}).sync_period == std::chrono::seconds(1));
  CHECK(good({"--ipvs-sync-period=61m"}).sync_period == std::chrono::hours(1));
  CHECK(faults({"--ipvs-sync-period=-1s"}) ==
        Lines{"--ipvs-sync-period: must not be negative: 0s or more"});
  CHECK(good({"--ipvs-sync-period=0s"}).sync_period == std::chrono::seconds(30));
  CHECK(faults({"--ipvs-min-sync-period=-5s"}) ==
        Lines{"--ipvs-min-sync-period: must not be negative: 0s or more"});
  CHECK(good({"--ipvs-min-sync-period=61m"}).min_sync_period == std::chrono::hours(1));
}

TEST_CASE("the deprecated ports of the listeners count where an address has none (G)") {
  const Config both = good({"--healthz-port=11256", "--metrics-port", "11249"});
  CHECK(text(*both.healthz_bind) == "0.0.0.0:11256");
  CHECK(text(*both.metrics_bind) == "127.0.0.1:11249");
  CHECK(both.warnings == Lines{"--metrics-port: deprecated: use --metrics-bind-address",
                               "--healthz-port: deprecated: use --healthz-bind-address"});
  CHECK(text(*good({"--healthz-port=1", "--healthz-bind-address=10.0.0.1"}).healthz_bind) ==
        "10.0.0.1:1");
  CHECK(text(*good({"--healthz-port=1", "--healthz-bind-address=[fd00::1]"}).healthz_bind) ==
        "[fd00::1]:1");
  const Config given = good({"--healthz-port=1", "--healthz-bind-address=10.0.0.1:2"});
  CHECK(text(*given.healthz_bind) == "10.0.0.1:2");
  CHECK(given.warnings.back() ==
        "--healthz-port: ignored: --healthz-bind-address has a port already");
  CHECK_FALSE(good({"--healthz-port=0"}).healthz_bind);
  CHECK_FALSE(good({"--metrics-port=0", "--metrics-bind-address=10.0.0.1:2"}).metrics_bind);
  CHECK(text(*good({"--bind-address=::", "--healthz-port=1"}).healthz_bind) == "[::]:1");
  CHECK(faults({"--healthz-port=x"}).size() == 1);
}

TEST_CASE("flags that do one thing and exit need no node name (G)") {
  Environment unfit = node_a();
  unfit.host_name = "My_Host";
  CHECK(good({"--cleanup"}, unfit).cleanup);
  CHECK(good({"--init-only"}, unfit).init_only);
  CHECK(good({"--write-config-to=f"}, unfit).write_config_to == "f");
  CHECK(faults({}, unfit).size() == 1);
  unfit.host_name = "";
  CHECK(good({"--cleanup"}, unfit).cleanup);
}

TEST_CASE("the flag --cleanup needs no valid configuration, but no unknown flag either (G)") {
  Environment environment = node_a();
  environment.load_file = [](const std::string& path) { return load_yaml_text("kind: [", path); };
  CHECK(good({"--cleanup", "--config=f"}, environment).warnings.size() == 1);
  CHECK(good({"--cleanup", "--config=f"}, environment)
            .warnings.at(0)
            .ends_with(": not needed by --cleanup"));
  CHECK(good({"--cleanup", "--proxy-mode=iptables", "--ipvs-scheduler=x"}).warnings.size() == 2);
  CHECK(good({"--cleanup", "--manifests=d", "--kubeconfig=k"}).cleanup);
  CHECK(faults({"--cleanup", "--dry-ran"}).size() == 1);
  CHECK(faults({"--cleanup=false", "--proxy-mode=x"}).size() == 1);
}

TEST_CASE("the command cleanup is the flag, and has flags of its own") {
  CHECK(good({"cleanup"}).cleanup);
  CHECK(good({"cleanup", "--proxy-mode=iptables"}).warnings.size() == 1);
  const Config config = good({"cleanup", "--handover", "--dry-run"});
  CHECK(config.handover);
  CHECK(config.dry_run);
  CHECK(good({"--cleanup", "--dry-run"}).dry_run);
  CHECK(faults({"--dry-run"}) ==
        std::vector<std::string>{"--dry-run: belongs to \"kube-ipvs cleanup\""});
  CHECK(faults({"--handover"}).size() == 1);
  CHECK(faults({"cleanup", "now"}) ==
        std::vector<std::string>{"command line: unexpected argument \"now\""});
  CHECK(faults({"clean"}).size() == 1);
}

TEST_CASE("what --write-config-to writes is read back as the same settings (G)") {
  Environment environment = node_a();
  const Config config =
      good({"--ipvs-scheduler=lc", "--healthz-port=11256", "--metrics-port=0", "--v=3",
            "--cluster-cidr=10.0.0.0/8,fd00::/64", "--hostname-override=n", "--masquerade-all"});
  const std::string written = to_yaml(config);
  environment.load_file = [&](const std::string& path) { return load_yaml_text(written, path); };
  Config read = good({"--config=f"}, environment);
  read.healthz_port = config.healthz_port;
  read.metrics_port = config.metrics_port;
  read.warnings = config.warnings;
  CHECK(read == config);
}

TEST_CASE("an API server's address without a scheme is not the configuration's business (G)") {
  CHECK(good({"--master=127.0.0.1:8080"}).master == "127.0.0.1:8080");
}

TEST_CASE("the flag --cluster-cidr has at most one network per family") {
  CHECK(faults({"--cluster-cidr=10.0.0.0/8,10.1.0.0/16"}) ==
        Lines{"--cluster-cidr: 2 IPv4 networks: at most one per family"});
  CHECK(faults({"--cluster-cidr=fd00::/8,fd01::/16,10.0.0.0/8"}) ==
        Lines{"--cluster-cidr: 2 IPv6 networks: at most one per family"});
}

TEST_CASE("node port addresses are networks and three words, in any mix (18.2)") {
  const Config config = good({"--nodeport-addresses=primary"});
  CHECK(config.nodeport_addresses_primary);
  CHECK(config.nodeport_addresses.empty());
  const Config mixed = good({"--nodeport-addresses=localhost,10.0.0.0/8", "--nodeport-addresses",
                             "primary,all,fd00::/8"});
  CHECK(mixed.nodeport_addresses.size() == 2);
  CHECK((mixed.nodeport_addresses_primary && mixed.nodeport_addresses_localhost &&
         mixed.nodeport_addresses_all));
  CHECK(faults({"--nodeport-addresses=secondary"}) ==
        Lines{"--nodeport-addresses: \"secondary\" is not a network such as 10.0.0.0/8 or "
              "fd00::/64, nor one of: primary, localhost, all"});
}

TEST_CASE("manifests cannot be combined with a cluster") {
  CHECK(good({"--manifests=d"}).manifests == "d");
  CHECK(faults({"--manifests=d", "--kubeconfig=k", "--master=m"}) ==
        Lines{"--manifests: cannot be combined with --kubeconfig (--kubeconfig): manifests replace "
              "the cluster",
              "--manifests: cannot be combined with --master (--master): manifests replace the "
              "cluster"});
}

TEST_CASE("address and port ranges have an effect only with manifests") {
  const Config config = good({"--manifests=d", "--service-cluster-ip-range=10.0.0.0/24,fd00::/112",
                              "--service-node-port-range=20000-20010"});
  CHECK(config.service_cluster_ip_range.size() == 2);
  CHECK(config.node_port_first == 20000);
  CHECK(config.node_port_last == 20010);
  CHECK(config.warnings.empty());
  CHECK(
      good({"--service-cluster-ip-range=10.0.0.0/24", "--service-node-port-range=1-2"}).warnings ==
      Lines{
          "--service-cluster-ip-range: ignored without --manifests: the API server allocates these",
          "--service-node-port-range: ignored without --manifests: the API server allocates "
          "these"});
}

TEST_CASE("a cluster IP range that is too wide, too narrow or empty is refused") {
  const auto fault = [](const char* range) {
    return faults({"--manifests=d", "--service-cluster-ip-range", range});
  };
  CHECK(fault("10.0.0.0/8") ==
        Lines{"--service-cluster-ip-range: 10.0.0.0/8 must have a prefix from /12 to /30"});
  CHECK(fault("10.0.0.0/31").size() == 1);
  CHECK(fault("fd00::/56") ==
        Lines{"--service-cluster-ip-range: fd00::/56 must have a prefix from /64 to /126"});
  CHECK(fault("") == Lines{"--service-cluster-ip-range: must not be empty with --manifests"});
  CHECK(fault("10.0.0.0/16,10.1.0.0/16").size() == 1);
}

TEST_CASE("two listeners on one port are a warning, or a fault if a failure is to be fatal") {
  const std::string what =
      "--metrics-bind-address: 10.0.0.1:10256 conflicts with --healthz-bind-address "
      "(0.0.0.0:10256, --healthz-bind-address)";
  CHECK(faults({"--metrics-bind-address=10.0.0.1:10256", "--bind-address-hard-fail"}) ==
        Lines{what});
  CHECK(good({"--metrics-bind-address=10.0.0.1:10256"}).warnings ==
        Lines{what + ": only one of them is served"});
  good({"--metrics-bind-address=127.0.0.1:0", "--healthz-bind-address=127.0.0.1:0"});
  good({"--metrics-bind-address=127.0.0.1:9000", "--healthz-bind-address=127.0.0.2:9000"});
}

TEST_CASE("the DNS server's addresses, upstreams and domain are read, with port 53 by default") {
  const Config config = good({"--dns-bind-address=127.0.0.53,[fd00::1]:5353,fd00::2",
                              "--cluster-domain=K8s.Example.org.", "--dns-upstream=192.0.2.1"});
  REQUIRE(config.dns_binds.size() == 3);
  CHECK(text(config.dns_binds[0]) == "127.0.0.53:53");
  CHECK(text(config.dns_binds[1]) == "[fd00::1]:5353");
  CHECK(text(config.dns_binds[2]) == "[fd00::2]:53");
  CHECK(config.cluster_domain == "k8s.example.org");
  CHECK(text(config.dns_upstreams.at(0)) == "192.0.2.1:53");
  CHECK(good({"--dns-bind-address="}).dns_binds.empty());
  CHECK(good({}).cluster_domain == "cluster.local");
}

TEST_CASE("what the DNS server cannot work with is refused, with the reason") {
  const char* server = "--dns-bind-address=127.0.0.1";
  for (const std::string domain : {"", ".", "a..b", "-a.b", "a_b", "a b", ".a"}) {
    CHECK(faults({server, ("--cluster-domain=" + domain).c_str()}) ==
          Lines{"--cluster-domain: \"" + domain +
                "\" is not a domain such as cluster.local, of at most 100 characters"});
  }
  CHECK(faults({("--cluster-domain=" + std::string(64, 'a')).c_str()}).size() == 1);
  CHECK(faults({server, "--dns-upstream=127.0.0.1"}) ==
        Lines{"--dns-upstream: 127.0.0.1:53 is where this agent answers itself "
              "(--dns-bind-address)"});
  CHECK(faults({server, "--dns-upstream=0.0.0.0"}) ==
        Lines{"--dns-upstream: 0.0.0.0:53 is no address that can be asked"});
  CHECK(faults({"--dns-bind-address=127.0.0.1,127.0.0.1:53"}) ==
        Lines{"--dns-bind-address: 127.0.0.1:53 is given twice"});
  CHECK(faults({"--dns-bind-address=localhost"}).size() == 1);
  CHECK(good({"--dns-upstream=192.0.2.1"}).warnings ==
        Lines{"--dns-upstream: ignored: without --dns-bind-address there is no DNS server"});
}

TEST_CASE("with an IPv6 bind address the default addresses of the listeners are IPv6 too") {
  const Config config = good({"--bind-address=::", "--metrics-bind-address=127.0.0.1"});
  CHECK(text(*config.healthz_bind) == "[::]:10256");
  CHECK(text(*config.metrics_bind) == "127.0.0.1:10249");
  CHECK(text(*good({"--bind-address=fd00::1"}).metrics_bind) == "[::1]:10249");
}

TEST_CASE("the node's name is the override or the host name, trimmed and in lower case") {
  CHECK(good({"--hostname-override", "  Other.Example "}).node_name == "other.example");
  Environment nameless = node_a();
  nameless.host_name = " ";
  CHECK(faults({}, nameless) ==
        Lines{"--hostname-override: this host has no name: set the node's name"});
  CHECK(good({"--hostname-override=n"}, nameless).node_name == "n");
  CHECK(faults({"--hostname-override= "}) == Lines{"--hostname-override: must not be blank"});
}

TEST_CASE("an invalid node name is refused, but accepted with manifests") {
  for (const char* name : {"a/b", "a_b", "-a", "a-", "a..b", "a.-b", "a b", "\xC3\xA9"}) {
    CAPTURE(name);
    CHECK(faults({"--hostname-override", name}).size() == 1);
  }
  CHECK(faults({"--hostname-override", std::string(254, 'a').c_str()}).size() == 1);
  CHECK(good({"--hostname-override=a_b", "--manifests=d"}).node_name == "a_b");
}

TEST_CASE("under the name kube-proxy endpoints come from EndpointSlices by default (18.2)") {
  const auto config_of = [](std::vector<const char*> argv) {
    return *parse(static_cast<int>(argv.size()), argv.data(), node_a()).config;
  };
  for (const char* name : {"kube-proxy", "/usr/local/bin/kube-proxy", "./kube-proxy"}) {
    CAPTURE(name);
    CHECK(config_of({name}).as_kube_proxy);
    CHECK(config_of({name}).endpoint_source == EndpointSource::kEndpointSlice);
    CHECK(config_of({name, "--endpoint-source=auto"}).endpoint_source == EndpointSource::kAuto);
    CHECK(config_of({name, "--manifests=d"}).endpoint_source == EndpointSource::kAuto);
  }
  for (const char* name : {"kube-ipvs", "/kube-proxy/kube-ipvs", "kube-proxy-old", ""}) {
    CAPTURE(name);
    CHECK_FALSE(config_of({name}).as_kube_proxy);
    CHECK(config_of({name}).endpoint_source == EndpointSource::kAuto);
  }
}

TEST_CASE("with --compat=kube-proxy FORWARD chains are opened as by kube-proxy (18.2)") {
  CHECK_FALSE(good({}).forward_accept);
  CHECK(good({"--compat=kube-proxy"}).forward_accept);
  CHECK_FALSE(good({"--compat=kube-proxy", "--forward-accept=false"}).forward_accept);
}

TEST_CASE("a word that is not a flag or its value is refused, before and between the flags") {
  const Lines refused = {"command line: unexpected argument \"true\""};
  CHECK(faults({"true"}) == refused);
  CHECK(faults({"true", "--manifests=d", "x"}) == refused);
  CHECK(faults({"--manifests=d", "true", "--v=2"}) == refused);
  CHECK(faults({"--manifests=d", "--masquerade-all", "true"}) == refused);
}

TEST_CASE("each flag is once in the table, and has what its type needs") {
  std::vector<std::string_view> names(all_flag_names().begin(), all_flag_names().end());
  for (const Option& option : options()) {
    if (!option.alias.empty()) names.push_back(option.alias);
    CHECK((option.set == nullptr) == (option.get == nullptr));
    CHECK(has_items(option.type) == (option.clear != nullptr));
    CHECK((option.type == ValueType::kFlag) == option.placeholder.empty());
    if (option.get != nullptr) {
      Config config;
      const std::string value = option.get(config);
      if (!has_items(option.type)) CHECK(option.set(config, value).empty());
    }
  }
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("the host's settings have kube-proxy's defaults and take its flags (17.4)") {
  const Config defaults = good({});
  CHECK(defaults.conntrack_max_per_core == 32768);
  CHECK(defaults.conntrack_min == 131072);
  CHECK(defaults.conntrack_tcp_established == 86400);
  CHECK(defaults.conntrack_tcp_close_wait == 3600);
  CHECK(defaults.oom_score_adj == std::nullopt);
  const Config config =
      good({"--conntrack-max-per-core=0", "--conntrack-min", "1", "--conntrack-udp-timeout=1m",
            "--conntrack-udp-timeout-stream=5m", "--conntrack-tcp-be-liberal",
            "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=1h30m",
            "--oom-score-adj=-999", "--reserve-node-ports"});
  CHECK(config.warnings.empty());
  CHECK(config.conntrack_max_per_core == 0);
  CHECK(config.conntrack_min == 1);
  CHECK(config.conntrack_udp == 60);
  CHECK(config.conntrack_udp_stream == 300);
  CHECK(config.conntrack_tcp_be_liberal);
  CHECK(config.conntrack_tcp_established == 0);
  CHECK(config.conntrack_tcp_close_wait == 5400);
  CHECK(config.oom_score_adj == -999);
  CHECK(config.reserve_node_ports);
  CHECK(faults({"--oom-score-adj=-1001"}) ==
        Lines{"--oom-score-adj: \"-1001\" is not a number from -1000 to 1000"});
  CHECK(faults({"--oom-score-adj=--1"}) ==
        Lines{"--oom-score-adj: \"--1\" is not a number from -1000 to 1000"});
  CHECK(faults({"--conntrack-tcp-timeout-close-wait=-1s"}) ==
        Lines{"--conntrack-tcp-timeout-close-wait: must not be negative: 0s or more"});
  CHECK(good({"--conntrack-max=100"}).warnings.size() == 1);
}
