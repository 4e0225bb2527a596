// SPDX-License-Identifier: Apache-2.0
//
// What the agent reports to people about Services and the node: a warning in the log and a
// Kubernetes Event, once each.
//
// Events wait until the first table is in the kernel, or for 10 s, because the API server is busy
// when agents start.
//
// Threading: the agent's io_context thread.
// Metrics: kube_ipvs_events_total.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <string>

#include "agent/cluster/cluster_state.hpp"
#include "agent/report/event_recorder.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/once_per_service.hpp"

namespace agent {

class ServiceReporter {
 public:
  // `client`: nullptr where there is no API server; then there are no Events.
  ServiceReporter(boost::asio::any_io_executor executor, k8s::ApiClient* client,
                  std::string node_name, const ClusterState& cluster, Metrics& metrics,
                  const char* controller = EventRecorder::kController);

  // Posts Events until cancelled.
  boost::asio::awaitable<void> run();
  // The first table is in the kernel: Events need not wait any longer.
  void release_events();

  // Reports something about a Service, once for each reason and note until the Service is deleted.
  // True: it was reported now. `reason` and `action` as in agent/report/event_recorder.hpp.
  bool warn(const ipvs::Owner& service, std::string reason, std::string action, std::string note);
  void forget(const ipvs::Owner& service) { once_.forget(service); }

  // One of our HTTP servers, "metrics" or "healthz", has no port. In the log and as kube-proxy's
  // Event about the node; every time.
  void port_not_opened(const std::string& server, const std::string& fault);
  // The same for a Service's health check node port.
  void health_check_not_served(const k8s::ObjectKey& service, std::uint16_t port,
                               const std::string& fault);

  // Reports something about the node, every time.
  void warn_of_node(const std::string& reason, const std::string& action, const std::string& note);

 private:
  void post(const ipvs::Owner& service, std::string reason, std::string action, std::string note);

  const std::string node_name_;
  const ClusterState& cluster_;
  EventRecorder recorder_;
  boost::asio::steady_timer hold_;
  OncePerService once_;
};

}  // namespace agent
