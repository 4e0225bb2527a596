// SPDX-License-Identifier: Apache-2.0
#include "agent/app.hpp"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <unistd.h>
#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <csignal>
#include <ctime>

#include "agent/decide/api_address.hpp"
#include "k8s/manifests/source.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

k8s::UnixSeconds unix_now() { return std::time(nullptr); }

std::vector<ipvs::TableRules::Network> to_networks(const std::vector<k8s::Cidr>& cidrs) {
  std::vector<ipvs::TableRules::Network> networks;
  for (const k8s::Cidr& cidr : cidrs) networks.push_back({cidr.address, cidr.prefix_length});
  return networks;
}

// "Service default/web: TCP 10.96.1.2:80, node port 30080": what was given out, for those who have
// no kubectl to ask.
std::string summary(const k8s::Service& service, const std::string& proxy_name) {
  const std::string text = "Service " + service.meta.key.text() + ": ";
  if (service.type == k8s::ServiceType::kExternalName || service.headless) {
    return text + "a DNS name only, nothing to balance";
  }
  if (!is_served(service, proxy_name)) return text + "not ours to serve";
  std::string where;
  for (const ServerOfPort& server : servers_of(service, {})) where += ", " + server.key.text();
  for (const k8s::ServicePort& port : service.ports) {
    if (port.node_port != 0) where += ", node port " + std::to_string(port.node_port);
  }
  return text + (where.empty() ? "has no port" : where.substr(2));
}

}  // namespace

App::App(asio::io_context& context, const config::Config& config, ipvs::Kernel& kernel,
         std::optional<k8s::ApiAccess> access, SourceFactory source_factory)
    : context_(context),
      config_(config),
      kernel_(kernel),
      access_(std::move(access)),
      source_factory_(std::move(source_factory)),
      cluster_(config,
               {.service_dirty = [this](const ipvs::Owner& owner) { sync_.mark_dirty(owner); },
                .service_changed =
                    [this] {
                      ++service_changes_pending_;
                      metrics_.service_changed();
                    },
                .endpoint_changed =
                    [this] {
                      ++endpoint_changes_pending_;
                      metrics_.endpoint_changed();
                    },
                .service_seen =
                    [this](const k8s::Service& service) {
                      spdlog::log(access_ ? spdlog::level::debug : spdlog::level::info, "{}",
                                  summary(service, config_.service_proxy_name));
                      if (!access_) return;
                      if (const auto why = refuse_vip(*access_, service, api_addresses_))
                        fail(*why);
                    },
                .node_addresses_changed =
                    [this] {
                      sync_.node_addresses_changed();
                      health_checks_.set_addresses(
                          health_check_addresses(config_, cluster_.node_view()));
                    },
                .ready = [this] { sync_.sources_ready(); }}),
      sync_(context.get_executor(), kernel, thread_, sync_inputs(), *this,
            {.min_gap = config.min_sync_period, .audit_interval = config.sync_period}),
      health_checks_(context.get_executor(),
                     {.proxy_healthy =
                          [this] {
                            // That a port for metrics is taken is no reason to turn a Service's
                            // clients away.
                            HealthInputs inputs = health_inputs();
                            inputs.bind_faults.clear();
                            return judge_health(inputs, true).healthy;
                          },
                      .warn = [](const std::string& line) { spdlog::warn("{}", line); },
                      .tell = [](const std::string& line) { spdlog::info("{}", line); }}),
      forwarding_(context.get_executor(), thread_, forward_chains(),
                  {.warn = [this](const std::string& line) { tell_forwarding(line); },
                   .note = [](const std::string& line) { spdlog::info("{}", line); }},
                  {.accept = config.forward_accept, .period = config.sync_period}),
      tasks_(context.get_executor(),
             [this](std::exception_ptr error) {
               try {
                 std::rethrow_exception(error);
               } catch (const std::exception& e) {
                 fail(e.what());
               }
             }),
      signals_(context, SIGTERM, SIGINT),
      stop_(context),
      client_(access_ ? std::make_unique<k8s::ApiClient>(context.get_executor(), *access_)
                      : nullptr),
      recorder_(context.get_executor(), client_.get(), event_options()),
      events_hold_(context, std::chrono::seconds(10)),
      started_(std::chrono::steady_clock::now()),
      started_at_(unix_now()) {
  stop_.expires_at(asio::steady_timer::time_point::max());
}

App::~App() = default;

