// SPDX-License-Identifier: Apache-2.0
#include "agent/report/http_endpoints.hpp"

#include <utility>

#include "agent/report/log.hpp"

namespace agent {

namespace asio = boost::asio;

namespace {
constexpr int kMostScrapes = 4;

// As kube-proxy has it.
std::map<std::string, HttpPutHandler> debug_puts(const config::Config& config) {
  if (!config.profiling) return {};
  return {{"/debug/flags/v", answer_verbosity}};
}

}  // namespace

HttpEndpoints::HttpEndpoints(asio::any_io_executor executor, const config::Config& config,
                             NodeHealth& health, const Conditions& conditions, Scrape& scrape,
                             Metrics& metrics, HttpConnections& connections)
    : executor_(executor),
      config_(config),
      health_(health),
      conditions_(conditions),
      scrape_(scrape),
      metrics_(metrics),
      connections_(connections) {}

void HttpEndpoints::start(TaskGroup& tasks) {
  const auto proxy_mode = [](std::string_view) -> asio::awaitable<HttpAnswer> {
    co_return HttpAnswer{.body = "ipvs"};
  };
  const HttpHandler healthz = [this](std::string_view) {
    return answer_health(HealthQuestion::kHealthy);
  };
  const HttpHandler readyz = [this](std::string_view) {
    return answer_health(HealthQuestion::kReady);
  };
  const HttpHandler livez = [this](std::string_view) {
    return answer_health(HealthQuestion::kAlive);
  };
  const HttpHandler conditions = [this](std::string_view) { return answer_conditions(); };
  const HttpHandler metrics = [this](std::string_view) { return answer_metrics(); };
  add_server("metrics", config_.metrics_bind,
             {{"/metrics", metrics},
              {"/conditions", conditions},
              {"/healthz", healthz},
              {"/readyz", readyz},
              {"/livez", livez},
              {"/proxyMode", proxy_mode}},
             debug_puts(config_));
  add_server("healthz", config_.healthz_bind,
             {{"/healthz", healthz}, {"/readyz", readyz}, {"/livez", livez}});
  for (const auto& [name, server] : servers_) tasks.spawn(server->serve());
}

std::uint16_t HttpEndpoints::port_of(const std::string& server) const {
  const auto found = servers_.find(server);
  return found == servers_.end() ? 0 : found->second->port();
}

void HttpEndpoints::add_server(const std::string& name, const std::optional<config::HostPort>& bind,
                               std::map<std::string, HttpHandler> routes,
                               std::map<std::string, HttpPutHandler> puts) {
  if (!bind) return;
  HttpServer::Options options{.name = name,
                              .bind = {bind->address, bind->port},
                              .hard_fail = config_.bind_address_hard_fail,
                              .connections = &connections_,
                              .puts = std::move(puts),
                              .on_bind = [this, name](const std::string& fault) {
                                const bool is_news = health_.set_bind_fault(name, fault);
                                if (is_news && !fault.empty()) on_fault_(name, fault);
                              }};
  servers_[name] = std::make_unique<HttpServer>(executor_, std::move(options), std::move(routes));
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_health(HealthQuestion question) {
  Health health = health_.judge(question);
  metrics_.health_answered(question == HealthQuestion::kAlive, health.status);
  co_return HttpAnswer{.status = health.status,
                       .content_type = "application/json",
                       .headers = {{"X-Content-Type-Options", "nosniff"}},
                       .body = std::move(health.body)};
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_conditions() {
  co_return HttpAnswer{.content_type = "application/json",
                       .headers = {{"X-Content-Type-Options", "nosniff"}},
                       .body = conditions_.json()};
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_metrics() {
  if (scrapes_ >= kMostScrapes) {
    co_return HttpAnswer{.status = 503,
                         .headers = {{"Retry-After", "1"}},
                         .body = "too many pages of metrics are being sent\n"};
  }
  co_return HttpAnswer{
      .content_type = "text/plain; version=0.0.4; charset=utf-8",
      .stream = [this](BodyWriter write) { return write_metrics(std::move(write)); }};
}

asio::awaitable<void> HttpEndpoints::write_metrics(BodyWriter write) {
  struct UnderWay {
    explicit UnderWay(int& count_in) : count(count_in) { ++count; }
    ~UnderWay() { --count; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    int& count;
  };
  const UnderWay scrape(scrapes_);
  co_await scrape_.write(std::move(write));
}

}  // namespace agent
