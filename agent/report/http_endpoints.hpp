// SPDX-License-Identifier: Apache-2.0
//
// The two HTTP servers of the agent: "metrics" (/metrics, /metrics/endpoints, /metrics/slis,
// /conditions, /healthz, /readyz, /livez, /proxyMode, /configz, /flagz, /statusz; with --profiling
// also PUT /debug/flags/v) and "healthz" (/healthz, /readyz, /livez). Both have /plan-digest, by which
// nodes are compared (agent/report/node_digest.hpp).
//
// Threading: the agent's io_context thread.
// Errors: a port that is taken is logged once, shown by /conditions, and retried; with
// --bind-address-hard-fail it ends the agent.
// Limits: four pages of metrics at once, because a page may be tens of megabytes; 503 beyond.
// Metrics: kubeproxy_proxy_healthz_total, kubeproxy_proxy_livez_total, and those of /metrics/slis
// (agent/report/slis.hpp).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/report/conditions.hpp"
#include "agent/report/http_server.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/node_digest.hpp"
#include "agent/report/node_health.hpp"
#include "agent/report/scrape.hpp"
#include "agent/report/slis.hpp"
#include "config/config.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {

class HttpEndpoints {
 public:
  HttpEndpoints(boost::asio::any_io_executor executor, const config::Config& config,
                NodeHealth& health, const Conditions& conditions, Scrape& scrape, Metrics& metrics,
                NodeDigest& digest, HttpConnections& connections);

  // Called once for each fault that keeps a server from opening its port; before start().
  void on_fault(std::function<void(const std::string& server, const std::string& fault)> report) {
    on_fault_ = std::move(report);
  }
  // Starts the servers; `tasks` owns what they run.
  void start(TaskGroup& tasks);
  // --metrics-bind-address and --healthz-bind-address are others now, perhaps. The new server listens
  // before the old one stops, unless the two need the same port. One that cannot listen is retried,
  // and does not end the agent; the old one serves meanwhile, if it can.
  void configuration_changed(TaskGroup& tasks);
  // The port on which the server "metrics" or "healthz" listens; 0: it does not.
  std::uint16_t port_of(const std::string& server) const;

 private:
  struct Served {
    std::optional<config::HostPort> bind{};
    std::unique_ptr<HttpServer> server{};    // none if `bind` is empty
    std::unique_ptr<HttpServer> replaced{};  // serves until `server` listens
  };
  std::map<std::string, HttpHandler> routes_of(const std::string& server);
  const std::optional<config::HostPort>& bind_of(const std::string& server) const;
  std::unique_ptr<HttpServer> make_server(const std::string& name, bool hard_fail);
  void move_server(const std::string& name, TaskGroup& tasks);
  void note_bind(const std::string& name, const std::string& fault);
  boost::asio::awaitable<HttpAnswer> answer_configz();
  boost::asio::awaitable<HttpAnswer> answer_flagz();
  boost::asio::awaitable<HttpAnswer> answer_statusz();
  boost::asio::awaitable<HttpAnswer> answer_metrics(Scrape::Page page);
  boost::asio::awaitable<void> write_metrics(Scrape::Page page, BodyWriter write);
  boost::asio::awaitable<HttpAnswer> answer_slis();
  boost::asio::awaitable<HttpAnswer> answer_conditions();
  boost::asio::awaitable<HttpAnswer> answer_digest();
  boost::asio::awaitable<HttpAnswer> answer_health(HealthQuestion question);

  boost::asio::any_io_executor executor_;
  const config::Config& config_;
  NodeHealth& health_;
  const Conditions& conditions_;
  Scrape& scrape_;
  Metrics& metrics_;
  NodeDigest& digest_;
  HttpConnections& connections_;
  Slis slis_;
  std::function<void(const std::string& server, const std::string& fault)> on_fault_ =
      [](const std::string&, const std::string&) {};
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  int scrapes_ = 0;                        // under way
  std::map<std::string, Served> servers_;  // "metrics" and "healthz"
};

}  // namespace agent
