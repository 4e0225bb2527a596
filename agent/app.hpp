// SPDX-License-Identifier: Apache-2.0
//
// The agent put together: wiring only. Makes the parts, connects them, starts them, ends them.
//
//   source -> ClusterState -> SyncLoop -> kernel
//                 |              |
//                 +--------------+--> SyncReporter, Scrape, NodeHealth -> log, Events, HTTP
//
// What is in the kernel stays when the agent ends: connections continue, and the next start adopts
// it.
//
// Threading: everything here runs on one io_context thread; the KernelThread has the other.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/answers/answers.hpp"
#include "agent/answers/door.hpp"
#include "agent/answers/observations.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "agent/config_reload.hpp"
#include "agent/dns/server.hpp"
#include "agent/history/recorder.hpp"
#include "agent/relay/localhost_ports.hpp"
#include "agent/report/conditions.hpp"
#include "agent/report/health_check_ports.hpp"
#include "agent/report/http_endpoints.hpp"
#include "agent/report/metrics.hpp"
#include "agent/report/node_digest.hpp"
#include "agent/report/node_health.hpp"
#include "agent/report/scrape.hpp"
#include "agent/report/service_manager.hpp"
#include "agent/report/service_reporter.hpp"
#include "agent/report/sync_reporter.hpp"
#include "agent/stop_signals.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/kube_proxy_guard.hpp"
#include "agent/sync/nameserver_watch.hpp"
#include "agent/sync/node_watch.hpp"
#include "agent/sync/sync_loop.hpp"
#include "config/config.hpp"
#include "config/difference.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/async/task_group.hpp"
#include "k8s/client/api_client.hpp"
#include "k8s/client/kubeconfig.hpp"
#include "k8s/source.hpp"

namespace agent {

class App : private ClusterObserver {
 public:
  // What fills the tables in place of the API server or the manifests; for tests.
  using SourceFactory =
      std::function<std::unique_ptr<k8s::Source>(const k8s::Sinks&, const k8s::FaultHandler&)>;

  // `kernel` is prepared. `access`: where the API server is; nullopt with --manifests.
  // `sync_options`: in place of what the flags ask for; tests make all periods short.
  // `notify`: what the service manager wants to hear.
  App(boost::asio::io_context& context, const config::Config& config, ipvs::Kernel& kernel,
      std::optional<k8s::ApiAccess> access, SourceFactory source_factory = {},
      const std::optional<SyncOptions>& sync_options = {}, const NotifySettings& notify = {});

  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Runs until SIGTERM or SIGINT (0) or a fault that no retry can repair (1). Does not wait for a
  // lookup of a name that is running; destroying the io_context does.
  int run();

  // Before start(): changes of the file of --config are applied, or refused, while the agent runs.
  // `load` reads it as at the start.
  void follow_file(const std::string& path, std::function<config::ParseOutcome()> load,
                   ConfigReload::Pace pace = {});

  // The two halves of run(), for tests that run the io_context themselves.
  void start();
  std::optional<int> exit_code() const;

  // Before start(): nothing but the state of the cluster, and one pass. No port is opened, no Event
  // is written, and nothing that others do is watched (agent/plan_command.hpp).
  void only_plan();
  // The first pass has ended.
  bool is_complete() const { return sync_.complete(); }
  const ipvs::Desired& desired() const { return sync_.reconciler().desired(); }
  const NodeView& node_view() const { return cluster_.node_view(); }
  const Answers& answers() const { return answers_; }

  // The port that the server "metrics", "healthz" or "dns" (at its first address) listens on; 0
  // while it does not.
  std::uint16_t port_of(const std::string& server) const {
    return server == "dns" ? dns_port() : http_.port_of(server);
  }

 private:
  // --- ClusterObserver: events to the parts they concern ---
  void on_dirty(const ipvs::Owner& service) override;
  void on_service(const k8s::Service& service) override;
  void on_service_change() override { reporter_.service_changed(); }
  void on_endpoint_change() override { reporter_.endpoint_changed(); }
  void on_node_view() override;
  bool request_other_nodes() override;
  void on_own_node() override;
  void on_ready() override;

  boost::asio::awaitable<void> supervise();
  void start_serving();
  boost::asio::awaitable<void> run_source();
  boost::asio::awaitable<void> load_modules();
  boost::asio::awaitable<void> load_scheduler(std::string scheduler);
  void load_scheduler_of(const k8s::Service& service);
  void note_api_addresses();
  void warn_of_api_address(const k8s::Service& kubernetes);
  std::unique_ptr<k8s::ApiClient> make_client();
  std::unique_ptr<k8s::Source> make_source();
  AgentStatus status() const;
  std::uint16_t foreign_metrics_port() const;
  void fail(const std::string& why);
  void on_signal(int number);
  // --- a changed file of --config (agent/apply_config.cpp) ---
  boost::asio::awaitable<std::string> try_out(const config::Config& next,
                                              const config::Difference& changed);
  boost::asio::awaitable<void> apply(config::Config next, const config::Difference& changed);
  boost::asio::awaitable<std::string> apply_to_host();
  void conclude_reload(ConfigReload::Result result, const std::string& why);
  void begin_sync();
  boost::asio::awaitable<void> give_up_without_pod_networks();
  LocalhostPorts::Options localhost_options();
  // --- DNS (agent/app_dns.cpp) ---
  std::unique_ptr<dns::Server> make_dns();
  std::uint16_t dns_port() const;
  void set_dns_metrics();
  void change_dns(const config::Difference& changed);

  boost::asio::io_context& context_;
  config::Config config_;
  ipvs::Kernel& kernel_;
  const std::optional<k8s::ApiAccess> access_;
  const SourceFactory source_factory_;
  Metrics metrics_;
  std::unique_ptr<k8s::ApiClient> client_;  // none with --manifests

  // Each part uses those above it. The callbacks that lead upwards run only after start().
  KernelThread thread_;
  ClusterState cluster_;
  std::unique_ptr<k8s::Source> source_;
  ServiceReporter services_;
  HttpConnections connections_;
  HealthCheckPorts health_checks_;
  SyncReporter reporter_;
  SyncLoop sync_;
  ForwardGuard forwarding_;
  KubeProxyGuard kube_proxy_;
  NodeHealth health_;
  Conditions conditions_;
  NodeDigest digest_;
  Scrape scrape_;
  HttpEndpoints http_;
  HistoryRecorder history_;
  Answers answers_;
  Observations observations_;
  QuestionDoor door_;
  ServiceManager manager_;
  TaskGroup tasks_;
  NodeWatch node_watch_;
  NameserverWatch nameservers_;
  LocalhostPorts localhost_ports_;
  std::unique_ptr<dns::Server> dns_;      // none without --dns-bind-address
  std::unique_ptr<ConfigReload> reload_;  // none without --config

  bool only_plans_ = false;
  bool has_warned_of_api_address_ = false;
  StopSignals signals_;
  boost::asio::steady_timer stop_;
  bool has_lists_ = false;
  std::set<std::string> loaded_schedulers_;  // while the first lists come
  bool awaits_pod_networks_ = false;         // reported
  bool lacks_node_ = false;                  // no Node has the name of this one; reported
  bool has_ended_ = false;
  int exit_code_ = 0;
  std::exception_ptr error_;
};

}  // namespace agent
