// SPDX-License-Identifier: Apache-2.0
#include "agent/app.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <utility>

#include "agent/decide/api_address.hpp"
#include "agent/decide/planner.hpp"
#include "agent/decide/service_options.hpp"
#include "agent/log/log.hpp"
#include "agent/report/log.hpp"
#include "agent/run_dir.hpp"
#include "agent/sync/release_leftovers.hpp"
#include "k8s/manifests/source.hpp"
#include "k8s/watch/cluster_source.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

void append(std::string& list, const std::string& item) {
  if (!list.empty()) list += ", ";
  list += item;
}

// What was given out, for those who have no kubectl to ask.
void log_service(int level, const k8s::Service& service, const std::string& proxy_name) {
  Fields fields{{"service", object_name(service.meta.key.text())}};
  if (service.type == k8s::ServiceType::kExternalName || service.headless) {
    return log_verbose(level, "Service is a DNS name only: nothing to balance", std::move(fields));
  }
  if (!is_served(service, proxy_name)) {
    return log_verbose(level, "Service is not ours to serve", std::move(fields));
  }
  std::string servers;
  std::string node_ports;
  for (const ServerOfPort& server : servers_of(service, {})) append(servers, server.key.text());
  for (const k8s::ServicePort& port : service.ports) {
    if (port.node_port != 0) append(node_ports, std::to_string(port.node_port));
  }
  fields.emplace_back("virtualServers", servers);
  if (!node_ports.empty()) fields.emplace_back("nodePorts", node_ports);
  log_verbose(level, "Service is served", std::move(fields));
}

SyncOptions sync_options_of(const config::Config& config) {
  return {.min_gap = config.min_sync_period,
          .audit_interval = config.sync_period,
          .takeover = config.takeover,
          .spread = ipvs::Spread(config.node_name)};
}

NodeWatchOptions node_watch_options_of(const std::optional<SyncOptions>& sync,
                                       std::function<void()> on_first_read) {
  NodeWatchOptions options;
  options.on_first_read = std::move(on_first_read);
  if (!sync) return options;
  options.retry_first = sync->retry_first;
  options.retry_limit = sync->retry_limit;
  options.families_period = sync->audit_interval;
  return options;
}

KubeProxyGuard::Options kube_proxy_options_of(const config::Config& config,
                                              const std::optional<SyncOptions>& sync) {
  KubeProxyGuard::Options options{.takeover = config.takeover};
  if (!sync) return options;
  options.period = sync->audit_interval;
  options.poll = sync->retry_first / 4;
  return options;
}

constexpr std::chrono::seconds kPodNetworksTime{300};

std::size_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

UnixMilliseconds unix_milliseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

void log_note(const std::string& line) { log_info(line); }

// "Service default/web" as the field service, "EndpointSlice default/web-1" as endpointSlice.
void add_object(Fields& fields, const std::string& object) {
  const std::size_t blank = object.find(' ');
  if (blank == std::string::npos) return;
  std::string kind = object.substr(0, blank);
  kind[0] = static_cast<char>(kind[0] | 0x20);
  fields.emplace_back(kind, object_name(object.substr(blank + 1)));
}

// For the kind of a fault (k8s/source.hpp).
const char* message_of(const std::string& kind) {
  if (kind == "list" || kind == "watch") return "Request to the API server failed";
  if (kind == "unserved") return "Not served by this API server";
  if (kind == "conflict") return "Conflict between objects";
  return "Invalid object or file";
}

k8s::ApiOptions api_options_of(const config::Config& config) {
  k8s::ApiOptions options;
  options.requests_per_second = config.kube_api_qps;
  if (config.kube_api_burst != 0) options.burst = config.kube_api_burst;
  return options;
}

void log_fault(Metrics& metrics, const k8s::SourceFault& fault) {
  if (fault.kind == "note") return log_info(fault.what);
  metrics.source_fault(fault.kind);
  Fields fields;
  add_object(fields, fault.object);
  fields.emplace_back(kErr, fault.what);
  log_warning(message_of(fault.kind), std::move(fields));
}

}  // namespace

