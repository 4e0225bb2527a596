// SPDX-License-Identifier: Apache-2.0
#include "agent/report/scrape.hpp"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "k8s/async/let_others_run.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

// Virtual servers read by one job of the kernel thread: without destinations they cost a message
// each, with them a dump.
constexpr std::size_t kCountersAtOnce = 32;
constexpr std::size_t kDumpsAtOnce = 8;
// Services and ports of a history that are looked at in one step.
constexpr std::size_t kServicesAtOnce = 64;
constexpr std::size_t kPortsAtOnce = 1000;
// From so many endpoints on, a page has used memory that is worth returning to the system.
constexpr std::size_t kManyEndpoints = 10'000;

// A moment of the steady clock as Unix time; 0: never.
double unix_seconds(std::optional<std::chrono::steady_clock::time_point> moment) {
  if (!moment) return 0;
  const auto ago = std::chrono::steady_clock::now() - *moment;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now - ago).count();
}

}  // namespace

Scrape::Scrape(ipvs::Kernel& kernel, KernelThread& thread, const ClusterState& cluster,
               const SyncLoop& sync, const SyncReporter& reporter, const Conditions& conditions,
               const ForwardGuard& forwarding, const KubeProxyGuard& kube_proxy,
               const k8s::Source& source, NodeDigest& digest, Metrics& metrics)
    : kernel_(kernel),
      thread_(thread),
      cluster_(cluster),
      sync_(sync),
      reporter_(reporter),
      conditions_(conditions),
      forwarding_(forwarding),
      kube_proxy_(kube_proxy),
      source_(source),
      digest_(digest),
      metrics_(metrics) {}

asio::awaitable<void> Scrape::write(Page page, BodyWriter write) {
  if (page == Page::kMetrics) {
    set_metrics();
    co_await k8s::let_others_run();
    co_await metrics_.write(write);
  }
  std::size_t endpoints = 0;
  {
    const auto has = page == Page::kEndpoints ? TrafficPage::Has::kEndpoints
                                              : TrafficPage::Has::kPortsAndEndpoints;
    UnderWay scrape{.page = page, .traffic = TrafficPage(has)};
    co_await read_traffic(scrape);
    co_await scrape.traffic.write(write);
    endpoints = scrape.traffic.endpoint_count();
  }
  if (endpoints >= kManyEndpoints) ::malloc_trim(0);
}

void Scrape::set_metrics() {
  metrics_.serves_ipv6(cluster_.has_ipv6());
  metrics_.set(gauges());
  metrics_.set_source(source_.counters());
  if (set_others_) set_others_();
  std::vector<Metrics::Draining> draining;
  for (const auto& [service, of] : sync_.draining()) {
    draining.push_back({.service = service_key(service),
                        .destinations = of.destinations,
                        .connections = of.connections});
  }
  metrics_.set_draining(draining);
}

Metrics::Gauges Scrape::gauges() const {
  const Reconciler& reconciler = sync_.reconciler();
  const NodeDigest::Values digest = digest_.read();
  return {.last_queued = unix_seconds(sync_.last_queued()),
          .queue_depth = sync_.pending(),
          .pending_service_changes = reporter_.pending_service_changes(),
          .pending_endpoint_changes = reporter_.pending_endpoint_changes(),
          .desired_servers = reconciler.desired().server_count(),
          .desired_destinations = reconciler.desired().destination_count(),
          .desired_addresses = reconciler.desired().address_count(),
          .programmed_servers = reconciler.ledger().server_count(),
          .programmed_destinations = reconciler.ledger().destination_count(),
          .programmed_addresses = reconciler.ledger().addresses().size(),
          .plan_digest = digest.common,
          .programmed_version = digest.version,
          .draining_servers = reconciler.ledger().draining_servers().size(),
          .foreign_servers = reconciler.foreign_count(),
          .failing_keys = reconciler.failed_count(),
          .conditions = conditions_.count(),
          .forward_dropping = forwarding_.unattended(),
          .kube_proxy_chains = kube_proxy_.chains_left(),
          .kube_proxy_sets = kube_proxy_.sets_left(),
          .kube_proxy_running = kube_proxy_.runs(),
          .lacking_local_ipv4 = {reporter_.lacking_local_internal(ipvs::Family::kIpv4),
                                 reporter_.lacking_local_external(ipvs::Family::kIpv4)},
          .lacking_local_ipv6 = {reporter_.lacking_local_internal(ipvs::Family::kIpv6),
                                 reporter_.lacking_local_external(ipvs::Family::kIpv6)},
          .services = cluster_.services().size(),
          .pods = cluster_.endpoints().pod_count(),
          .slices = cluster_.endpoints().slice_count(),
          .endpoints_from_pods = cluster_.endpoints().source() == EndpointSource::kSelector};
}

