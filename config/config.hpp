// SPDX-License-Identifier: Apache-2.0
//
// The validated settings of the agent, from flags and one YAML file; flags win over the file.
// Options that kube-proxy has too keep kube-proxy's names. config/parse.hpp makes a Config;
// config/options.cpp lists all flags and keys.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace config {

using Address = boost::asio::ip::address;

struct Network {
  Address address;  // host bits cleared
  std::uint8_t prefix_length = 0;
  bool operator==(const Network&) const = default;
};

struct HostPort {
  Address address;
  std::uint16_t port = 0;  // 0: the kernel picks a free one
  bool operator==(const HostPort&) const = default;
};

// In files whose name, without folder and extension, matches the glob pattern, information up to this
// level is logged.
struct FileVerbosity {
  std::string pattern;
  int level = 0;  // 0-10
  bool operator==(const FileVerbosity&) const = default;
};

inline constexpr std::uint16_t kMetricsPort = 10249;
inline constexpr std::uint16_t kHealthzPort = 10256;

enum class EndpointSource : std::uint8_t { kAuto, kSelector, kEndpointSlice };
enum class VipBinding : std::uint8_t { kAuto, kAddress, kRoute };
enum class Compat : std::uint8_t { kNone, kKubeProxy };
enum class Takeover : std::uint8_t { kAuto, kReport, kOff };
// Which endpoints have series of their own on /metrics.
enum class MetricsEndpoints : std::uint8_t { kOff, kAnnotated, kAll };
enum class LogFormat : std::uint8_t { kText, kJson };
// What `kube-ipvs plan` prints: a summary for people, the difference from the kernel, text for
// `ipvsadm -R`, `nft -f -` or `ip -batch -`, or JSON.
enum class PlanForm : std::uint8_t { kSummary, kDiff, kIpvsadm, kNft, kIp, kJson };
// In kube-proxy's order and by its names: ClusterCIDR, NodeCIDR, BridgeInterface,
// InterfaceNamePrefix.
enum class LocalMode : std::uint8_t { kClusterCidr, kNodeCidr, kBridge, kNamePrefix };

struct Config {
  // How to reach the cluster. All three empty: the Pod's service account.
  std::string kubeconfig;  // --kubeconfig FILE
  std::string master;      // --master URL, overrides the kubeconfig's server
  std::string manifests;   // --manifests DIR: no cluster; not with the two above
  // The limit of our requests to the API server; 0: none.
  double kube_api_qps = 0;           // --kube-api-qps: on the average, each second
  std::uint32_t kube_api_burst = 0;  // --kube-api-burst: at once, if there is a limit; 0: 10
  // --kube-api-content-type, clientConnection.acceptContentTypes. `prefers_json`: what they say.
  std::string kube_api_content_type;
  std::string kube_api_accept_content_types;
  bool prefers_json = false;
  std::string hostname_override;  // --hostname-override NAME; empty: the host name
  std::string node_name;          // one of these two, trimmed and in lower case; never empty
  // --endpoint-source auto|selector|endpointslice. auto: Pods where they may be listed, as with
  // manifests, and EndpointSlices where not.
  EndpointSource endpoint_source = EndpointSource::kAuto;

  std::string ipvs_scheduler = "rr";       // --ipvs-scheduler: one of known_schedulers()
  bool ipvs_strict_arp = false;            // --ipvs-strict-arp
  std::uint32_t ipvs_tcp_timeout = 0;      // --ipvs-tcp-timeout DURATION, seconds; 0: unchanged
  std::uint32_t ipvs_tcp_fin_timeout = 0;  // --ipvs-tcpfin-timeout
  std::uint32_t ipvs_udp_timeout = 0;      // --ipvs-udp-timeout
  // --ipvs-exclude-cidrs CIDR,...: where others have virtual servers; none of theirs is taken over.
  std::vector<Network> ipvs_exclude_cidrs;
  // Connection tracking, never lower than the host has it; 0: unchanged, except where it says else.
  std::uint32_t conntrack_max_per_core = 32768;  // --conntrack-max-per-core: entries per CPU
  std::uint32_t conntrack_min = 131072;  // --conntrack-min: at least; not if max_per_core is 0
  std::uint32_t conntrack_tcp_established = 86400;  // --conntrack-tcp-timeout-established, seconds
  std::uint32_t conntrack_tcp_close_wait = 3600;    // --conntrack-tcp-timeout-close-wait
  std::uint32_t conntrack_udp = 0;                  // --conntrack-udp-timeout
  std::uint32_t conntrack_udp_stream = 0;           // --conntrack-udp-timeout-stream
  bool conntrack_tcp_be_liberal = false;            // --conntrack-tcp-be-liberal
  // --reserve-node-ports: connections of this node get no node port as their own port.
  bool reserve_node_ports = false;
  std::optional<int> oom_score_adj;  // --oom-score-adj, -1000 to 1000; unset: unchanged
  // --ipvs-min-sync-period: minimum time between two kernel updates, up to 1h; 0: at once.
  std::chrono::milliseconds min_sync_period{0};
  // --ipvs-sync-period, 1s-1h: how often a part of the kernel's state is compared with the desired.
  std::chrono::seconds sync_period{30};
  VipBinding vip_binding = VipBinding::kAuto;  // --vip-binding auto|address|route
  // --service-proxy-name NAME: serve only Services whose label has this value; "": those without.
  std::string service_proxy_name;
  // --compat none|kube-proxy: decide as kube-proxy's ipvs mode, see config/policies.hpp.
  Compat compat = Compat::kNone;