App::App(asio::io_context& context, const config::Config& config, ipvs::Kernel& kernel,
         std::optional<k8s::ApiAccess> access, SourceFactory source_factory,
         const std::optional<SyncOptions>& sync_options, const NotifySettings& notify)
    : context_(context),
      config_(config),
      kernel_(kernel),
      access_(std::move(access)),
      source_factory_(std::move(source_factory)),
      client_(make_client()),
      cluster_(config_, *this),
      source_(make_source()),
      services_(context.get_executor(), client_.get(), config.node_name, cluster_, metrics_,
                config.as_kube_proxy ? EventRecorder::kKubeProxy : EventRecorder::kController),
      connections_(HttpConnections::limits_for(descriptor_limit())),
      health_checks_(
          context.get_executor(),
          {.proxy_healthy = [this] { return health_.can_serve(); },
           .warn =
               [this](const k8s::ObjectKey& service, std::uint16_t port, const std::string& fault) {
                 services_.health_check_not_served(service, port, fault);
               },
           .served =
               [](const k8s::ObjectKey& service, std::uint16_t port) {
                 log_info("Health check node port is served now",
                          {{"service", object_name(service.text())}, {"port", port}});
               },
           .connections = &connections_}),
      reporter_(cluster_, health_checks_, services_, metrics_, ClusterState::unix_now()),
      sync_(context.get_executor(), kernel, thread_, cluster_, reporter_,
            sync_options.value_or(sync_options_of(config))),
      forwarding_(context.get_executor(), kernel, thread_,
                  {.warn =
                       [this](const std::string& line) {
                         services_.warn_of_node("ForwardingDropped", "Check", line);
                       },
                   .note = log_note},
                  {.accept = config.forward_accept,
                   .period = sync_options.value_or(sync_options_of(config)).audit_interval}),
      kube_proxy_(context.get_executor(), kernel, thread_,
                  {.is_in_force = [this] { return sync_.is_in_force(); },
                   .forwarding_is_dropped = [this] { return forwarding_.unattended() > 0; },
                   .proxy_mode_port = [this] { return foreign_metrics_port(); }},
                  {.left =
                       [this](const std::string& line) {
                         services_.warn_of_node("KubeProxyRulesLeft", "Check", line);
                       },
                   .runs =
                       [this](const std::string& line) {
                         services_.warn_of_node("KubeProxyRuns", "Check", line);
                       },
                   .note = log_note},
                  kube_proxy_options_of(config, sync_options)),
      health_(sync_, cluster_, reporter_),
      conditions_(sync_, reporter_, health_),
      digest_(config_, *source_, sync_, reporter_),
      scrape_(kernel, thread_, cluster_, sync_, reporter_, conditions_, forwarding_, kube_proxy_,
              *source_, digest_, metrics_),
      http_(context.get_executor(), config_, health_, conditions_, scrape_, metrics_, digest_,
            connections_),
      history_(socket_of(config) == "off" ? std::string() : in_run_dir(config, kHistory),
               unix_milliseconds),
      answers_({.config = config_,
                .kernel = kernel,
                .thread = thread_,
                .cluster = cluster_,
                .sync = sync_,
                .reporter = reporter_,
                .health = health_,
                .conditions = conditions_,
                .forwarding = forwarding_,
                .kube_proxy = kube_proxy_,
                .source = *source_,
                .history = history_,
                .digest = digest_,
                .source_name = access_ ? "API server " + access_->route()
                                       : "manifests in " + config_.manifests}),
      observations_(kernel, thread_, cluster_),
      door_(
          context.get_executor(), answers_, observations_, cluster_, connections_,
          {.socket = socket_of(config),
           .group = config.api_socket_group,
           .drains = in_run_dir(config, kDrains),
           .on_bind = [this](const std::string& fault) { health_.set_fault("questions", fault); }}),
      manager_(context.get_executor(), notify,
               {.is_ready = [this] { return health_.is_ready(); },
                .is_alive = [this] { return health_.judge(HealthQuestion::kAlive).healthy; },
                .status = [this] { return status(); }}),
      tasks_(context.get_executor(),
             [this](std::exception_ptr error) {
               try {
                 std::rethrow_exception(error);
               } catch (const std::exception& e) {
                 fail(e.what());
               }
             }),
      node_watch_(context.get_executor(), kernel, thread_, cluster_, sync_, forwarding_, tasks_,
                  node_watch_options_of(sync_options, [this] { begin_sync(); })),
      nameservers_(context.get_executor(), cluster_, {}),
      localhost_ports_(context.get_executor(), localhost_options()),
      dns_(make_dns()),
      signals_(context.get_executor()),
      stop_(context, asio::steady_timer::time_point::max()) {
  http_.on_fault([this](const std::string& server, const std::string& fault) {
    services_.port_not_opened(server, fault);
  });
  reporter_.follow_passes([this] {
    localhost_ports_.refresh();
    if (dns_) dns_->refresh();
    health_.note_pass();
    manager_.pass_ended();
  });
}

