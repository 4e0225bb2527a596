// SPDX-License-Identifier: Apache-2.0
#include "agent/report/http_endpoints.hpp"

#include <utility>
#include <vector>

#include "agent/report/zpages.hpp"

#include "agent/report/counted.hpp"
#include "agent/report/log.hpp"

namespace agent {

namespace asio = boost::asio;

namespace {
constexpr int kMostScrapes = 4;
constexpr const char* kMetrics = "metrics";
constexpr const char* kHealthz = "healthz";

// As kube-proxy has it.
std::map<std::string, HttpPutHandler> debug_puts(const config::Config& config) {
  if (!config.profiling) return {};
  return {{"/debug/flags/v", answer_verbosity}};
}

constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";

const char* sli_of(HealthQuestion question) {
  if (question == HealthQuestion::kAlive) return "livez";
  return question == HealthQuestion::kReady ? "readyz" : "healthz";
}
}  // namespace

HttpEndpoints::HttpEndpoints(asio::any_io_executor executor, const config::Config& config,
                             NodeHealth& health, const Conditions& conditions, Scrape& scrape,
                             Metrics& metrics, NodeDigest& digest, HttpConnections& connections)
    : executor_(executor),
      config_(config),
      health_(health),
      conditions_(conditions),
      scrape_(scrape),
      metrics_(metrics),
      digest_(digest),
      connections_(connections) {}

void HttpEndpoints::start(TaskGroup& tasks) {
  for (const char* name : {kMetrics, kHealthz}) {
    Served& served = servers_[name];
    served.bind = bind_of(name);
    if (!served.bind) continue;
    served.server = make_server(name, config_.bind_address_hard_fail);
    tasks.spawn(served.server->serve());
  }
}

void HttpEndpoints::configuration_changed(TaskGroup& tasks) {
  for (const char* name : {kMetrics, kHealthz}) {
    if (servers_[name].bind != bind_of(name)) move_server(name, tasks);
  }
}

void HttpEndpoints::move_server(const std::string& name, TaskGroup& tasks) {
  Served& served = servers_[name];
  // Of two that were to replace it, the first never listened.
  if (served.replaced) {
    served.server->close();
  } else {
    served.replaced = std::move(served.server);
  }
  served.server.reset();
  served.bind = bind_of(name);
  std::string fault;
  if (served.bind) {
    served.server = make_server(name, false);
    fault = served.server->open();
    const bool needs_port = !fault.empty() && served.replaced && served.bind->port != 0 &&
                            served.replaced->port() == served.bind->port;
    if (needs_port) {
      std::exchange(served.replaced, nullptr)->close();
      fault = served.server->open();
    }
    tasks.spawn(served.server->serve());
  }
  note_bind(name, fault);
}

// While it is not open, what it replaces goes on.
void HttpEndpoints::note_bind(const std::string& name, const std::string& fault) {
  const bool is_news = health_.set_fault(name, fault);
  if (is_news && !fault.empty()) on_fault_(name, fault);
  Served& served = servers_[name];
  if (fault.empty() && served.replaced) std::exchange(served.replaced, nullptr)->close();
}

const std::optional<config::HostPort>& HttpEndpoints::bind_of(const std::string& server) const {
  return server == kMetrics ? config_.metrics_bind : config_.healthz_bind;
}

std::uint16_t HttpEndpoints::port_of(const std::string& server) const {
  const auto found = servers_.find(server);
  return found == servers_.end() || !found->second.server ? 0 : found->second.server->port();
}

std::unique_ptr<HttpServer> HttpEndpoints::make_server(const std::string& name, bool hard_fail) {
  const config::HostPort& bind = *bind_of(name);
  HttpServer::Options options{
      .name = name,
      .bind = {bind.address, bind.port},
      .hard_fail = hard_fail,
      .connections = &connections_,
      .puts = name == kMetrics ? debug_puts(config_) : std::map<std::string, HttpPutHandler>{},
      .on_bind = [this, name](const std::string& fault) { note_bind(name, fault); }};
  return std::make_unique<HttpServer>(executor_, std::move(options), routes_of(name));
}

std::map<std::string, HttpHandler> HttpEndpoints::routes_of(const std::string& server) {
  const auto health = [this](HealthQuestion question) -> HttpHandler {
    return [this, question](std::string_view) { return answer_health(question); };
  };
  std::map<std::string, HttpHandler> routes{
      {"/healthz", health(HealthQuestion::kHealthy)},
      {"/readyz", health(HealthQuestion::kReady)},
      {"/livez", health(HealthQuestion::kAlive)},
      {"/plan-digest", [this](std::string_view) { return answer_digest(); }}};
  if (server != kMetrics) return routes;
  const auto metrics = [this](Scrape::Page page) -> HttpHandler {
    return [this, page](std::string_view) { return answer_metrics(page); };
  };
  routes["/metrics"] = metrics(Scrape::Page::kMetrics);
  routes["/metrics/endpoints"] = metrics(Scrape::Page::kEndpoints);
  routes["/metrics/slis"] = [this](std::string_view) { return answer_slis(); };
  routes["/conditions"] = [this](std::string_view) { return answer_conditions(); };
  routes["/proxyMode"] = [](std::string_view) -> asio::awaitable<HttpAnswer> {
    co_return HttpAnswer{.body = "ipvs"};
  };
  routes["/configz"] = [this](std::string_view) { return answer_configz(); };
  routes["/flagz"] = [this](std::string_view) { return answer_flagz(); };
  routes["/statusz"] = [this](std::string_view) { return answer_statusz(); };
  return routes;
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_configz() {
  co_return HttpAnswer{.content_type = "application/json",
                       .headers = {{"X-Content-Type-Options", "nosniff"}},
                       .body = configz_text(config_)};
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_flagz() {
  co_return HttpAnswer{.body = flagz_text(config_), .is_text_only = true};
}

asio::awaitable<HttpAnswer> HttpEndpoints::answer_statusz() {
  std::vector<std::string> paths;
  for (const auto& [path, handler] : routes_of(kMetrics)) paths.push_back(path);
  co_return HttpAnswer{
      .body = statusz_text(config_, started_, std::chrono::system_clock::now(), paths),
      .is_text_only = true};
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

asio::awaitable<HttpAnswer> HttpEndpoints::answer_digest() {
  co_return HttpAnswer{.content_type = "application/json",
                       .headers = {{"X-Content-Type-Options", "nosniff"}},
                       .body = digest_.json()};
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
  const Counted scrape(scrapes_);
  co_await scrape_.write(page, std::move(write));
}

}  // namespace agent
