// SPDX-License-Identifier: Apache-2.0
//
// Which metrics there are, but for those of traffic: their names, help texts and buckets. metrics.cpp
// says what they are set to. agent/report/metrics.md explains them to who reads a page.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/report/metrics.hpp"
#include "agent/report/service_series.hpp"

namespace agent {

struct Metrics::Impl {
  using Counters = prometheus::Family<prometheus::Counter>;
  using Histograms = prometheus::Family<prometheus::Histogram>;
  using GaugeFamily = prometheus::Family<prometheus::Gauge>;
  using Buckets = prometheus::Histogram::BucketBoundaries;

  static Buckets doubling(double first, int count) {
    Buckets buckets;
    for (int i = 0; i < count; ++i, first *= 2) buckets.push_back(first);
    return buckets;
  }

  // kube-proxy's: 0.25, 0.5, 1 to 59 by 1, 60 to 115 by 5, 120 to 300 by 30.
  static Buckets network_programming_buckets() {
    Buckets buckets{0.25, 0.5};
    for (int s = 1; s < 60; ++s) buckets.push_back(s);
    for (int s = 60; s < 120; s += 5) buckets.push_back(s);
    for (int s = 120; s <= 300; s += 30) buckets.push_back(s);
    return buckets;
  }

  prometheus::Registry registry;

  // With process_*, read now.
  std::vector<prometheus::MetricFamily> collect();
  std::string no_local() const;

