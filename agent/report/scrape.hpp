// SPDX-License-Identifier: Apache-2.0
//
// The pages of metrics, read from the kernel for each page:
//   /metrics             the agent's own metrics, the traffic of every Service port, and that of the
//                        endpoints that --metrics-endpoints and their Service ask for
//   /metrics/endpoints   the traffic of every endpoint
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread. A page
// is made in steps of a few virtual servers or KiB, each well below a millisecond, and other work of
// the thread goes on between two steps, so a scrape never keeps a sync waiting for long
// (test/bench/metrics_bench.cpp measures the longest step). Scrapes may overlap.
// Errors: what cannot be read is left out: a gap in the series, rather than counters of 0.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/report/conditions.hpp"
#include "agent/report/http_server.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/node_digest.hpp"
#include "agent/report/sync_reporter.hpp"
#include "agent/report/traffic_history.hpp"
#include "agent/report/traffic_metrics.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/kube_proxy_guard.hpp"
#include "agent/sync/sync_loop.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/source.hpp"

namespace agent {

class Scrape {
 public:
  Scrape(ipvs::Kernel& kernel, KernelThread& thread, const ClusterState& cluster,
         const SyncLoop& sync, const SyncReporter& reporter, const Conditions& conditions,
         const ForwardGuard& forwarding, const KubeProxyGuard& kube_proxy,
         const k8s::Source& source, NodeDigest& digest, Metrics& metrics);

  // Called before a page of metrics, for what others count.
  void before_metrics(std::function<void()> set) { set_others_ = std::move(set); }

  enum class Page : std::uint8_t { kMetrics, kEndpoints };
  // Writes the whole page.
  boost::asio::awaitable<void> write(Page page, BodyWriter write);

 private:
  // One page under way. The numbers are those of the histories.
  struct UnderWay {
    Page page;
    TrafficPage traffic;
    TrafficHistory::ScrapeId of_ports = 0;
    TrafficHistory::ScrapeId of_endpoints = 0;
  };

  Metrics::Gauges gauges() const;
  void set_metrics();
  boost::asio::awaitable<void> read_traffic(UnderWay& scrape);
  boost::asio::awaitable<void> read_ports(UnderWay& scrape,
                                          std::vector<ClusterState::PortToRead> ports);
  std::vector<ipvs::ServerKey> own_servers(const ClusterState::PortToRead& port) const;
  void add_traffic(UnderWay& scrape, ClusterState::PortToRead& port, bool with_endpoints,
                   const std::vector<ipvs::ServerReading>& readings);
  void keep(const UnderWay& scrape, const ClusterState::PortToRead& port);

  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const ClusterState& cluster_;
  const SyncLoop& sync_;
  const SyncReporter& reporter_;
  const Conditions& conditions_;
  const ForwardGuard& forwarding_;
  const KubeProxyGuard& kube_proxy_;
  const k8s::Source& source_;
  NodeDigest& digest_;
  Metrics& metrics_;
  std::function<void()> set_others_;
  TrafficHistory port_history_{TrafficHistory::Covers::kPorts};
  TrafficHistory endpoint_history_{TrafficHistory::Covers::kEndpoints};
};

}  // namespace agent
