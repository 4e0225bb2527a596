// SPDX-License-Identifier: Apache-2.0
#include "agent/report/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstring>
#include <set>
#include <utility>

#include "agent/report/process_stats.hpp"

namespace agent {
namespace {

using Counters = prometheus::Family<prometheus::Counter>;
using GaugeFamily = prometheus::Family<prometheus::Gauge>;
using Buckets = prometheus::Histogram::BucketBoundaries;

Buckets doubling(double first, int count) {
  Buckets buckets;
  for (int i = 0; i < count; ++i, first *= 2) buckets.push_back(first);
  return buckets;
}

// kube-proxy's: 0.25, 0.5, 1 to 59 by 1, 60 to 115 by 5, 120 to 300 by 30.
Buckets network_programming_buckets() {
  Buckets buckets{0.25, 0.5};
  for (int s = 1; s < 60; ++s) buckets.push_back(s);
  for (int s = 60; s < 120; s += 5) buckets.push_back(s);
  for (int s = 120; s <= 300; s += 30) buckets.push_back(s);
  return buckets;
}

std::string errno_name(int error_number) {
  const char* name = error_number > 0 ? ::strerrorname_np(error_number) : nullptr;
  return name ? name : "UNKNOWN";
}

// A gauge with the suffix of a counter, which promtool rejects; the name is kube-proxy's. Therefore
// it is written without a type.
std::string no_local_text(std::size_t internal, std::size_t external) {
  const std::string name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
  return "# HELP " + name +
         " Services with a traffic policy of Local and endpoints on other nodes only.\n" + name +
         "{traffic_policy=\"internal\"} " + std::to_string(internal) + "\n" + name +
         "{traffic_policy=\"external\"} " + std::to_string(external) + "\n";
}

// A counter whose value is counted elsewhere.
void raise_to(prometheus::Counter& counter, double value) {
  const double counted = counter.Value();
  if (value > counted) counter.Increment(value - counted);
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;

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

  // clang-format off
  prometheus::Histogram& sync = histogram("kubeproxy_sync_proxy_rules_duration_seconds",
      "Time from the start of a sync until the kernel has its result.", doubling(0.001, 15));
  prometheus::Gauge& last_sync = gauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds",
      "Unix time of the end of the last sync.");
  prometheus::Gauge& last_queued = gauge("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
      "Unix time at which a sync was last queued.");
  prometheus::Counter& endpoint_changes = counter("kubeproxy_sync_proxy_rules_endpoint_changes_total",
      "Changes of a Service's endpoints.");
  prometheus::Counter& service_changes = counter("kubeproxy_sync_proxy_rules_service_changes_total",
      "Changes of Services.");
  prometheus::Gauge& endpoint_pending = gauge("kubeproxy_sync_proxy_rules_endpoint_changes_pending",
      "Endpoint changes that are not in the kernel yet.");
  prometheus::Gauge& service_pending = gauge("kubeproxy_sync_proxy_rules_service_changes_pending",
      "Service changes that are not in the kernel yet.");
  prometheus::Histogram& programming = histogram("kubeproxy_network_programming_duration_seconds",
      "Time from the change that triggered an EndpointSlice until the kernel has it.",
      network_programming_buckets());
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
  Counters& cut = counters("kube_ipvs_connections_cut_total",
      "Established TCP and SCTP connections to destinations that were deleted: the next packet ends them; by Service and cause. Neither UDP nor connections that were closing.");
  Counters& drained = counters("kube_ipvs_connections_drained_total",
      "Established TCP connections to draining destinations that ended by themselves.");
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
  prometheus::Gauge& programmed_servers = gauge("kube_ipvs_programmed_virtual_servers",
      "Virtual servers of kube-ipvs in the kernel.");
  prometheus::Gauge& programmed_destinations = gauge("kube_ipvs_programmed_destinations",
      "Destinations of kube-ipvs in the kernel.");
  prometheus::Gauge& programmed_addresses = gauge("kube_ipvs_programmed_addresses",
      "Virtual addresses of kube-ipvs in the kernel.");
  prometheus::Gauge& draining = gauge("kube_ipvs_draining_virtual_servers",
      "Virtual servers with destinations that take no new connections.");
  GaugeFamily& draining_destinations = gauges("kube_ipvs_draining_destinations",
      "Destinations that take no new connections and are not wanted any more, of Services that have one.");
  GaugeFamily& draining_connections = gauges("kube_ipvs_draining_connections",
      "Established connections to those destinations, when last read.");
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
      "1 if a kube-proxy runs beside this agent.");
  prometheus::Gauge& forward_dropping = gauge("kube_ipvs_forward_dropping_chains",
      "FORWARD chains of others with policy drop and without a rule of kube-ipvs that accepts replies.");
  prometheus::Gauge& services = gauge("kube_ipvs_services", "Services known.");
  prometheus::Gauge& pods = gauge("kube_ipvs_pods", "Pods known.");
  prometheus::Gauge& slices = gauge("kube_ipvs_endpointslices", "EndpointSlices known.");
  GaugeFamily& endpoint_source = gauges("kube_ipvs_endpoint_source",
      "1 for where the endpoints of Services with a selector come from, selector (Pods) or endpointslice; else 0.");