// The virtual servers of this port that its Service owns. The traffic of one that another Service
// has, or that is foreign, does not belong to this port.
std::vector<ipvs::ServerKey> Scrape::own_servers(const ClusterState::PortToRead& port) const {
  const ipvs::Owner service = port.port.ns + "/" + port.port.service;
  std::vector<ipvs::ServerKey> own;
  for (const ipvs::ServerKey& key : port.servers) {
    const ipvs::Owner* owner = sync_.reconciler().desired().owner_of(key);
    if (owner && *owner == service) own.push_back(key);
  }
  return own;
}

asio::awaitable<void> Scrape::read_traffic(UnderWay& scrape) {
  if (scrape.page == Page::kMetrics) scrape.of_ports = port_history_.start_scrape();
  scrape.of_endpoints = endpoint_history_.start_scrape();
  ClusterState::PortCursor place;
  while (!place.at_end) {
    co_await read_ports(scrape, cluster_.ports_to_read(place, kServicesAtOnce));
    co_await k8s::let_others_run();
  }
  std::string known;
  while (endpoint_history_.finish_part(scrape.of_endpoints, known, kPortsAtOnce))
    co_await k8s::let_others_run();
  if (scrape.page != Page::kMetrics) co_return;
  known.clear();
  while (port_history_.finish_part(scrape.of_ports, known, kPortsAtOnce))
    co_await k8s::let_others_run();
}

asio::awaitable<void> Scrape::read_ports(UnderWay& scrape,
                                         std::vector<ClusterState::PortToRead> ports) {
  std::vector<ipvs::ServerKey> keys;
  for (std::size_t first = 0; first < ports.size();) {
    const auto wants_endpoints = [&](const ClusterState::PortToRead& port) {
      return scrape.page == Page::kEndpoints || port.has_endpoints;
    };
    const bool with_endpoints = wants_endpoints(ports[first]);
    const std::size_t most = with_endpoints ? kDumpsAtOnce : kCountersAtOnce;
    keys.clear();
    std::size_t last = first;
    for (; last < ports.size() && wants_endpoints(ports[last]) == with_endpoints &&
           (last == first || keys.size() < most);
         ++last) {
      const std::vector<ipvs::ServerKey> own = own_servers(ports[last]);
      keys.insert(keys.end(), own.begin(), own.end());
    }
    const auto readings = co_await thread_.run(
        [&] { return with_endpoints ? kernel_.read_servers(keys) : kernel_.read_counters(keys); });
    for (; first < last; ++first) {
      if (readings) {
        add_traffic(scrape, ports[first], with_endpoints, *readings);
      } else {
        keep(scrape, ports[first]);
      }
      ports[first] = {};
    }
  }
}

void Scrape::keep(const UnderWay& scrape, const ClusterState::PortToRead& port) {
  endpoint_history_.keep(scrape.of_endpoints, port.port);
  if (scrape.page == Page::kMetrics) port_history_.keep(scrape.of_ports, port.port);
}

void Scrape::add_traffic(UnderWay& scrape, ClusterState::PortToRead& port, bool with_endpoints,
                         const std::vector<ipvs::ServerReading>& readings) {
  const k8s::ObjectKey service{.ns = port.port.ns, .name = port.port.service};
  const PodName pod_name = [&](const ipvs::Address& address) {
    return cluster_.pod_at(address, service);
  };
  std::vector<const ipvs::ServerReading*> own;
  for (const ipvs::ServerReading& reading : readings) {
    const auto& servers = port.servers;
    if (std::find(servers.begin(), servers.end(), reading.settings.key) == servers.end()) continue;
    own.push_back(&reading);
    add_reading(port.port, reading, pod_name);
  }
  const auto listed = [&] { return cluster_.endpoints_of(port); };
  if (scrape.page == Page::kMetrics) {
    port_history_.carry_on(scrape.of_ports, port.port, own, listed);
  }
  if (with_endpoints) {
    endpoint_history_.carry_on(scrape.of_endpoints, port.port, own, listed);
  } else {
    endpoint_history_.keep(scrape.of_endpoints, port.port);
  }
  scrape.traffic.add(port.port);
}

}  // namespace agent
