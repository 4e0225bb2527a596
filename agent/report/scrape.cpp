// SPDX-License-Identifier: Apache-2.0
#include "agent/report/scrape.hpp"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;

// Virtual servers read by one job of the kernel thread.
constexpr std::size_t kReadAtOnce = 64;

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
               const k8s::Source& source, Metrics& metrics)
    : kernel_(kernel),
      thread_(thread),
      cluster_(cluster),
      sync_(sync),
      reporter_(reporter),
      conditions_(conditions),
      forwarding_(forwarding),
      kube_proxy_(kube_proxy),
      source_(source),
      metrics_(metrics) {}

asio::awaitable<void> Scrape::write(BodyWriter write) {
  metrics_.set(gauges());
  metrics_.set_source(source_.counters());
  std::vector<Metrics::Draining> draining;
  for (const auto& [service, of] : sync_.draining()) {
    draining.push_back({.service = service_key(service),
                        .destinations = of.destinations,
                        .connections = of.connections});
  }
  metrics_.set_draining(draining);
  const std::string own = metrics_.text();
  co_await write(own);
  {
    const TrafficPage page = co_await read_traffic();
    co_await page.write(write);
  }
  // A megabyte or more at a large table, not needed again for many seconds.
  ::malloc_trim(0);
}

Metrics::Gauges Scrape::gauges() const {
  const Reconciler& reconciler = sync_.reconciler();
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
          .draining_servers = reconciler.ledger().draining_servers().size(),
          .foreign_servers = reconciler.foreign_count(),
          .failing_keys = reconciler.failed_count(),
          .conditions = conditions_.count(),
          .forward_dropping = forwarding_.unattended(),
          .kube_proxy_chains = kube_proxy_.chains_left(),
          .kube_proxy_sets = kube_proxy_.sets_left(),
          .kube_proxy_running = kube_proxy_.runs(),
          .lacking_local_internal = reporter_.lacking_local_internal(),
          .lacking_local_external = reporter_.lacking_local_external(),
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

asio::awaitable<TrafficPage> Scrape::read_traffic() {
  const TrafficHistory::ScrapeId scrape = history_.start_scrape();
  std::vector<ClusterState::PortToRead> ports = cluster_.ports_to_read();
  TrafficPage page;
  std::vector<ipvs::ServerKey> keys;
  for (std::size_t first = 0; first < ports.size();) {
    keys.clear();
    std::size_t last = first;
    for (; last < ports.size() && (last == first || keys.size() < kReadAtOnce); ++last) {
      const std::vector<ipvs::ServerKey> own = own_servers(ports[last]);
      keys.insert(keys.end(), own.begin(), own.end());
    }
    const auto readings = co_await thread_.run([&] { return kernel_.read_servers(keys); });
    for (; first < last; ++first) {
      if (readings) {
        add_traffic(scrape, ports[first], *readings, page);
      } else {
        history_.keep(scrape, ports[first].port);
      }
      ports[first] = {};
    }
  }
  history_.finish_scrape(scrape);
  co_return page;
}

void Scrape::add_traffic(TrafficHistory::ScrapeId scrape, ClusterState::PortToRead& port,
                         const std::vector<ipvs::ServerReading>& readings, TrafficPage& page) {
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
  history_.carry_on(scrape, port.port, own, [&] { return cluster_.endpoints_of(port); });
  page.add(port.port);
}

}  // namespace agent
