// SPDX-License-Identifier: Apache-2.0
//
// spec.healthCheckNodePort: HTTP servers that tell load balancers whether this node has endpoints
// of a Service with type LoadBalancer and externalTrafficPolicy Local. As kube-proxy does in
// pkg/proxy/healthcheck/service_health.go:
//
//   200  there are ready endpoints on this node, and the agent is healthy
//   503  otherwise, also if the only endpoints here are terminating
//
//   X-Load-Balancing-Endpoint-Weight: N
//   {"service":{"namespace":"default","name":"web"},"localEndpoints":N,"serviceProxyHealthy":true}
//
// N counts addresses, each once for all of its ports; of a dual-stack Service, the family with more
// of them counts (kube-proxy has one proxy per family).
//
// agent/decide/health_checks.hpp decides which servers there should be; HealthCheckPorts runs them.
//
// Threading: the agent's io_context thread.
// Errors: a port that another process uses is reported once and retried every 5 s; success is
// reported, too. It does not make the agent unhealthy, which would affect every other Service.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/health_checks.hpp"
#include "agent/report/http_server.hpp"
#include "k8s/types.hpp"

namespace agent {

HttpAnswer health_check_answer(const k8s::ObjectKey& service, std::size_t local_endpoints,
                               bool proxy_healthy);

class HealthCheckPorts {
 public:
  struct Options {
    std::function<bool()> proxy_healthy;
    // A port is not served, or is after all.
    std::function<void(const k8s::ObjectKey&, std::uint16_t port, const std::string& fault)> warn;
    std::function<void(const k8s::ObjectKey&, std::uint16_t port)> served;
    std::chrono::milliseconds retry{5000};
    HttpConnections* connections = nullptr;  // see HttpServer::Options
  };
  HealthCheckPorts(boost::asio::any_io_executor executor, Options options);
  ~HealthCheckPorts();

  // The Services that changed; nullopt: it needs no health check.
  using Changes = std::map<k8s::ObjectKey, std::optional<HealthCheck>>;
  void update(const Changes& changes);
  void set_addresses(std::vector<ipvs::Address> addresses);
  bool has(const k8s::ObjectKey& service) const { return checks_.contains(service); }

  // Serves until cancelled; all servers have ended when it returns.
  boost::asio::awaitable<void> run();

 private:
  using Place = boost::asio::ip::tcp::endpoint;
  struct Server;

  void start_and_stop_servers();
  void report_shadowed(const std::map<std::uint16_t, k8s::ObjectKey>& owners);
  void start(const Place& place, const k8s::ObjectKey& owner);
  void stop(const Place& place);
  void ended(const Place& place, std::exception_ptr error);
  void bound(const Place& place, const std::string& fault);
  HttpAnswer answer(const Place& place) const;

  boost::asio::any_io_executor executor_;
  const Options options_;
  HealthChecks checks_;
  std::vector<ipvs::Address> addresses_;
  // A server that is stopping stays here until it has closed its port.
  std::map<Place, std::unique_ptr<Server>> servers_;
  std::set<k8s::ObjectKey> shadowed_;  // an older Service has their port; reported
  boost::asio::steady_timer ended_;
  bool running_ = false;
  std::exception_ptr error_;
};

}  // namespace agent
