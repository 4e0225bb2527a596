// SPDX-License-Identifier: Apache-2.0
//
// What kube-proxy has and kube-ipvs obeys, checks or ignores: values on the command line.
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "config/parse.hpp"
#include "test/config/command_lines.hpp"

using namespace config;
using namespace config::test;

TEST_CASE("kube-proxy's defaults of what does nothing here cause no warning (18.2)") {
  CHECK(good({"--config-sync-period=15m", "--iptables-sync-period=30s", "--udp-timeout=250ms",
              "--iptables-min-sync-period=1s", "--iptables-localhost-nodeports=true",
              "--proxy-port-range="})
            .warnings.empty());
  CHECK(good({"--iptables-sync-period=0h0m30s"}).warnings.empty());
  CHECK(good({"--iptables-sync-period=31s"}).warnings.size() == 1);
  CHECK(faults({"--config-sync-period=soon", "--profiling=maybe", "--conntrack-max=many"}) ==
        Lines{"--config-sync-period: \"soon\" is not a duration such as 15m, 1h30m or 900s",
              "--conntrack-max: \"many\" is not a number from 0 to 2147483647",
              "--profiling: \"maybe\" is neither true nor false"});
}

TEST_CASE("what is local has four modes, each with what it needs (18.2)") {
  CHECK(good({"--detect-local-mode="}).detect_local_mode == LocalMode::kClusterCidr);
  CHECK(good({"--detect-local-mode=NodeCIDR"}).detect_local_mode == LocalMode::kNodeCidr);
  const Config bridge =
      good({"--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cni0"});
  CHECK(bridge.detect_local_mode == LocalMode::kBridge);
  CHECK(bridge.pod_bridge_interface == "cni0");
  CHECK(bridge.warnings.empty());
  const Config prefix = good({"--detect-local-mode=InterfaceNamePrefix",
                              "--pod-interface-name-prefix=cali", "--pod-bridge-interface=cni0"});
  CHECK(prefix.pod_interface_name_prefix == "cali");
  CHECK(prefix.warnings ==
        Lines{"--pod-bridge-interface: ignored: --detect-local-mode does not ask for it"});
  CHECK(faults({"--detect-local-mode=Bridge"}) ==
        Lines{"--detect-local-mode: \"Bridge\" is not one of: ClusterCIDR, NodeCIDR, "
              "BridgeInterface, InterfaceNamePrefix"});
  CHECK(faults({"--detect-local-mode=BridgeInterface"}) ==
        Lines{"--detect-local-mode: BridgeInterface needs --pod-bridge-interface, or its key in "
              "detectLocal: 1-15 characters"});
  CHECK(faults({"--detect-local-mode=InterfaceNamePrefix",
                "--pod-interface-name-prefix=sixteen-letters-"})
            .size() == 2);
  for (const char* name : {"a b", "a/b", "cali*", "..", "\xC3\xA4"}) {
    CHECK(faults({"--pod-bridge-interface", name}).size() == 1);
  }
  CHECK(faults({"--detect-local-mode=NodeCIDR", "--manifests=d"}) ==
        Lines{"--detect-local-mode: NodeCIDR needs an API server, which has the Pod networks of "
              "Nodes; with --manifests (--manifests): ClusterCIDR, BridgeInterface or "
              "InterfaceNamePrefix"});
  CHECK(good({"--cleanup", "--detect-local-mode=BridgeInterface"}).cleanup);
}

TEST_CASE("requests to the API server have a limit if one is given (18.2)") {
  CHECK(good({}).kube_api_qps == 0);
  const Config limited = good({"--kube-api-qps=0.5", "--kube-api-burst=3"});
  CHECK(limited.kube_api_qps == 0.5);
  CHECK(limited.kube_api_burst == 3);
  CHECK(good({"--kube-api-qps=-1"}).kube_api_qps == 0);
  CHECK(good({"--kube-api-burst=3"}).warnings ==
        Lines{"--kube-api-burst: ignored: there is no limit without --kube-api-qps"});
  for (const char* text : {"x", "", "1e5", "nan", "inf", "1,5", "99999999"}) {
    CHECK(faults({"--kube-api-qps", text}).size() == 1);
  }
  CHECK(faults({"--kube-api-burst=-1"}).size() == 1);
}

TEST_CASE("the content type says whether JSON is asked for, an unknown one is a warning (18.2)") {
  CHECK_FALSE(good({}).prefers_json);
  CHECK_FALSE(good({"--kube-api-content-type=application/vnd.kubernetes.protobuf"}).prefers_json);
  CHECK(good({"--kube-api-content-type=application/json;as=Table"}).prefers_json);
  const Config other = good({"--kube-api-content-type=application/cbor"});
  CHECK_FALSE(other.prefers_json);
  CHECK(other.warnings.size() == 1);
}

TEST_CASE("feature gates that ask for what is not done are a warning, and no others (18.2)") {
  CHECK(good({"--feature-gates=EndpointSliceProxying=true,AllAlpha=true,NFTablesProxyMode=false"})
            .warnings.empty());
  CHECK(
      good({"--feature-gates", "KubeProxyIPVS=false,ServiceTopology=true,Other=false"}).warnings ==
      Lines{"--feature-gates: the gate \"KubeProxyIPVS\" cannot be turned off in kube-ipvs: "
            "ignored",
            "--feature-gates: the gate \"ServiceTopology\" is not there in kube-ipvs: ignored",
            "--feature-gates: the gate \"Other\" is none that concerns a Service proxy: ignored"});
  CHECK(faults({"--feature-gates=A,B=x"}) ==
        Lines{"--feature-gates: \"A\" is not NAME=true or NAME=false",
              "--feature-gates: \"B\": \"x\" is neither true nor false"});
}

TEST_CASE("hidden metrics may be asked for of the release before, as in kube-proxy (18.2)") {
  CHECK(good({"--show-hidden-metrics-for-version=1.36"}).warnings.empty());
  CHECK(good({"--show-hidden-metrics-for-version="}).warnings.empty());
  for (const char* text : {"1.37", "1.18", "1", "v1.30", "1.30.1", "2.30", "1.-1"}) {
    CHECK(faults({"--show-hidden-metrics-for-version", text}).size() == 1);
  }
}
