// SPDX-License-Identifier: Apache-2.0
//
// The agent put together: source, tables, sync loop, kernel thread, monitors, HTTP. Starts the
// parts, lets them talk to each other, ends them.
//
// What is in the kernel stays when the agent ends: connections go on, and the next start adopts it.
//
// Threading: everything here runs on one io_context thread; the KernelThread has the other.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/decide/health.hpp"
#include "agent/report/event_recorder.hpp"
#include "agent/report/health_check_ports.hpp"
#include "agent/report/http_server.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/once_per_service.hpp"
#include "agent/report/traffic_history.hpp"
#include "agent/report/traffic_metrics.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/sync_loop.hpp"
#include "config/config.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/async/task_group.hpp"
#include "k8s/source.hpp"
#include "k8s/watch/cluster_source.hpp"

namespace agent {

class App : private SyncObserver {
 public:
  // What fills the tables in place of the API server or the manifests; for tests.
  using SourceFactory =
      std::function<std::unique_ptr<k8s::Source>(const k8s::Sinks&, const k8s::FaultHandler&)>;

  // `kernel` is prepared. `access`: where the API server is; nullopt with --manifests.
  App(boost::asio::io_context& context, const config::Config& config, ipvs::Kernel& kernel,
      std::optional<k8s::ApiAccess> access, SourceFactory source_factory = {});
  ~App() override;

  // Runs until SIGTERM or SIGINT (0) or a fault that no retry mends (1).
  int run();

  // The two halves of run(), for tests that run the io_context themselves.
  void start();
  std::optional<int> exit_code() const {
    return has_ended_ ? std::optional(exit_code_) : std::nullopt;
  }

  // The port that the server "metrics" or "healthz" listens on; 0 while it does not.
  std::uint16_t port_of(const std::string& server) const;

  // Something about a Service that its owner should know: a warning in the log and an Event, once
  // for each reason and note until the Service is gone. True where it was told just now. `reason`
  // and `action` as in agent/report/event_recorder.hpp; `note` goes on from "Service ns/name: ".
  bool tell_service(const ipvs::Owner& owner, std::string reason, std::string action,
                    std::string note);

 private:
  boost::asio::awaitable<void> supervise();
  boost::asio::awaitable<void> learn_api_addresses();
  boost::asio::awaitable<void> post_events();
  boost::asio::awaitable<void> open_monitors();
  boost::asio::awaitable<void> watch(std::unique_ptr<ipvs::KernelMonitor> monitor);
  ForwardGuard::Chains forward_chains();
  void tell_forwarding(const std::string& line);
  boost::asio::awaitable<void> read_addresses();
  void make_source();
  void add_server(const std::string& name, const std::optional<config::HostPort>& bind,
                  std::map<std::string, HttpHandler> routes);
  void start_http();
  void fail(const std::string& why);
  SyncInputs sync_inputs();
  void note_health_check(const ipvs::Owner& owner);
  void note_triggers(const ipvs::Owner& owner);
  void note_local(const ipvs::Owner& owner, LacksLocal lacks);
  EventRecorder::Options event_options();
  ipvs::TableRules table_rules() const;
  void tell_notices(const ipvs::Owner& owner, const std::vector<SyncInputs::Plan::Notice>& notices);
  void note_endpoints(const ipvs::Owner& owner, const std::optional<SyncInputs::Plan>& plan);

  boost::asio::awaitable<HttpAnswer> answer_metrics();
  boost::asio::awaitable<void> stream_metrics(BodyWriter write);
  boost::asio::awaitable<TrafficPage> read_traffic();
  void add_traffic(TrafficHistory::Look look, ClusterState::PortToRead& port,
                   const std::vector<ipvs::ServerReading>& readings, TrafficPage& page);
  boost::asio::awaitable<HttpAnswer> answer_health(bool livez);
  Metrics::Gauges gauges() const;
  HealthInputs health_inputs() const;

  void on_pass(const PassReport& report) override;
  void on_failure(const ipvs::Failure& failure) override;
  void on_conflict(const Reconciler::Conflict& conflict) override;
  void on_drift(const std::string& kind, const std::string& what) override;
  void on_waiting(const std::string& what) override;
  void on_fault(const k8s::SourceFault& fault);

  boost::asio::io_context& context_;
  const config::Config& config_;
  ipvs::Kernel& kernel_;
  const std::optional<k8s::ApiAccess> access_;
  const SourceFactory source_factory_;

  KernelThread thread_;
  Metrics metrics_;
  ClusterState cluster_;
  SyncLoop sync_;
  HealthCheckPorts health_checks_;
  HealthCheckPorts::Changes planned_health_checks_;  // until what was planned is in the kernel
  ForwardGuard forwarding_;
  std::vector<k8s::UnixSeconds> planned_triggers_;  // until then, too
  TrafficHistory traffic_history_;
  TaskGroup tasks_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer stop_;
  int exit_code_ = 0;
  bool has_ended_ = false;
  std::exception_ptr error_;

  std::unique_ptr<k8s::ApiClient> client_;  // none with --manifests
  EventRecorder recorder_;
  boost::asio::steady_timer events_hold_;
  std::unique_ptr<k8s::Source> source_;
  std::vector<k8s::Address> api_addresses_;
  std::map<std::string, std::unique_ptr<HttpServer>> servers_;  // by name
  std::map<std::string, std::string> bind_faults_;              // by server
  Told told_;
  std::set<ipvs::Owner> without_endpoints_;
  std::set<ipvs::Owner> without_local_internal_, without_local_external_;
  std::size_t service_changes_pending_ = 0;
  std::size_t endpoint_changes_pending_ = 0;
  std::chrono::system_clock::time_point last_sync_{};
  std::chrono::steady_clock::time_point started_;
  const k8s::UnixSeconds started_at_;
};

}  // namespace agent