// The last connections end with the client, after what is told of them.
App::~App() { source_->on_server_addresses({}); }

std::unique_ptr<k8s::ApiClient> App::make_client() {
  if (!access_) return nullptr;
  k8s::ApiOptions options = api_options_of(config_);
  options.on_request = [this](const k8s::RequestReport& request) { metrics_.api_request(request); };
  return std::make_unique<k8s::ApiClient>(context_.get_executor(), *access_, std::move(options));
}

std::unique_ptr<k8s::Source> App::make_source() {
  const auto on_fault = [this](const k8s::SourceFault& fault) { log_fault(metrics_, fault); };
  if (source_factory_) return source_factory_(cluster_.sinks(), on_fault);
  if (!access_) {
    k8s::ManifestOptions options{
        .directory = config_.manifests,
        .ranges = {.cluster_ips = to_cidrs(config_.service_cluster_ip_range),
                   .node_port_first = config_.node_port_first,
                   .node_port_last = config_.node_port_last},
        .for_dns = !config_.dns_binds.empty()};
    return std::make_unique<k8s::ManifestSource>(context_.get_executor(), cluster_.sinks(),
                                                 std::move(options), on_fault);
  }
  k8s::ClusterOptions options{.endpoint_source = config_.endpoint_source,
                              .node_name = config_.node_name,
                              .service_proxy_name = config_.service_proxy_name,
                              .for_dns = !config_.dns_binds.empty()};
  options.reflector.protobuf = !config_.prefers_json;
  return std::make_unique<k8s::ClusterSource>(context_.get_executor(), *client_, cluster_.sinks(),
                                              options, on_fault);
}

int App::run() {
  start();
  context_.run();
  context_.restart();
  context_.poll();
  if (error_) std::rethrow_exception(error_);
  return exit_code_;
}

void App::start() {
  signals_.listen([this](int number) { on_signal(number); });
  asio::co_spawn(context_, supervise(), [this](std::exception_ptr error) {
    signals_.close();
    error_ = error;
    has_ended_ = true;
    // A lookup that is running counts as work of the io_context, and may take minutes.
    context_.stop();
  });
}

void App::on_signal(int number) {
  if (number == SIGUSR1) return change_verbosity(1);
  if (number == SIGUSR2) return change_verbosity(-1);
  if (number == SIGHUP) {
    constexpr const char* kOthers =
        "manifests, tokens and certificates are read again whenever they change, flags at a start";
    if (reload_) {
      log_info("Signal: the file of --config is read again",
               {{"signal", number}, {"path", reload_->path()}, {"note", kOthers}});
      reload_->ask();
    } else {
      log_info("Signal ignored", {{"signal", number}, {"note", kOthers}});
    }
    return;
  }
  log_info("Stopping: what is programmed stays", {{"signal", number}});
  manager_.stopping();
  stop_.cancel();
}

AgentStatus App::status() const {
  const Reconciler& reconciler = sync_.reconciler();
  const Conditions::Summary conditions = conditions_.summary();
  return {.awaited = health_.awaited(),
          .services = reconciler.service_count(),
          .servers = reconciler.ledger().server_count(),
          .destinations = reconciler.ledger().destination_count(),
          .reasons = health_.judge(HealthQuestion::kHealthy).reasons,
          .conditions = conditions.count,
          .condition = conditions.one};
}

std::optional<int> App::exit_code() const {
  return has_ended_ ? std::optional(exit_code_) : std::nullopt;
}

