// SPDX-License-Identifier: Apache-2.0
#include "agent/report/http_endpoints.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace agent {

namespace asio = boost::asio;

namespace {
constexpr int kMostScrapes = 4;
constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";

const char* sli_of(HealthQuestion question) {
  if (question == HealthQuestion::kAlive) return "livez";
  return question == HealthQuestion::kReady ? "readyz" : "healthz";
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
  const HttpHandler metrics = [this](std::string_view) {
    return answer_metrics(Scrape::Page::kMetrics);
  };
  const HttpHandler endpoints = [this](std::string_view) {
    return answer_metrics(Scrape::Page::kEndpoints);
  };
  const HttpHandler slis = [this](std::string_view) { return answer_slis(); };
  add_server("metrics", config_.metrics_bind,
             {{"/metrics", metrics},
              {"/metrics/endpoints", endpoints},
              {"/metrics/slis", slis},
              {"/conditions", conditions},
              {"/healthz", healthz},
              {"/readyz", readyz},
              {"/livez", livez},
              {"/proxyMode", proxy_mode}});
  add_server("healthz", config_.healthz_bind,
             {{"/healthz", healthz}, {"/readyz", readyz}, {"/livez", livez}});
  for (const auto& [name, server] : servers_) tasks.spawn(server->serve());
}

std::uint16_t HttpEndpoints::port_of(const std::string& server) const {
  const auto found = servers_.find(server);
  return found == servers_.end() ? 0 : found->second->port();
}

void HttpEndpoints::add_server(const std::string& name, const std::optional<config::HostPort>& bind,
                               std::map<std::string, HttpHandler> routes) {
  if (!bind) return;
  HttpServer::Options options{.name = name,
                              .bind = {bind->address, bind->port},
                              .hard_fail = config_.bind_address_hard_fail,
                              .connections = &connections_,
                              .on_bind = [this, name](const std::string& fault) {
                                const bool is_news = health_.set_bind_fault(name, fault);
                                if (is_news && !fault.empty()) {
                                  spdlog::warn("{}: {}; trying again", name, fault);
                                }
                              }};
  servers_[name] = std::make_unique<HttpServer>(executor_, std::move(options), std::move(routes));
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_health(HealthQuestion question) {
  Health health = health_.judge(question);
  metrics_.health_answered(question == HealthQuestion::kAlive, health.status);
  slis_.note(sli_of(question), health.status == 200);
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

// A scrape is a check itself: there is a result even where nobody asks for /healthz.
asio::awaitable<HttpAnswer> HttpEndpoints::answer_slis() {
  slis_.note(sli_of(HealthQuestion::kHealthy),
             health_.judge(HealthQuestion::kHealthy).status == 200);
  co_return HttpAnswer{.content_type = kTextFormat, .body = slis_.text()};
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_metrics(Scrape::Page page) {
  if (scrapes_ >= kMostScrapes) {
    co_return HttpAnswer{.status = 503,
                         .headers = {{"Retry-After", "1"}},
                         .body = "too many pages of metrics are being sent\n"};
  }
  co_return HttpAnswer{.content_type = kTextFormat, .stream = [this, page](BodyWriter write) {
                         return write_metrics(page, std::move(write));
                       }};
}

asio::awaitable<void> HttpEndpoints::write_metrics(Scrape::Page page, BodyWriter write) {
  struct UnderWay {
    explicit UnderWay(int& count_in) : count(count_in) { ++count; }
    ~UnderWay() { --count; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    int& count;
  };
  const UnderWay scrape(scrapes_);
  co_await scrape_.write(page, std::move(write));
}

}  // namespace agent
