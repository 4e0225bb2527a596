// SPDX-License-Identifier: Apache-2.0
//
// The agent's own metrics: kube-proxy's names where it has them, ours beside them. prometheus-cpp
// core keeps them; our own HTTP server sends the text.
//
// IPVS traffic series are not here: see agent/report/traffic_metrics.hpp.
//
// Metrics. Those of kube-proxy and client-go have their names, labels, buckets and meanings, because
// dashboards use them. One sync loop serves both families, so what a pass takes is observed for each
// family that this node serves, {ip_family} "IPv4" or "IPv6".
//   kubeproxy_sync_proxy_rules_duration_seconds              histogram{ip_family}, 0.001 * 2^0..14
//   kubeproxy_sync_proxy_rules_last_timestamp_seconds        gauge{ip_family}: of the last pass
//   kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge{ip_family}
//   kubeproxy_sync_proxy_rules_endpoint_changes_total, _service_changes_total      counter
//   kubeproxy_sync_proxy_rules_endpoint_changes_pending, _service_changes_pending  gauge
//   kubeproxy_sync_proxy_rules_no_local_endpoints_total      {traffic_policy,ip_family}: Services
//   kubeproxy_sync_proxy_rules_iptables_restore_failures_total counter{ip_family}: of nftables
//   kubeproxy_network_programming_duration_seconds           histogram{ip_family}
//   kubeproxy_conntrack_reconciler_sync_duration_seconds     histogram{ip_family}
//   kubeproxy_conntrack_reconciler_deleted_entries_total     counter{ip_family}
//   rest_client_requests_total             counter{code,method,host}: code <error>: no response
//   rest_client_request_duration_seconds   histogram{verb,host}: all but watches
//   kubeproxy_proxy_healthz_total, kubeproxy_proxy_livez_total   counter{code}
//   kube_ipvs_sync_queue_depth                  gauge: Services waiting to be planned
//   kube_ipvs_sync_planning_duration_seconds    histogram
//   kube_ipvs_sync_kernel_duration_seconds      histogram
//   kube_ipvs_kernel_errors_total               counter{command,errno}: errno by name, "EEXIST"
//   kube_ipvs_kernel_operations_total           counter
//   kube_ipvs_drift_corrected_total             counter{kind}
//   kube_ipvs_conflicts_total                   counter
//   kube_ipvs_taken_over_virtual_servers_total  counter
//   kube_ipvs_refused_addresses_total           counter
//   kube_ipvs_connections_cut_total             counter{namespace,name,cause}: agent/decide/departures.hpp
//   kube_ipvs_connections_drained_total         counter{namespace,name}: of Services with one that drained
//   kube_ipvs_draining_destinations, _draining_connections   gauge{namespace,name}: of those that drain
//   kube_ipvs_source_faults_total               counter{kind}
//   kube_ipvs_source_lists_total, _source_relists_total, _source_watches_total, _source_events_total,
//   _source_bookmarks_total, _source_page_retries_total, _source_probes_total,
//   _source_confirmations_total, _source_received_bytes_total   counter{kind}: kind of object
//   kube_ipvs_source_last_contact_seconds       gauge{kind}: since the API server last answered
//   kube_ipvs_events_total                      counter{result}: posted, dropped, failed
//   kube_ipvs_desired_virtual_servers, _desired_destinations, _desired_addresses            gauge
//   kube_ipvs_plan_digest, kube_ipvs_programmed_version   gauge: to compare nodes with each other
//   kube_ipvs_programmed_virtual_servers, _programmed_destinations, _programmed_addresses   gauge
//   kube_ipvs_draining_virtual_servers, kube_ipvs_foreign_virtual_servers      gauge
//   kube_ipvs_failing_keys                      gauge
//   kube_ipvs_conditions                        gauge{reason}: those of agent/report/conditions.hpp
//   kube_ipvs_forward_dropping_chains           gauge
//   kube_ipvs_kube_proxy_chains, _kube_proxy_ipsets   gauge: left by kube-proxy
//   kube_ipvs_kube_proxy_running                gauge: 1 if one runs beside this agent
//   kube_ipvs_localhost_node_ports, _localhost_node_port_connections   gauge: agent/relay
//   kube_ipvs_localhost_node_port_connections_total        counter{result}: relayed, refused, failed
//   kube_ipvs_localhost_node_port_bind_failures_total      counter
//   kube_ipvs_dns_requests_total                counter{protocol,type,rcode}: agent/dns/counters.hpp
//   kube_ipvs_dns_names                         gauge: names that the DNS server knows
//   kube_ipvs_services, kube_ipvs_pods, kube_ipvs_endpointslices   gauge: objects known
//   kube_ipvs_endpoint_source                   gauge{source}: 1 for the source of endpoints in force
//   kube_ipvs_config_reloads_total              counter{result}: applied, refused, unchanged
//   kube_ipvs_config_last_reload_successful, _config_last_reload_success_timestamp_seconds   gauge
//   kube_ipvs_config_restart_needed             gauge: 1 if the file has what only a restart applies
//   kube_ipvs_build_info                        gauge{version} = 1
//   process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds,
//   process_start_time_seconds
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/report/traffic_metrics.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/client/request_report.hpp"
#include "k8s/source.hpp"
#include "k8s/types.hpp"

