// SPDX-License-Identifier: Apache-2.0
#include "agent/report/health_check_ports.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <tuple>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

bool is_unspecified(const ipvs::Address& address) { return address.is_unspecified(); }

asio::awaitable<HttpAnswer> at_once(HttpAnswer answer) { co_return answer; }

}  // namespace

HttpAnswer health_check_answer(const k8s::ObjectKey& service, std::size_t local_endpoints,
                               bool proxy_healthy) {
  json::object body;
  json::object& named = body["service"].emplace_object();
  named["namespace"] = service.ns;
  named["name"] = service.name;
  body["localEndpoints"] = local_endpoints;
  body["serviceProxyHealthy"] = proxy_healthy;
  return {.status = local_endpoints > 0 && proxy_healthy ? 200 : 503,
          .content_type = "application/json",
          .headers = {{"X-Content-Type-Options", "nosniff"},
                      {"X-Load-Balancing-Endpoint-Weight", std::to_string(local_endpoints)}},
          .body = json::serialize(body)};
}

struct HealthCheckPorts::Server {
  Server(asio::any_io_executor executor, HttpServer::Options options, const HttpHandler& handler)
      : http(executor, std::move(options), {{"*", handler}}) {}

  HttpServer http;
  k8s::ObjectKey owner{};
  asio::cancellation_signal signal{};
  bool stopping = false;
  bool fault_reported = false;
};

HealthCheckPorts::HealthCheckPorts(asio::any_io_executor executor, Options options)
    : executor_(executor), options_(std::move(options)), ended_(executor) {}

HealthCheckPorts::~HealthCheckPorts() = default;

void HealthCheckPorts::update(const Changes& changes) {
  bool ports_changed = false;
  for (const auto& [service, check] : changes) {
    const auto before = checks_.find(service);
    if (!check) {
      if (before == checks_.end()) continue;
      checks_.erase(before);
      shadowed_.erase(service);
      ports_changed = true;
    } else if (before == checks_.end()) {
      checks_.emplace(service, *check);
      ports_changed = true;
    } else {
      ports_changed = ports_changed || before->second.port != check->port ||
                      before->second.since != check->since ||
                      before->second.load_balancer_ips != check->load_balancer_ips;
      before->second = *check;
    }
  }
  if (ports_changed) start_and_stop_servers();
}

void HealthCheckPorts::set_addresses(std::vector<ipvs::Address> addresses) {
  if (addresses == addresses_) return;
  addresses_ = std::move(addresses);
  start_and_stop_servers();
}

asio::awaitable<void> HealthCheckPorts::run() {
  running_ = true;
  start_and_stop_servers();
  ended_.expires_at(asio::steady_timer::time_point::max());
  co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
  running_ = false;
  start_and_stop_servers();
  // This coroutine is cancelled; it still has to wait for the servers to end.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  while (!servers_.empty()) {
    ended_.expires_at(asio::steady_timer::time_point::max());
    co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (error_) std::rethrow_exception(error_);
}

// Starts the servers that are missing and stops those that are not wanted.
void HealthCheckPorts::start_and_stop_servers() {
  std::map<Place, k8s::ObjectKey> wanted;
  if (running_) {
    const auto owners = health_check_owners(checks_);
    report_shadowed(owners);
    const bool on_all = std::any_of(addresses_.begin(), addresses_.end(), is_unspecified);
    for (const auto& [port, owner] : owners) {
      for (const ipvs::Address& address : addresses_)
        wanted.emplace(Place(k8s::Address(address), port), owner);
      if (on_all) continue;
      for (const ipvs::Address& address : checks_.at(owner).load_balancer_ips)
        wanted.emplace(Place(k8s::Address(address), port), owner);
    }
  }
  std::vector<Place> unwanted;
  for (const auto& [place, server] : servers_) {
    if (!wanted.contains(place)) unwanted.push_back(place);
  }
  for (const Place& place : unwanted) stop(place);
  for (const auto& [place, owner] : wanted) {
    const auto found = servers_.find(place);
    if (found == servers_.end()) {
      start(place, owner);
    } else {
      found->second->owner = owner;
    }
  }
}

void HealthCheckPorts::report_shadowed(const std::map<std::uint16_t, k8s::ObjectKey>& owners) {
  for (const auto& [service, check] : checks_) {
    const k8s::ObjectKey& owner = owners.at(check.port);
    if (owner == service) {
      shadowed_.erase(service);
    } else if (shadowed_.insert(service).second) {
      options_.warn(service, check.port, "it is taken by Service " + owner.text());
    }
  }
}

void HealthCheckPorts::start(const Place& place, const k8s::ObjectKey& owner) {
  HttpServer::Options options{
      .name = "health check",
      .bind = place,
      // A load balancer IP is local after it is planned, and by a route alone with some bindings.
      .bind_any = true,
      .retry = options_.retry,
      .connections = options_.connections,
      .on_bind = [this, place](const std::string& fault) { bound(place, fault); }};
  const HttpHandler handler = [this, place](std::string_view) { return at_once(answer(place)); };
  auto server = std::make_unique<Server>(executor_, std::move(options), handler);
  server->owner = owner;
  Server& started = *servers_.emplace(place, std::move(server)).first->second;
  const auto on_end = [this, place](std::exception_ptr error) { ended(place, error); };
  asio::co_spawn(executor_, started.http.serve(),
                 asio::bind_cancellation_slot(started.signal.slot(), on_end));
}

void HealthCheckPorts::stop(const Place& place) {
  const auto found = servers_.find(place);
  if (found == servers_.end() || found->second->stopping) return;
  found->second->stopping = true;
  found->second->signal.emit(asio::cancellation_type::terminal);
}

void HealthCheckPorts::ended(const Place& place, std::exception_ptr error) {
  const auto found = servers_.find(place);
  if (!found->second->stopping) error_ = error;  // a bug, or out of memory: run() throws it
  servers_.erase(found);
  if (error_ || !running_) ended_.cancel();
  if (!error_) start_and_stop_servers();  // it may be wanted again
}

void HealthCheckPorts::bound(const Place& place, const std::string& fault) {
  Server& server = *servers_.at(place);
  if (!fault.empty() && !server.fault_reported) {
    options_.warn(server.owner, place.port(), fault + "; trying again");
  } else if (fault.empty() && server.fault_reported) {
    options_.served(server.owner, place.port());
  }
  server.fault_reported = !fault.empty();
}

HttpAnswer HealthCheckPorts::answer(const Place& place) const {
  const k8s::ObjectKey& owner = servers_.at(place)->owner;
  const auto check = checks_.find(owner);
  const std::size_t endpoints = check == checks_.end() ? 0 : check->second.local_endpoints;
  return health_check_answer(owner, endpoints, options_.proxy_healthy());
}

}  // namespace agent
