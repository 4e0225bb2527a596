// SPDX-License-Identifier: Apache-2.0
//
// The /metrics page: the agent's own metrics, then the traffic of every Service port and endpoint,
// read from the kernel for this page.
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread, a few
// virtual servers at a time, so that a scrape never keeps a sync waiting for long. Scrapes may
// overlap.
// Errors: what cannot be read is left out: a gap in the series, rather than counters of 0.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/report/conditions.hpp"
#include "agent/report/http_server.hpp"
#include "agent/report/metrics.hpp"
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
         const k8s::Source& source, Metrics& metrics);

  // Writes the whole page.
  boost::asio::awaitable<void> write(BodyWriter write);

 private:
  Metrics::Gauges gauges() const;
  boost::asio::awaitable<TrafficPage> read_traffic();
  std::vector<ipvs::ServerKey> own_servers(const ClusterState::PortToRead& port) const;
  void add_traffic(TrafficHistory::ScrapeId scrape, ClusterState::PortToRead& port,
                   const std::vector<ipvs::ServerReading>& readings, TrafficPage& page);

  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const ClusterState& cluster_;
  const SyncLoop& sync_;
  const SyncReporter& reporter_;
  const Conditions& conditions_;
  const ForwardGuard& forwarding_;
  const KubeProxyGuard& kube_proxy_;
  const k8s::Source& source_;
  Metrics& metrics_;
  TrafficHistory history_;
};

}  // namespace agent