SyncInputs App::sync_inputs() {
  return {.plan =
              [this](const ipvs::Owner& owner) {
                auto plan = cluster_.plan(owner, unix_now());
                if (!plan) told_.forget(owner);
                note_endpoints(owner, plan);
                note_health_check(owner);
                note_triggers(owner);
                note_local(owner, plan ? plan->lacks_local : LacksLocal{});
                if (plan) tell_notices(owner, plan->notices);
                return plan;
              },
          .may_drain =
              [this](const ipvs::Owner& owner, const ipvs::Endpoint& e) {
                return cluster_.may_drain(owner, e, unix_now());
              },
          .drained = [this](const ipvs::Owner& owner) { cluster_.forget_lingering(owner); },
          .rules = [this] { return table_rules(); },
          .node_port_addresses = [this] { return cluster_.node_view().node_port_addresses; }};
}

ipvs::TableRules App::table_rules() const {
  return {.masquerade_all = config_.masquerade_all,
          .cluster_cidrs = to_networks(to_cidrs(config_.cluster_cidrs)),
          .pod_sources = to_networks(cluster_.pod_sources()),
          .own_pods = to_networks(cluster_.own_pods()),
          .masquerade_bit = config_.masquerade_mark};
}

// Told once when a Service has nobody to send to, as with a selector that matches nothing, and once
// when it has again.
void App::note_endpoints(const ipvs::Owner& owner, const std::optional<SyncInputs::Plan>& plan) {
  const auto has_none = [](const ipvs::Server& server) { return server.destinations.empty(); };
  const bool empty = plan && !plan->is_lingering && !plan->plan.servers.empty() &&
                     std::all_of(plan->plan.servers.begin(), plan->plan.servers.end(), has_none);
  if (empty && without_endpoints_.insert(owner).second) {
    spdlog::info("Service {}: no endpoint is ready: connections to it are refused", owner);
  } else if (!empty && without_endpoints_.erase(owner) > 0 && plan) {
    spdlog::info("Service {}: has endpoints again", owner);
  }
}

// A load balancer is told of endpoints when they are programmed: at the end of the pass.
void App::note_health_check(const ipvs::Owner& owner) {
  const k8s::ObjectKey key = service_key(owner);
  const auto check = cluster_.health_check(key);
  if (check || health_checks_.has(key) || planned_health_checks_.contains(key)) {
    planned_health_checks_[key] = check;
  }
}

void App::note_local(const ipvs::Owner& owner, LacksLocal lacks) {
  const auto note = [&](std::set<ipvs::Owner>& services, bool is_one) {
    if (is_one) {
      services.insert(owner);
    } else {
      services.erase(owner);
    }
  };
  note(without_local_internal_, lacks.internal);
  note(without_local_external_, lacks.external);
}

// For kubeproxy_network_programming_duration_seconds. What happened before this process was there
// says nothing about it.
void App::note_triggers(const ipvs::Owner& owner) {
  for (const k8s::UnixSeconds trigger : cluster_.take_triggers(owner)) {
    if (trigger >= started_at_) planned_triggers_.push_back(trigger);
  }
}

int App::run() {
  start();
  context_.run();
  if (error_) std::rethrow_exception(error_);
  return exit_code_;
}

void App::start() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    spdlog::info("signal {}: stopping; what is programmed stays", number);
    stop_.cancel();
  });
  asio::co_spawn(context_, supervise(), [this](std::exception_ptr error) {
    signals_.cancel();
    error_ = error;
    has_ended_ = true;
  });
}

asio::awaitable<void> App::supervise() {
  co_await read_addresses();
  if (access_) {
    make_source();
    tasks_.spawn(learn_api_addresses());
    tasks_.spawn(post_events());
  } else {
    make_source();
    tasks_.spawn(source_->run());
  }
  start_http();
  health_checks_.set_addresses(health_check_addresses(config_, cluster_.node_view()));
  tasks_.spawn(health_checks_.run());
  tasks_.spawn(sync_.run());
  tasks_.spawn(open_monitors());
  tasks_.spawn(forwarding_.run());
  co_await stop_.async_wait(asio::as_tuple(asio::use_awaitable));
  tasks_.stop();
  co_await tasks_.wait();
}

void App::fail(const std::string& why) {
  if (exit_code_ == 0) spdlog::error("{}", why);
  exit_code_ = 1;
  stop_.cancel();
}

void App::make_source() {
  const auto on_fault = [this](const k8s::SourceFault& fault) { this->on_fault(fault); };
  if (source_factory_) {
    source_ = source_factory_(cluster_.sinks(), on_fault);
    return;
  }
  if (!access_) {
    k8s::ManifestOptions options{
        .directory = config_.manifests,
        .ranges = {.cluster_ips = to_cidrs(config_.service_cluster_ip_range),
                   .node_port_first = config_.node_port_first,
                   .node_port_last = config_.node_port_last}};
    source_ = std::make_unique<k8s::ManifestSource>(context_.get_executor(), cluster_.sinks(),
                                                    std::move(options), on_fault);
    return;
  }
  // The zones of the other Nodes make the hints that EndpointSlices already carry.
  const bool slices = config_.endpoint_source == config::EndpointSource::kEndpointSlice;
  k8s::ClusterOptions options{.endpoint_source = config_.endpoint_source,
                              .node_name = config_.node_name,
                              .only_own_node = slices};
  source_ = std::make_unique<k8s::ClusterSource>(context_.get_executor(), *client_,
                                                 cluster_.sinks(), options, on_fault);
}