  bool masquerade_all = false;             // --masquerade-all
  std::uint32_t masquerade_mark = 0x4000;  // --iptables-masquerade-bit 0-31: without effect
  std::vector<Network> cluster_cidrs;      // --cluster-cidr A[,B]: at most one per family
  // --detect-local-mode: whose traffic is that of Pods here. By --cluster-cidr, by the networks of
  // this Node (spec.podCIDRs), or by the interface that it arrives on.
  LocalMode detect_local_mode = LocalMode::kClusterCidr;
  std::string pod_bridge_interface;       // --pod-bridge-interface NAME, with kBridge
  std::string pod_interface_name_prefix;  // --pod-interface-name-prefix PREFIX, with kNamePrefix
  // --nodeport-addresses: networks, and these words, in any mix; nothing: all addresses.
  std::vector<Network> nodeport_addresses;
  bool nodeport_addresses_primary = false;
  bool nodeport_addresses_localhost = false;
  bool nodeport_addresses_all = false;
  bool forward_accept = false;  // --forward-accept: accept rules in others' dropping FORWARD chains
  // --takeover auto|report|off: what becomes of what kube-proxy has left.
  Takeover takeover = Takeover::kAuto;
  // --bind-address: the node's primary address; unspecified (0.0.0.0 or ::): the Node object's.
  Address bind_address = boost::asio::ip::address_v4::any();

  // Ranges that otherwise the API server allocates from; only with --manifests.
  // --service-cluster-ip-range A[,B]: one network per family; 10.96.0.0/12 by default.
  std::vector<Network> service_cluster_ip_range = {{boost::asio::ip::address_v4(0x0A600000), 12}};
  std::uint16_t node_port_first = 30000;  // --service-node-port-range 30000-32767
  std::uint16_t node_port_last = 32767;

  // --dns-bind-address IP[:PORT],...: answer DNS there; none: no server.
  std::vector<HostPort> dns_binds;
  std::string cluster_domain = "cluster.local";  // --cluster-domain: lower case, no final dot
  // --dns-upstream IP[:PORT],...: where other names are asked for; none: they are refused.
  std::vector<HostPort> dns_upstreams;

  // --metrics-bind-address, --healthz-bind-address; nullopt: disabled. If --bind-address is an IPv6
  // address, the defaults are [::1]:10249 and [::]:10256.
  std::optional<HostPort> metrics_bind =
      HostPort{boost::asio::ip::address_v4::loopback(), kMetricsPort};
  std::optional<HostPort> healthz_bind = HostPort{boost::asio::ip::address_v4::any(), kHealthzPort};
  bool bind_address_hard_fail = false;  // --bind-address-hard-fail: exit if a port is in use
  // --metrics-port, --healthz-port: kube-proxy's deprecated flags, for an address given without a
  // port; 0: disabled. The two addresses above have them already.
  std::uint16_t metrics_port = kMetricsPort;
  std::uint16_t healthz_port = kHealthzPort;
  // --metrics-endpoints off|annotated|all: on /metrics, none, those of Services with the annotation
  // kube-ipvs.io/metrics, or all.
  MetricsEndpoints metrics_endpoints = MetricsEndpoints::kAnnotated;

  // The program was started under the name kube-proxy: some defaults are those of a drop-in.
  bool as_kube_proxy = false;
  LogFormat log_format = LogFormat::kText;  // --log-format text|json
  int verbosity = 0;                        // --v 0-10
  std::vector<FileVerbosity> vmodule;       // --vmodule PATTERN=LEVEL,...
  // --profiling: PUT /debug/flags/v on the metrics port changes --v.
  bool profiling = false;
  // --run-dir DIR: where the record of our virtual servers is kept; empty: there is none.
  std::string run_dir = "/run/kube-ipvs";
  std::string api_socket{};        // "": api.sock in run_dir; "off": none
  std::string api_socket_group{};  // whose members may ask questions, besides root; "": nobody
  bool cleanup = false;            // cleanup, --cleanup: delete our state in the kernel and exit
  bool handover = false;           // --handover, with cleanup: leave what kube-proxy takes over
  bool dry_run = false;            // --dry-run, with cleanup: say what it would do
  // plan: show what an agent with these settings would make the kernel hold, and exit.
  bool plan = false;
  PlanForm plan_form = PlanForm::kSummary;  // -o FORMAT
  bool against_kernel = false;              // --against-kernel: as -o diff
  std::string compare_with;                 // --compare-with FILE; "": with nothing
  std::vector<Address> node_addresses;      // --node-addresses; none: this host's
  bool init_only = false;                   // --init-only: prepare the kernel and exit
  std::string write_config_to;              // --write-config-to FILE: write these settings and exit

  // --feature-gates, as given: "Name=true". None changes anything (config/feature_gates.hpp).
  std::vector<std::string> feature_gates;
  // --show-hidden-metrics-for-version: "1.36"; there is no hidden metric.
  std::string show_hidden_metrics_for_version;

  // Settings that have no effect, one line each; logged at start-up.
  std::vector<std::string> warnings;

  bool operator==(const Config&) const = default;
};

}  // namespace config
