// SPDX-License-Identifier: Apache-2.0
#include "agent/report/metrics.hpp"

#include <cstring>
#include <utility>

#include "agent/report/family_text.hpp"
#include "agent/report/metric_families.hpp"
#include "agent/report/process_stats.hpp"

namespace agent {
namespace {

std::string errno_name(int error_number) {
  const char* name = error_number > 0 ? ::strerrorname_np(error_number) : nullptr;
  return name ? name : "UNKNOWN";
}

// A gauge with the suffix of a counter, which promtool rejects; the name is kube-proxy's. Therefore
// it is written without a type.
constexpr const char* kNoLocal = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
std::string no_local_head() {
  return "# HELP " + std::string(kNoLocal) +
         " Services with a traffic policy of Local and endpoints on other nodes only.\n";
}
std::string no_local_text(const char* family, const Metrics::Gauges::LackingLocal& lacking) {
  const auto line = [family](const char* policy, std::size_t count) {
    std::string text(kNoLocal);
    text.append("{traffic_policy=\"").append(policy).append("\",ip_family=\"").append(family);
    return text.append("\"} ").append(std::to_string(count)).append("\n");
  };
  return line("internal", lacking.internal) + line("external", lacking.external);
}

// A counter whose value is counted elsewhere.
void raise_to(prometheus::Counter& counter, double value) {
  const double counted = counter.Value();
  if (value > counted) counter.Increment(value - counted);
}

}  // namespace

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  prometheus::BuildGauge()
      .Name("kube_ipvs_build_info")
      .Help("The version, as a label; always 1.")
      .Register(impl_->registry)
      .Add({{"version", KUBE_IPVS_VERSION}})
      .Set(1);
  set_localhost_ports({});
}

Metrics::~Metrics() = default;

void Metrics::serves_ipv6(bool serves) {
  impl_->serves_ipv6 = serves;
  if (serves && !impl_->ipv6) impl_->ipv6.emplace(impl_->series_of("IPv6"));
}

void Metrics::pass(double total_seconds, double planning_seconds, double kernel_seconds,
                   std::size_t operations, double unix_now) {
  impl_->for_each_family([&](Impl::OfFamily& family) {
    family.sync.Observe(total_seconds);
    family.last_sync.Set(unix_now);
  });
  impl_->planning.Observe(planning_seconds);
  impl_->kernel.Observe(kernel_seconds);
  impl_->operations.Increment(static_cast<double>(operations));
}

void Metrics::service_changed() { impl_->service_changes.Increment(); }
void Metrics::endpoint_changed() { impl_->endpoint_changes.Increment(); }
void Metrics::programming_latency(ipvs::Family family, double seconds) {
  if (auto* of = impl_->of(family)) of->programming.Observe(seconds);
}
void Metrics::rules_refused(ipvs::Family family) {
  if (auto* of = impl_->of(family)) of->rules_refused.Increment();
}
void Metrics::flows_forgotten(ipvs::Family family, std::size_t flows, double seconds) {
  auto* of = impl_->of(family);
  if (!of) return;
  of->conntrack.Observe(seconds);
  of->conntrack_deleted.Increment(static_cast<double>(flows));
}

// component-base's metrics/prometheus/restclient/metrics.go. A status that HTTP does not have is no
// label.
void Metrics::api_request(const k8s::RequestReport& request) {
  const bool has_code = request.status >= 100 && request.status < 600;
  const std::string code = has_code ? std::to_string(request.status) : "<error>";
  const std::string method(request.method);
  const std::string host(request.host);
  impl_->requests.Add({{"code", code}, {"method", method}, {"host", host}}).Increment();
  if (!request.time) return;
  impl_->request_time
      .Add({{"verb", method}, {"host", host}},
           Impl::Buckets{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60})
      .Observe(request.time->count());
}

void Metrics::kernel_error(const std::string& command, int error_number) {
  impl_->kernel_errors.Add({{"command", command}, {"errno", errno_name(error_number)}}).Increment();
}