asio::awaitable<void> App::supervise() {
  cluster_.remember(co_await thread_.run([this] { return kernel_.read_notes(); }));
  co_await node_watch_.read();
  nameservers_.read();
  door_.read_drains();
  tasks_.spawn(write_repeats(context_.get_executor()));
  tasks_.spawn(run_source());
  if (!only_plans_) sync_.keep_history(history_);
  tasks_.spawn(sync_.run());
  if (!only_plans_) start_serving();
  co_await stop_.async_wait(asio::as_tuple(asio::use_awaitable));
  tasks_.stop();
  co_await tasks_.wait();
}

void App::only_plan() {
  only_plans_ = true;
  reporter_.only_plan();
}

void App::start_serving() {
  tasks_.spawn(manager_.run());
  if (client_) tasks_.spawn(services_.run());
  http_.start(tasks_);
  door_.start(tasks_);
  health_checks_.set_addresses(health_check_addresses(config_, cluster_.node_view()));
  tasks_.spawn(health_checks_.run());
  tasks_.spawn(localhost_ports_.run());
  if (dns_) tasks_.spawn(dns_->run());
  tasks_.spawn(kube_proxy_.run());
  tasks_.spawn(node_watch_.run());
  tasks_.spawn(nameservers_.run());
  tasks_.spawn(forwarding_.run());
  if (reload_) reload_->start(tasks_);
}

// The API server's addresses are learned before the first list, so that no Service takes one. What
// was left at them is released first, and before the name is resolved what is in the way of that.
asio::awaitable<void> App::run_source() {
  source_->on_server_addresses([this] { note_api_addresses(); });
  note_api_addresses();
  if (!config_.manifests.empty()) {
    tasks_.spawn(load_modules());
    co_return co_await source_->run();
  }
  co_await release_leftovers(kernel_, thread_, cluster_.node_view().addresses);
  if (client_) co_await client_->resolve();
  co_await release_leftovers(kernel_, thread_, cluster_.node_view().addresses);
  tasks_.spawn(load_modules());
  co_await source_->run();
}

// Of what the kernel loads when it is first used: a module takes a second on a slow machine, and the
// lists take their time, too.
asio::awaitable<void> App::load_modules() {
  co_await thread_.run([this] {
    kernel_.load_modules();
    return true;
  });
}

// Where the kernel does not have it, the first plan that needs it says so.
asio::awaitable<void> App::load_scheduler(std::string scheduler) {
  co_await thread_.run([this, &scheduler] { return kernel_.probe_scheduler(scheduler); });
}

void App::load_scheduler_of(const k8s::Service& service) {
  if (has_lists_ || only_plans_ || service.meta.annotations.empty()) return;
  std::string scheduler =
      read_service_options(service.meta.annotations, {.scheduler = config_.ipvs_scheduler})
          .options.scheduler;
  if (scheduler == config_.ipvs_scheduler || !loaded_schedulers_.insert(scheduler).second) return;
  tasks_.spawn(load_scheduler(std::move(scheduler)));
}

void App::note_api_addresses() {
  const bool by_proxy = access_ && access_->proxy;
  std::uint16_t port = access_ ? access_->port : std::uint16_t{0};
  if (by_proxy) port = access_->proxy->port;
  std::vector<ipvs::Endpoint> held;
  for (const k8s::Address& each : source_->server_addresses()) held.push_back({each, port});
  cluster_.set_holder({by_proxy ? HolderKind::kProxy : HolderKind::kApiServer, "connections"},
                      std::move(held));
}

// Where kube-proxy answers by default, unless we listen there.
std::uint16_t App::foreign_metrics_port() const {
  for (const char* server : {"metrics", "healthz"}) {
    if (http_.port_of(server) == config::kMetricsPort) return 0;
  }
  return config::kMetricsPort;
}

void App::fail(const std::string& why) {
  if (exit_code_ == 0) log_error("Ended by a fault that no retry repairs", {{kErr, why}});
  exit_code_ = 1;
  stop_.cancel();
}

void App::on_service(const k8s::Service& service) {
  const int level = access_ ? 2 : 0;
  if (is_on(level)) log_service(level, service, config_.service_proxy_name);
  if (access_ && is_kubernetes(service)) warn_of_api_address(service);
  load_scheduler_of(service);
}

void App::warn_of_api_address(const k8s::Service& kubernetes) {
  if (has_warned_of_api_address_) return;
  const auto why = warn_of_vip(*access_, kubernetes, source_->server_addresses());
  if (!why) return;
  has_warned_of_api_address_ = true;
  services_.warn_of_node("ApiServerIsService", "Check", *why);
}