  std::set<k8s::ObjectKey> counted;  // Services with series of their own
  std::vector<std::pair<prometheus::Gauge*, prometheus::Gauge*>> drains;  // that are exported

  prometheus::Labels labels_of(const k8s::ObjectKey& service) {
    constexpr std::size_t kMostServices = 1000;
    if (!counted.contains(service) && counted.size() >= kMostServices) {
      return {{"namespace", ""}, {"name", "other"}};
    }
    counted.insert(service);
    return {{"namespace", service.ns}, {"name", service.name}};
  }

  std::size_t no_local_internal = 0, no_local_external = 0;
  std::set<std::string> condition_reasons;  // that were exported

  prometheus::Counter& cpu = counter("process_cpu_seconds_total", "User and system CPU time in seconds.");
  prometheus::Gauge& resident = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  prometheus::Gauge& fds = gauge("process_open_fds", "Number of open file descriptors.");
  prometheus::Gauge& started = gauge("process_start_time_seconds", "Unix time of the process's start.");
  // clang-format on
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  prometheus::BuildGauge()
      .Name("kube_ipvs_build_info")
      .Help("The version, as a label; always 1.")
      .Register(impl_->registry)
      .Add({{"version", KUBE_IPVS_VERSION}})
      .Set(1);
}

Metrics::~Metrics() = default;

void Metrics::pass(double total_seconds, double planning_seconds, double kernel_seconds,
                   std::size_t operations, double unix_now) {
  impl_->sync.Observe(total_seconds);
  impl_->planning.Observe(planning_seconds);
  impl_->kernel.Observe(kernel_seconds);
  impl_->operations.Increment(static_cast<double>(operations));
  impl_->last_sync.Set(unix_now);
}

void Metrics::service_changed() { impl_->service_changes.Increment(); }
void Metrics::endpoint_changed() { impl_->endpoint_changes.Increment(); }
void Metrics::programming_latency(double seconds) { impl_->programming.Observe(seconds); }

void Metrics::kernel_error(const std::string& command, int error_number) {
  impl_->kernel_errors.Add({{"command", command}, {"errno", errno_name(error_number)}}).Increment();
}

void Metrics::drift(const std::string& kind, std::size_t count) {
  impl_->drift.Add({{"kind", kind}}).Increment(static_cast<double>(count));
}
void Metrics::config_loaded(double unix_now) {
  for (const char* result : {"applied", "refused", "unchanged"}) {
    impl_->config_reloads.Add({{"result", result}});
  }
  impl_->config_successful.Set(1);
  impl_->config_success_time.Set(unix_now);
}
void Metrics::config_reload(const std::string& result, double unix_now) {
  impl_->config_reloads.Add({{"result", result}}).Increment();
  const bool is_valid = result != "refused";
  impl_->config_successful.Set(is_valid ? 1 : 0);
  if (is_valid) impl_->config_success_time.Set(unix_now);
}
void Metrics::config_needs_restart(bool needed) { impl_->config_restart.Set(needed ? 1 : 0); }

void Metrics::conflict() { impl_->conflicts.Increment(); }
void Metrics::taken_over() { impl_->taken_over.Increment(); }
void Metrics::connections_cut(const k8s::ObjectKey& service, const std::string& cause,
                              std::uint64_t count) {
  prometheus::Labels labels = impl_->labels_of(service);
  labels["cause"] = cause;
  impl_->cut.Add(labels).Increment(static_cast<double>(count));
}
void Metrics::connections_drained(const k8s::ObjectKey& service, std::uint64_t count) {
  impl_->drained.Add(impl_->labels_of(service)).Increment(static_cast<double>(count));
}

