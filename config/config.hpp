// SPDX-License-Identifier: Apache-2.0
//
// What the operator wants: one validated, immutable value, from flags and one YAML file.
// Flags win over the file. Names are kube-proxy's where it has the option.
// How it comes about: config/parse.hpp. Every flag and key: config/options.cpp.
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

inline constexpr std::uint16_t kMetricsPort = 10249;
inline constexpr std::uint16_t kHealthzPort = 10256;

enum class EndpointSource : std::uint8_t { kSelector, kEndpointSlice };
enum class VipBinding : std::uint8_t { kAddress, kRoute };
enum class Compat : std::uint8_t { kNone, kKubeProxy };
enum class LogFormat : std::uint8_t { kText, kJson };

struct Config {
  // Where the cluster is. Neither: the in-cluster service account.
  std::string kubeconfig;         // --kubeconfig FILE
  std::string master;             // --master URL, overrides the kubeconfig's server
  std::string manifests;          // --manifests DIR: no cluster at all
  std::string hostname_override;  // --hostname-override NAME; empty: the host name, lower-cased
  std::string node_name;          // what the above comes to; never empty
  EndpointSource endpoint_source = EndpointSource::kSelector;  // --endpoint-source

  std::string ipvs_scheduler = "rr";       // --ipvs-scheduler: one of known_schedulers()
  bool ipvs_strict_arp = false;            // --ipvs-strict-arp
  std::uint32_t ipvs_tcp_timeout = 0;      // --ipvs-tcp-timeout DURATION, seconds; 0: the kernel's
  std::uint32_t ipvs_tcp_fin_timeout = 0;  // --ipvs-tcpfin-timeout
  std::uint32_t ipvs_udp_timeout = 0;      // --ipvs-udp-timeout
  std::chrono::milliseconds min_sync_period{0};  // --ipvs-min-sync-period; 0: at once
  std::chrono::seconds sync_period{
      30};  // --ipvs-sync-period: how often the kernel is read back, a part each
  VipBinding vip_binding = VipBinding::kAddress;  // --vip-binding address|route
  std::string service_proxy_name;  // --service-proxy-name NAME: only Services with that label; "":
                                   // those without
  Compat compat =
      Compat::kNone;  // --compat none|kube-proxy: with its deviations from the Services API

  bool masquerade_all = false;              // --masquerade-all
  std::uint32_t masquerade_mark = 0x4000;   // --iptables-masquerade-bit 0-31, of the conntrack mark
  std::vector<Network> cluster_cidrs;       // --cluster-cidr A[,B]: at most one per family
  std::vector<Network> nodeport_addresses;  // --nodeport-addresses CIDR,...; empty: all addresses
  bool nodeport_addresses_primary = false;  // --nodeport-addresses primary
  bool forward_accept = false;  // --forward-accept: a rule in FORWARD chains of others that drop
  // --bind-address. A concrete one overrides the node's primary address; an unspecified one does
  // not.
  Address bind_address = boost::asio::ip::address_v4::any();

  // What an API server would allocate from; only with --manifests.
  std::vector<Network> service_cluster_ip_range =
      {  // --service-cluster-ip-range A[,B]: one or two,
          {boost::asio::ip::address_v4(0x0A600000), 12}};  // of different families; 10.96.0.0/12
  std::uint16_t node_port_first = 30000;                   // --service-node-port-range 30000-32767
  std::uint16_t node_port_last = 32767;

  // Nothing: switched off. --metrics-bind-address, --healthz-bind-address. With an IPv6
  // --bind-address the defaults are those of that family.
  std::optional<HostPort> metrics_bind =
      HostPort{boost::asio::ip::address_v4::loopback(), kMetricsPort};
  std::optional<HostPort> healthz_bind = HostPort{boost::asio::ip::address_v4::any(), kHealthzPort};
  bool bind_address_hard_fail = false;  // --bind-address-hard-fail

  LogFormat log_format = LogFormat::kText;  // --log-format text|json
  int verbosity = 0;                        // --v 0-10
  bool cleanup = false;                     // --cleanup: remove everything we programmed, exit

  // What was given and has no effect here, one line each; the agent logs them at start-up.
  std::vector<std::string> warnings;

  bool operator==(const Config&) const = default;
};

}  // namespace config