namespace agent {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // Until it is called: IPv4 only.
  void serves_ipv6(bool serves);
  void pass(double total_seconds, double planning_seconds, double kernel_seconds,
            std::size_t operations, double unix_now);
  void service_changed();
  void endpoint_changed();
  void programming_latency(ipvs::Family family, double seconds);
  void rules_refused(ipvs::Family family);
  void flows_forgotten(ipvs::Family family, std::size_t flows, double seconds);
  void api_request(const k8s::RequestReport& request);
  void kernel_error(const std::string& command, int error_number);  // negative: "UNKNOWN"
  void drift(const std::string& kind, std::size_t count = 1);
  void conflict();
  void taken_over();
  // Of the first 1000 Services; those of others are counted together, with the name "other".
  void connections_cut(const k8s::ObjectKey& service, const std::string& cause,
                       std::uint64_t count);
  void connections_drained(const k8s::ObjectKey& service, std::uint64_t count);
  void address_refused();  // an external IP that is another Node's or a gateway
  void source_fault(const std::string& kind);
  void event(const std::string& result);
  void health_answered(bool livez, int code);
  // The file of --config was read at the start, or again with this result: "applied", "refused" or
  // "unchanged".
  void config_loaded(double unix_now);
  void config_reload(const std::string& result, double unix_now);
  void config_needs_restart(bool needed);

  // Set just before each scrape.
  struct Gauges {
    double last_queued = 0;  // Unix time; 0: never
    std::size_t queue_depth = 0;
    std::size_t pending_service_changes = 0;
    std::size_t pending_endpoint_changes = 0;
    std::size_t desired_servers = 0, desired_destinations = 0, desired_addresses = 0;
    std::size_t programmed_servers = 0, programmed_destinations = 0, programmed_addresses = 0;
    std::uint64_t plan_digest = 0, programmed_version = 0;  // agent/report/node_digest.hpp
    std::size_t draining_servers = 0, foreign_servers = 0, failing_keys = 0;
    std::map<std::string, std::size_t> conditions{};  // by reason
    std::size_t forward_dropping = 0;                 // chains
    std::size_t kube_proxy_chains = 0, kube_proxy_sets = 0;
    bool kube_proxy_running = false;
    struct LackingLocal {
      std::size_t internal = 0, external = 0;  // Services
    };
    LackingLocal lacking_local_ipv4{}, lacking_local_ipv6{};
    std::size_t services = 0, pods = 0, slices = 0;
    bool endpoints_from_pods = true;
  };
  void set(const Gauges& gauges);

  struct Draining {
    k8s::ObjectKey service;
    std::size_t destinations = 0, connections = 0;
  };
  // All Services that drain now.
  void set_draining(const std::vector<Draining>& services);

  // What agent/relay/localhost_ports.hpp counts.
  struct LocalhostPorts {
    std::size_t listeners = 0, connections = 0;
    std::uint64_t relayed = 0, refused = 0, failed = 0, bind_failures = 0;
  };
  void set_localhost_ports(const LocalhostPorts& ports);
  // What the DNS server has answered so far: "udp", "A", "NOERROR".
  void set_dns_requests(std::string_view protocol, std::string_view type, std::string_view rcode,
                        std::uint64_t count);
  void set_dns_names(std::size_t count);

  // What the source has counted since it started; of kinds that it does not ask for, nothing.
  void set_source(const std::vector<k8s::KindCounters>& kinds);

  // Prometheus text format 0.0.4. Includes process_*, read from /proc/self now.
  std::string text() const;
  // The same in pieces of up to some 64 KiB.
  boost::asio::awaitable<void> write(const TextWriter& write) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace agent