void Metrics::set_draining(const std::vector<Draining>& services) {
  for (const auto& [destinations, connections] : std::exchange(impl_->drains, {})) {
    impl_->draining_destinations.Remove(destinations);
    impl_->draining_connections.Remove(connections);
  }
  for (const Draining& each : services) {
    const prometheus::Labels labels{{"namespace", each.service.ns}, {"name", each.service.name}};
    prometheus::Gauge& destinations = impl_->draining_destinations.Add(labels);
    prometheus::Gauge& connections = impl_->draining_connections.Add(labels);
    destinations.Set(static_cast<double>(each.destinations));
    connections.Set(static_cast<double>(each.connections));
    impl_->drains.emplace_back(&destinations, &connections);
  }
}

void Metrics::address_refused() { impl_->refused_addresses.Increment(); }

void Metrics::source_fault(const std::string& kind) {
  impl_->source_faults.Add({{"kind", kind}}).Increment();
}

void Metrics::event(const std::string& result) {
  impl_->events.Add({{"result", result}}).Increment();
}

void Metrics::health_answered(bool livez, int code) {
  (livez ? impl_->livez : impl_->healthz).Add({{"code", std::to_string(code)}}).Increment();
}

void Metrics::set(const Gauges& gauges) {
  const auto put = [](prometheus::Gauge& gauge, std::size_t value) {
    gauge.Set(static_cast<double>(value));
  };
  impl_->last_queued.Set(gauges.last_queued);
  put(impl_->queue, gauges.queue_depth);
  put(impl_->service_pending, gauges.pending_service_changes);
  put(impl_->endpoint_pending, gauges.pending_endpoint_changes);
  put(impl_->desired_servers, gauges.desired_servers);
  put(impl_->desired_destinations, gauges.desired_destinations);
  put(impl_->desired_addresses, gauges.desired_addresses);
  put(impl_->programmed_servers, gauges.programmed_servers);
  put(impl_->programmed_destinations, gauges.programmed_destinations);
  put(impl_->programmed_addresses, gauges.programmed_addresses);
  put(impl_->draining, gauges.draining_servers);
  put(impl_->foreign, gauges.foreign_servers);
  put(impl_->failing, gauges.failing_keys);
  for (const auto& [reason, count] : gauges.conditions) impl_->condition_reasons.insert(reason);
  for (const std::string& reason : impl_->condition_reasons) {
    const auto found = gauges.conditions.find(reason);
    put(impl_->conditions.Add({{"reason", reason}}),
        found == gauges.conditions.end() ? 0 : found->second);
  }
  put(impl_->forward_dropping, gauges.forward_dropping);
  put(impl_->kube_proxy_chains, gauges.kube_proxy_chains);
  put(impl_->kube_proxy_sets, gauges.kube_proxy_sets);
  put(impl_->kube_proxy_running, gauges.kube_proxy_running ? 1 : 0);
  impl_->no_local_internal = gauges.lacking_local_internal;
  impl_->no_local_external = gauges.lacking_local_external;
  put(impl_->services, gauges.services);
  put(impl_->pods, gauges.pods);
  put(impl_->slices, gauges.slices);
  put(impl_->endpoint_source.Add({{"source", "selector"}}), gauges.endpoints_from_pods ? 1 : 0);
  put(impl_->endpoint_source.Add({{"source", "endpointslice"}}),
      gauges.endpoints_from_pods ? 0 : 1);
}

void Metrics::set_source(const std::vector<k8s::KindCounters>& kinds) {
  const auto raise = [](Counters& family, const std::string& kind, std::uint64_t value) {
    raise_to(family.Add({{"kind", kind}}), static_cast<double>(value));
  };
  for (const k8s::KindCounters& of : kinds) {
    raise(impl_->lists, of.kind, of.lists);
    raise(impl_->relists, of.kind, of.relists);
    raise(impl_->watches, of.kind, of.watches);
    raise(impl_->source_events, of.kind, of.events);
    raise(impl_->bookmarks, of.kind, of.bookmarks);
    raise(impl_->page_retries, of.kind, of.page_retries);
    raise(impl_->probes, of.kind, of.probes);
    raise(impl_->confirmations, of.kind, of.confirmations);
    raise(impl_->received, of.kind, of.bytes);
    impl_->last_contact.Add({{"kind", of.kind}}).Set(of.seconds_since_contact);
  }
}

std::string Metrics::text() const {
  const ProcessStats stats = read_process_stats();
  raise_to(impl_->cpu, stats.cpu_seconds);
  impl_->resident.Set(stats.resident_bytes);
  impl_->fds.Set(stats.open_fds);
  impl_->started.Set(stats.start_time_seconds);
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect()) +
         no_local_text(impl_->no_local_internal, impl_->no_local_external);
}

}  // namespace agent
