// SPDX-License-Identifier: Apache-2.0
//
// What the agent answers over HTTP.
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/app.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

// Virtual servers read between two looks at the queue of the kernel thread: a scrape must not keep
// a sync waiting for long.
constexpr std::size_t kReadAtOnce = 64;

}  // namespace

void App::add_server(const std::string& name, const std::optional<config::HostPort>& bind,
                     std::map<std::string, HttpHandler> routes) {
  if (!bind) return;
  const auto on_bind = [this, name](const std::string& fault) {
    if (fault.empty()) {
      bind_faults_.erase(name);
      return;
    }
    if (bind_faults_.emplace(name, fault).second) spdlog::warn("{}: {}; trying again", name, fault);
  };
  auto server =
      std::make_unique<HttpServer>(context_.get_executor(),
                                   HttpServer::Options{.name = name,
                                                       .bind = {bind->address, bind->port},
                                                       .hard_fail = config_.bind_address_hard_fail,
                                                       .on_bind = on_bind},
                                   std::move(routes));
  tasks_.spawn(server->serve());
  servers_[name] = std::move(server);
}

std::uint16_t App::port_of(const std::string& server) const {
  const auto found = servers_.find(server);
  return found == servers_.end() ? 0 : found->second->port();
}

void App::start_http() {
  const auto proxy_mode = [](std::string_view) -> asio::awaitable<HttpAnswer> {
    co_return HttpAnswer{.body = "ipvs"};
  };
  const HttpHandler healthz = [this](std::string_view) { return answer_health(false); };
  const HttpHandler livez = [this](std::string_view) { return answer_health(true); };
  const HttpHandler metrics = [this](std::string_view) { return answer_metrics(); };
  add_server("metrics", config_.metrics_bind,
             {{"/metrics", metrics},
              {"/healthz", healthz},
              {"/livez", livez},
              {"/proxyMode", proxy_mode}});
  add_server("healthz", config_.healthz_bind, {{"/healthz", healthz}, {"/livez", livez}});
}

HealthInputs App::health_inputs() const {
  HealthInputs inputs{.now = std::chrono::system_clock::now(),
                      .last_sync = std::nullopt,
                      .waiting = std::nullopt,
                      .failing_keys = sync_.reconciler().failed_count(),
                      .node_eligible = cluster_.nodes().eligible(),
                      .bind_faults = bind_faults_};
  if (sync_.complete()) inputs.last_sync = last_sync_;
  const auto since = sync_.complete() ? sync_.waiting_since() : std::optional(started_);
  if (since) {
    inputs.waiting =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - *since);
  }
  return inputs;
}

asio::awaitable<HttpAnswer> App::answer_health(bool livez) {
  Health health = judge_health(health_inputs(), livez);
  metrics_.health_answered(livez, health.status);
  co_return HttpAnswer{.status = health.status,
                       .content_type = "application/json",
                       .headers = {{"X-Content-Type-Options", "nosniff"}},
                       .body = std::move(health.body)};
}

Metrics::Gauges App::gauges() const {
  const Reconciler& reconciler = sync_.reconciler();
  return {.queue_depth = sync_.pending(),
          .pending_service_changes = service_changes_pending_,
          .pending_endpoint_changes = endpoint_changes_pending_,
          .desired_servers = reconciler.desired().server_count(),
          .desired_destinations = reconciler.desired().destination_count(),
          .desired_addresses = reconciler.desired().address_count(),
          .programmed_servers = reconciler.ledger().server_count(),
          .programmed_destinations = reconciler.ledger().destination_count(),
          .programmed_addresses = reconciler.ledger().addresses().size(),
          .draining_servers = reconciler.ledger().servers_with_resting().size(),
          .foreign_servers = reconciler.foreign_count(),
          .failing_keys = reconciler.failed_count(),
          .forward_dropping = forwarding_.unattended(),
          .lacking_local_internal = without_local_internal_.size(),
          .lacking_local_external = without_local_external_.size(),
          .services = cluster_.services().size(),
          .pods = cluster_.endpoints().pod_count(),
          .slices = cluster_.endpoints().slice_count()};
}

asio::awaitable<HttpAnswer> App::answer_metrics() {
  co_return HttpAnswer{
      .content_type = "text/plain; version=0.0.4; charset=utf-8",
      .stream = [this](BodyWriter write) { return stream_metrics(std::move(write)); }};
}

asio::awaitable<void> App::stream_metrics(BodyWriter write) {
  metrics_.set(gauges());
  const std::string own = metrics_.text();
  co_await write(own);
  {
    const TrafficPage page = co_await read_traffic();
    co_await page.write(write);
  }
  // A megabyte or more at a large table, not needed again for many seconds.
  ::malloc_trim(0);
}

// What cannot be read is left out: a gap, rather than counters that go back to 0.
asio::awaitable<TrafficPage> App::read_traffic() {
  const TrafficHistory::Look look = traffic_history_.start_look();
  std::vector<ClusterState::PortToRead> ports = cluster_.ports_to_read();
  TrafficPage page;
  std::vector<ipvs::ServerKey> keys;
  for (std::size_t first = 0; first < ports.size();) {
    keys.clear();
    std::size_t last = first;
    for (; last < ports.size() && (last == first || keys.size() < kReadAtOnce); ++last) {
      // Only what is ours: a virtual server another Service has, or nobody of us, is not this
      // port's traffic.
      const ipvs::Owner service = ports[last].port.ns + "/" + ports[last].port.service;
      for (const ipvs::ServerKey& key : ports[last].servers) {
        const ipvs::Owner* owner = sync_.reconciler().desired().owner_of(key);
        if (owner && *owner == service) keys.push_back(key);
      }
    }
    const auto readings = co_await thread_.run([&] { return kernel_.read_servers(keys); });
    for (; first < last; ++first) {
      if (readings) {
        add_traffic(look, ports[first], *readings, page);
      } else {
        traffic_history_.keep(look, ports[first].port);
      }
      ports[first] = {};
    }
  }
  traffic_history_.finish_look(look);
  co_return page;
}

void App::add_traffic(TrafficHistory::Look look, ClusterState::PortToRead& port,
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
  traffic_history_.carry_on(look, port.port, own, [&] { return cluster_.endpoints_of(port); });
  page.add(port.port);
}

}  // namespace agent