// Before the first list, so that a Service that turns out to have the API server's address is
// noticed.
asio::awaitable<void> App::learn_api_addresses() {
  api_addresses_ = co_await client_->resolve();
  tasks_.spawn(source_->run());
}

asio::awaitable<void> App::read_addresses() {
  auto local = co_await thread_.run([this] { return kernel_.read_local_addresses(); });
  if (!local) {
    spdlog::warn("{}", local.error().text());
    co_return;
  }
  cluster_.set_local_addresses(std::move(*local));
  auto gateways = co_await thread_.run([this] { return kernel_.read_gateways(); });
  if (gateways) {
    cluster_.set_gateways(std::move(*gateways));
  } else {
    spdlog::warn("{}", gateways.error().text());
  }
}

asio::awaitable<void> App::open_monitors() {
  auto monitors = co_await thread_.run([this] { return kernel_.open_monitors(); });
  if (!monitors) {
    fail(monitors.error().text());
    co_return;
  }
  for (auto& monitor : *monitors) tasks_.spawn(watch(std::move(monitor)));
}

asio::awaitable<void> App::watch(std::unique_ptr<ipvs::KernelMonitor> monitor) {
  asio::posix::stream_descriptor readable(context_, ::dup(monitor->fd()));
  while (true) {
    co_await readable.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
    const ipvs::KernelEvents events = monitor->drain();
    if (events.node_addresses) co_await read_addresses();
    if (events.our_table) sync_.table_lost();
    if (events.forwarding) forwarding_.look_again();
  }
}

ForwardGuard::Chains App::forward_chains() {
  return {.read = [this] { return kernel_.read_forward_chains(); },
          .accept_replies = [this](const auto& chain) { return kernel_.accept_replies(chain); },
          .withdraw = [this](const auto& chain) { return kernel_.withdraw(chain); }};
}

void App::on_pass(const PassReport& report) {
  last_sync_ = std::chrono::system_clock::now();
  service_changes_pending_ = 0;
  endpoint_changes_pending_ = 0;
  health_checks_.update(std::exchange(planned_health_checks_, {}));
  for (const k8s::UnixSeconds trigger : std::exchange(planned_triggers_, {})) {
    const auto took = last_sync_ - std::chrono::system_clock::from_time_t(trigger);
    metrics_.programming_latency(std::max(0.0, std::chrono::duration<double>(took).count()));
  }
  metrics_.pass(report.total_seconds, report.planning_seconds, report.kernel_seconds,
                report.operations,
                std::chrono::duration<double>(last_sync_.time_since_epoch()).count());
  const auto level = report.first ? spdlog::level::info : spdlog::level::debug;
  spdlog::log(level, "{}{} Services planned, {} operations in {:.1f} ms{}",
              report.first ? "table complete: " : "sync: ", report.services, report.operations,
              report.total_seconds * 1000,
              report.failed ? fmt::format(", {} failed", report.failed) : std::string());
  if (report.first) {
    events_hold_.expires_at(asio::steady_timer::time_point::min());
    // The lists and the first batch were the most this process ever holds at once: give it back.
    ::malloc_trim(0);
    const auto& ledger = sync_.reconciler().ledger();
    spdlog::info(
        "the kernel holds {} virtual servers with {} destinations, {} addresses; {} foreign",
        ledger.server_count(), ledger.destination_count(), ledger.addresses().size(),
        sync_.reconciler().foreign_count());
  }
}

void App::on_failure(const ipvs::Failure& failure) {
  metrics_.kernel_error(failure.command, failure.error_number);
  // As the kernel answers when the module of a scheduler is not there (ip_vs_ctl.c).
  if (failure.error_number == ENOENT && failure.command.ends_with("_SERVICE") &&
      cluster_.scheduler_is_missing(failure.scheduler)) {
    return;
  }
  const std::string why = failure.error_number > 0 ? ::strerror(failure.error_number) : "no answer";
  spdlog::warn("{}{}: {}; trying again",
               failure.owner.empty() ? "" : "Service " + failure.owner + ": ", failure.what, why);
}

void App::on_drift(const std::string& kind, const std::string& what) {
  metrics_.drift(kind);
  spdlog::warn("{}", what);
}

void App::on_waiting(const std::string& what) { spdlog::warn("{}; trying again", what); }

void App::on_fault(const k8s::SourceFault& fault) {
  metrics_.source_fault(fault.kind);
  spdlog::warn("{}", fault.what);
}

}  // namespace agent