void Metrics::drift(const std::string& kind, std::size_t count) {
  impl_->drift.Add({{"kind", kind}}).Increment(static_cast<double>(count));
}
void Metrics::set_localhost_ports(const LocalhostPorts& ports) {
  impl_->localhost_ports.Set(static_cast<double>(ports.listeners));
  impl_->localhost_connections.Set(static_cast<double>(ports.connections));
  for (const auto& [result, count] :
       {std::pair{"relayed", ports.relayed}, std::pair{"refused", ports.refused},
        std::pair{"failed", ports.failed}}) {
    raise_to(impl_->localhost_results.Add({{"result", std::string(result)}}),
             static_cast<double>(count));
  }
  raise_to(impl_->localhost_bind_failures, static_cast<double>(ports.bind_failures));
}
void Metrics::set_dns_requests(std::string_view protocol, std::string_view type,
                               std::string_view rcode, std::uint64_t count) {
  raise_to(impl_->dns_requests.Add({{"protocol", std::string(protocol)},
                                    {"type", std::string(type)},
                                    {"rcode", std::string(rcode)}}),
           static_cast<double>(count));
}
void Metrics::set_dns_names(std::size_t count) { impl_->dns_names.Set(static_cast<double>(count)); }
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
  impl_->cut.at(impl_->counted_as(service), cause) += count;
}
void Metrics::connections_drained(const k8s::ObjectKey& service, std::uint64_t count) {
  impl_->drained.at(impl_->counted_as(service)) += count;
}

void Metrics::set_draining(const std::vector<Draining>& services) {
  impl_->draining_destinations.clear();
  impl_->draining_connections.clear();
  for (const Draining& each : services) {
    impl_->draining_destinations.at(each.service) = each.destinations;
    impl_->draining_connections.at(each.service) = each.connections;
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
  impl_->for_each_family(
      [&](Impl::OfFamily& family) { family.last_queued.Set(gauges.last_queued); });
  put(impl_->queue, gauges.queue_depth);
  put(impl_->service_pending, gauges.pending_service_changes);
  put(impl_->endpoint_pending, gauges.pending_endpoint_changes);
  put(impl_->desired_servers, gauges.desired_servers);
  put(impl_->desired_destinations, gauges.desired_destinations);
  put(impl_->desired_addresses, gauges.desired_addresses);
  put(impl_->plan_digest, gauges.plan_digest);
  put(impl_->programmed_version, gauges.programmed_version);
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
  impl_->lacking_local_ipv4 = gauges.lacking_local_ipv4;
  impl_->lacking_local_ipv6 = gauges.lacking_local_ipv6;
  put(impl_->services, gauges.services);
  put(impl_->pods, gauges.pods);
  put(impl_->slices, gauges.slices);
  put(impl_->endpoint_source.Add({{"source", "selector"}}), gauges.endpoints_from_pods ? 1 : 0);
  put(impl_->endpoint_source.Add({{"source", "endpointslice"}}),
      gauges.endpoints_from_pods ? 0 : 1);
}

void Metrics::set_source(const std::vector<k8s::KindCounters>& kinds) {
  const auto raise = [](Impl::Counters& family, const std::string& kind, std::uint64_t value) {
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

std::vector<prometheus::MetricFamily> Metrics::Impl::collect() {
  const ProcessStats stats = read_process_stats();
  raise_to(cpu, stats.cpu_seconds);
  resident.Set(stats.resident_bytes);
  fds.Set(stats.open_fds);
  started.Set(stats.start_time_seconds);
  return registry.Collect();
}

std::string Metrics::Impl::no_local() const {
  return no_local_head() + no_local_text("IPv4", lacking_local_ipv4) +
         (serves_ipv6 ? no_local_text("IPv6", lacking_local_ipv6) : std::string());
}

std::string Metrics::text() const {
  FamilyText pieces(impl_->collect());
  std::string text;
  for (std::string piece = pieces.next(); !piece.empty(); piece = pieces.next()) text += piece;
  for (const ServiceSeries* series : impl_->by_service()) {
    ServiceSeries::Place place;
    for (std::string part = series->next(place); !part.empty(); part = series->next(place)) {
      text += part;
    }
  }
  return text + impl_->no_local();
}

boost::asio::awaitable<void> Metrics::write(const TextWriter& write) const {
  FamilyText pieces(impl_->collect());
  for (std::string piece = pieces.next(); !piece.empty(); piece = pieces.next()) {
    co_await write(piece);
  }
  const auto by_service = impl_->by_service();
  for (const ServiceSeries* series : by_service) {
    ServiceSeries::Place place;
    for (std::string part = series->next(place); !part.empty(); part = series->next(place)) {
      co_await write(part);
    }
  }
  const std::string last = impl_->no_local();
  co_await write(last);
}

}  // namespace agent