  prometheus::Counter& counter(const std::string& name, const std::string& help) {
    return counters(name, help).Add({});
  }
  Counters& counters(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Gauge& gauge(const std::string& name, const std::string& help) {
    return gauges(name, help).Add({});
  }
  GaugeFamily& gauges(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  prometheus::Histogram& histogram(const std::string& name, const std::string& help,
                                   const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
  }

  Histograms& histograms(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  // clang-format off
  Histograms& sync = histograms("kubeproxy_sync_proxy_rules_duration_seconds",
      "Time from the start of a sync until the kernel has its result.");
  GaugeFamily& last_sync = gauges("kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "Unix time of the end of the last sync.");
  GaugeFamily& last_queued = gauges("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "Unix time at which a sync was last queued.");
  prometheus::Counter& endpoint_changes = counter("kubeproxy_sync_proxy_rules_endpoint_changes_total",
      "Changes of a Service's endpoints.");
  prometheus::Counter& service_changes = counter("kubeproxy_sync_proxy_rules_service_changes_total",
      "Changes of Services.");
  prometheus::Gauge& endpoint_pending = gauge("kubeproxy_sync_proxy_rules_endpoint_changes_pending",
      "Endpoint changes that are not in the kernel yet.");
  prometheus::Gauge& service_pending = gauge("kubeproxy_sync_proxy_rules_service_changes_pending",
      "Service changes that are not in the kernel yet.");
  Histograms& programming = histograms("kubeproxy_network_programming_duration_seconds",
      "Time from what changed a Service's endpoints until the kernel has it.");
  Counters& rules_refused = counters("kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
      "Syncs in which the kernel refused nftables rules; there is no iptables-restore.");
  Histograms& conntrack = histograms("kubeproxy_conntrack_reconciler_sync_duration_seconds",
      "Time that it took to delete stale entries of connection tracking.");
  Counters& conntrack_deleted = counters("kubeproxy_conntrack_reconciler_deleted_entries_total",
      "Entries of connection tracking that were deleted because they were stale.");
  Counters& requests = counters("rest_client_requests_total",
      "Requests to the API server by status code, method and host; <error>: no response came.");
  Histograms& request_time = histograms("rest_client_request_duration_seconds",
      "Time of requests to the API server, but for watches, until the end of the response.");
  Counters& healthz = counters("kubeproxy_proxy_healthz_total", "Answers of /healthz by status code.");
  Counters& livez = counters("kubeproxy_proxy_livez_total", "Answers of /livez by status code.");

  prometheus::Gauge& queue = gauge("kube_ipvs_sync_queue_depth", "Services waiting to be planned.");
  prometheus::Histogram& planning = histogram("kube_ipvs_sync_planning_duration_seconds",
      "Time that a sync took to plan and to compare.", doubling(0.00001, 18));
  prometheus::Histogram& kernel = histogram("kube_ipvs_sync_kernel_duration_seconds",
      "Time that a sync took to program the kernel.", doubling(0.0001, 18));
  Counters& kernel_errors = counters("kube_ipvs_kernel_errors_total",
      "Requests that the kernel refused, by command and errno.");
  prometheus::Counter& operations = counter("kube_ipvs_kernel_operations_total",
      "Changes that the kernel carried out.");
  Counters& drift = counters("kube_ipvs_drift_corrected_total",
      "Kernel objects that somebody else changed and that were repaired, by kind.");
  prometheus::Counter& refused_addresses = counter("kube_ipvs_refused_addresses_total",
      "Addresses of Services that are not served because this node needs them for something else, such as the API server, a gateway or another Node.");
  prometheus::Counter& taken_over = counter("kube_ipvs_taken_over_virtual_servers_total",
      "Virtual servers that kube-proxy had left and that are ours now, because a Service wants them.");
  ServiceSeries cut{{"kube_ipvs_connections_cut_total", "counter",
      "Established TCP and SCTP connections to destinations that were deleted: the next packet ends them; by Service and cause. Neither UDP nor connections that were closing."}};
  ServiceSeries drained{{"kube_ipvs_connections_drained_total", "counter",
      "Established TCP connections to draining destinations that ended by themselves."}};
  prometheus::Gauge& localhost_ports = gauge("kube_ipvs_localhost_node_ports",
      "Node ports that this agent listens on at 127.0.0.1 and ::1 (--nodeport-addresses=localhost).");
  prometheus::Gauge& localhost_connections = gauge("kube_ipvs_localhost_node_port_connections",
      "Connections to node ports on loopback addresses that are relayed now.");
  Counters& localhost_results = counters("kube_ipvs_localhost_node_port_connections_total",
      "Connections to node ports on loopback addresses, by result: relayed, refused (over the limit), failed (no endpoint answers).");
  Counters& dns_requests = counters("kube_ipvs_dns_requests_total",
      "Queries that the DNS server has answered (--dns-bind-address), by protocol, type and code of the answer.");
  prometheus::Gauge& dns_names = gauge("kube_ipvs_dns_names", "Names that the DNS server has records for.");
  prometheus::Counter& localhost_bind_failures = counter("kube_ipvs_localhost_node_port_bind_failures_total",
      "Tries to listen on a node port at a loopback address that failed.");
  prometheus::Counter& conflicts = counter("kube_ipvs_conflicts_total",
      "Virtual servers that a Service does not get because another one has the address and port.");
  Counters& source_faults = counters("kube_ipvs_source_faults_total",
      "Faults of the API server or in manifests, by kind.");
  Counters& lists = counters("kube_ipvs_source_lists_total",
      "Lists requested from the API server, by kind of object.");
  Counters& relists = counters("kube_ipvs_source_relists_total",
      "Lists requested again after a complete one, by kind of object.");
  Counters& watches = counters("kube_ipvs_source_watches_total",
      "Watches requested from the API server, by kind of object.");
  Counters& source_events = counters("kube_ipvs_source_events_total",
      "Objects of lists and events of watches, by kind of object.");
  Counters& bookmarks = counters("kube_ipvs_source_bookmarks_total",
      "Bookmarks of watches, by kind of object.");
  Counters& page_retries = counters("kube_ipvs_source_page_retries_total",
      "Pages of lists requested again after a fault, by kind of object.");
  Counters& probes = counters("kube_ipvs_source_probes_total",
      "Requests whether the API server still has the last resource version, by kind of object.");
  Counters& confirmations = counters("kube_ipvs_source_confirmations_total",
      "Lists that lost so many objects that a second one had to confirm them, by kind of object.");
  Counters& received = counters("kube_ipvs_source_received_bytes_total",
      "Bytes of the API server's answers, after TLS and inflated, by kind of object.");
  GaugeFamily& last_contact = gauges("kube_ipvs_source_last_contact_seconds",
      "Seconds since the API server last answered about a kind of object; 0 while a watch is open.");
  Counters& events = counters("kube_ipvs_events_total",
      "Kubernetes Events by result: posted, dropped, failed.");

  Counters& config_reloads = counters("kube_ipvs_config_reloads_total",
      "How often the file of --config was read again, by result.");
  prometheus::Gauge& config_successful = gauge("kube_ipvs_config_last_reload_successful",
      "1 if the file of --config was valid when it was last read.");
  prometheus::Gauge& config_success_time = gauge("kube_ipvs_config_last_reload_success_timestamp_seconds",
      "Unix time at which the file of --config was last read and valid.");
  prometheus::Gauge& config_restart = gauge("kube_ipvs_config_restart_needed",
      "1 if the file of --config has a change that needs a restart.");

  prometheus::Gauge& desired_servers = gauge("kube_ipvs_desired_virtual_servers", "Virtual servers wanted.");
  prometheus::Gauge& desired_destinations = gauge("kube_ipvs_desired_destinations", "Destinations wanted.");
  prometheus::Gauge& desired_addresses = gauge("kube_ipvs_desired_addresses", "Virtual addresses wanted.");
  prometheus::Gauge& plan_digest = gauge("kube_ipvs_plan_digest",
      "A number for what this node has planned, as of the last full five minutes at which nothing changed: the same on "
      "all nodes that want the same; 0: not yet.");
  prometheus::Gauge& programmed_version = gauge("kube_ipvs_programmed_version",
      "The resource version up to which everything is carried out; 0: none, or from manifests.");
  prometheus::Gauge& programmed_servers = gauge("kube_ipvs_programmed_virtual_servers",
      "Virtual servers of kube-ipvs in the kernel.");
  prometheus::Gauge& programmed_destinations = gauge("kube_ipvs_programmed_destinations",
      "Destinations of kube-ipvs in the kernel.");
  prometheus::Gauge& programmed_addresses = gauge("kube_ipvs_programmed_addresses",
      "Virtual addresses of kube-ipvs in the kernel.");
  prometheus::Gauge& draining = gauge("kube_ipvs_draining_virtual_servers",
      "Virtual servers with destinations that take no new connections.");
  ServiceSeries draining_destinations{{"kube_ipvs_draining_destinations", "gauge",
      "Destinations that take no new connections and are not wanted any more, of Services that have one."}};
  ServiceSeries draining_connections{{"kube_ipvs_draining_connections", "gauge",
      "Established connections to those destinations, when last read."}};
  prometheus::Gauge& foreign = gauge("kube_ipvs_foreign_virtual_servers",
      "Virtual servers that kube-ipvs does not own, when last checked.");
  prometheus::Gauge& failing = gauge("kube_ipvs_failing_keys",
      "Kernel objects that are not as wanted after the last attempt.");
  GaugeFamily& conditions = gauges("kube_ipvs_conditions",
      "What Services ask for and this node does not do, by reason; /conditions lists it.");
  prometheus::Gauge& kube_proxy_chains = gauge("kube_ipvs_kube_proxy_chains",
      "Chains that kube-proxy has left in nftables and iptables-legacy.");
  prometheus::Gauge& kube_proxy_sets = gauge("kube_ipvs_kube_proxy_ipsets",
      "ipsets that kube-proxy has left.");
  prometheus::Gauge& kube_proxy_running = gauge("kube_ipvs_kube_proxy_running",
      "1 if a kube-proxy runs beside this agent; 0 with --takeover=off.");
  prometheus::Gauge& forward_dropping = gauge("kube_ipvs_forward_dropping_chains",
      "FORWARD chains of others with policy drop and without a rule of kube-ipvs that accepts replies.");
  prometheus::Gauge& services = gauge("kube_ipvs_services", "Services known.");
  prometheus::Gauge& pods = gauge("kube_ipvs_pods", "Pods known.");
  prometheus::Gauge& slices = gauge("kube_ipvs_endpointslices", "EndpointSlices known.");
  GaugeFamily& endpoint_source = gauges("kube_ipvs_endpoint_source",
      "1 for where the endpoints of Services with a selector come from, selector (Pods) or endpointslice; else 0.");

  std::set<k8s::ObjectKey> counted;  // Services with series of their own

  // Under which Service it is counted.
  k8s::ObjectKey counted_as(const k8s::ObjectKey& service) {
    constexpr std::size_t kMostServices = 1000;
    if (!counted.contains(service) && counted.size() >= kMostServices) return {"", "other"};
    counted.insert(service);
    return service;
  }
  std::array<const ServiceSeries*, 4> by_service() const {
    return {&cut, &drained, &draining_destinations, &draining_connections};
  }

  // The series of one family.
  struct OfFamily {
    prometheus::Histogram& sync;
    prometheus::Histogram& programming;
    prometheus::Histogram& conntrack;
    prometheus::Counter& conntrack_deleted;
    prometheus::Counter& rules_refused;
    prometheus::Gauge& last_sync;
    prometheus::Gauge& last_queued;
  };
  OfFamily series_of(const char* name) {
    const prometheus::Labels labels{{"ip_family", name}};
    return {.sync = sync.Add(labels, doubling(0.001, 15)),
            .programming = programming.Add(labels, network_programming_buckets()),
            .conntrack = conntrack.Add(labels, doubling(0.001, 15)),
            .conntrack_deleted = conntrack_deleted.Add(labels),
            .rules_refused = rules_refused.Add(labels),
            .last_sync = last_sync.Add(labels),
            .last_queued = last_queued.Add(labels)};
  }
  OfFamily ipv4 = series_of("IPv4");
  std::optional<OfFamily> ipv6;
  bool serves_ipv6 = false;

  // Those of that family, if this node serves it.
  OfFamily* of(ipvs::Family family) {
    if (family == ipvs::Family::kIpv4) return &ipv4;
    return serves_ipv6 ? &*ipv6 : nullptr;
  }
  template <typename Visit>
  void for_each_family(Visit visit) {
    visit(ipv4);
    if (serves_ipv6) visit(*ipv6);
  }

  Gauges::LackingLocal lacking_local_ipv4, lacking_local_ipv6;
  std::set<std::string> condition_reasons;  // that were exported

  prometheus::Counter& cpu = counter("process_cpu_seconds_total", "User and system CPU time in seconds.");
  prometheus::Gauge& resident = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  prometheus::Gauge& fds = gauge("process_open_fds", "Number of open file descriptors.");
  prometheus::Gauge& started = gauge("process_start_time_seconds", "Unix time of the process's start.");
  // clang-format on
};

}  // namespace agent