void App::on_node_view() {
  sync_.node_addresses_changed();
  health_checks_.set_addresses(health_check_addresses(config_, cluster_.node_view()));
}

bool App::request_other_nodes() {
  return source_->watch_other_nodes([this](const std::string& why) {
    log_warning(
        "Other Nodes are not known: external IPs and load balancer IPs are served without a check "
        "that they are no Node's, and Pods without a label for their zone have none");
    cluster_.other_nodes_unavailable(why);
  });
}

void App::on_ready() {
  has_lists_ = true;
  begin_sync();
}

// Both what the cluster wants and the addresses it is wanted on are known, and with NodeCIDR the Pod
// networks of this Node: kube-proxy waits for them, too, and as long.
void App::begin_sync() {
  if (!has_lists_ || !node_watch_.has_read()) return;
  if (cluster_.lacks_own_pods()) {
    if (!std::exchange(awaits_pod_networks_, true)) tasks_.spawn(give_up_without_pod_networks());
    return;
  }
  sync_.sources_ready();
  on_own_node();
}

asio::awaitable<void> App::give_up_without_pod_networks() {
  const std::string what =
      "--detect-local-mode=NodeCIDR: Node " + config_.node_name + " has no spec.podCIDRs";
  log_info("Waiting for the Node's spec.podCIDRs (--detect-local-mode=NodeCIDR)",
           {{"node", object_name(config_.node_name)}, {"seconds", kPodNetworksTime.count()}});
  asio::steady_timer timer(context_, kPodNetworksTime);
  co_await timer.async_wait(asio::use_awaitable);
  if (cluster_.lacks_own_pods()) fail(what + ": is there an allocator of Pod networks?");
}

LocalhostPorts::Options App::localhost_options() {
  LocalhostPorts::Options options;
  options.ports_of = [this](const ipvs::Owner& service) {
    return cluster_.localhost_ports(service);
  };
  options.on_bind = [this](const ipvs::Owner& service, const std::string& port,
                           const std::string& fault) {
    const std::string what = "node port on " + port;
    health_.set_fault(what, fault);
    if (fault.empty()) return;
    services_.warn(service, "LocalhostPortUnavailable", "Listen",
                   what + " cannot be listened on: " + fault + "; trying again");
  };
  options.changed = [this](const LocalhostPorts::Counters& counters) {
    metrics_.set_localhost_ports({.listeners = counters.listeners,
                                  .connections = counters.connections,
                                  .relayed = counters.relayed,
                                  .refused = counters.refused,
                                  .failed = counters.failed,
                                  .bind_failures = counters.bind_failures});
  };
  // Two descriptors each.
  options.max_connections = std::min(options.max_connections, descriptor_limit() / 8);
  return options;
}

void App::on_dirty(const ipvs::Owner& service) {
  const SourceEvent& event = cluster_.event();
  if (*event.kind != '\0' && sync_.state() != SyncState::kAwaitingLists) {
    history_.note_cause(
        service,
        {.object = event.kind + (event.key.name.empty() ? std::string() : " " + event.key.text()),
         .verb = event.verb,
         .resource_version = event.resource_version,
         .seen = unix_milliseconds()});
  }
  sync_.mark_dirty(service);
  localhost_ports_.mark(service);
  if (dns_) dns_->mark(service);
}

void App::on_own_node() {
  sync_.table_rules_may_differ();
  if (sync_.state() == SyncState::kAwaitingLists) {
    if (awaits_pod_networks_) begin_sync();
    return;
  }
  const NodeTable& nodes = cluster_.nodes();
  const bool lacks_node = !nodes.own() && !nodes.eligible();  // not so without any Node
  if (lacks_node == lacks_node_) return;
  lacks_node_ = lacks_node;
  Fields fields{{"node", object_name(config_.node_name)}};
  if (lacks_node) {
    log_warning(
        "No Node has the name of this host: load balancers get nodeEligible false, and zone and "
        "Pod networks of this node are unknown; --hostname-override gives the name that kubectl "
        "get nodes shows",
        std::move(fields));
  } else {
    log_info("The Node of this host is there now", std::move(fields));
  }
}

}  // namespace agent
