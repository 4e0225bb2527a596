// SPDX-License-Identifier: Apache-2.0
#include "agent/report/service_reporter.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "agent/log/log.hpp"
#include "k8s/async/cancellation.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kHold{10};
// The action of kube-proxy's Events about the node.
constexpr const char* kStart = "StartKubeProxy";

const char* result_name(EventRecorder::Result result) {
  switch (result) {
    case EventRecorder::Result::kPosted:
      return "posted";
    case EventRecorder::Result::kDropped:
      return "dropped";
    case EventRecorder::Result::kFailed:
      return "failed";
  }
  return "failed";
}

}  // namespace

ServiceReporter::ServiceReporter(asio::any_io_executor executor, k8s::ApiClient* client,
                                 std::string node_name, const ClusterState& cluster,
                                 Metrics& metrics, const char* controller)
    : node_name_(std::move(node_name)),
      cluster_(cluster),
      recorder_(
          executor, client,
          {.node_name = node_name_,
           .controller = controller,
           .on_result =
               [&metrics](EventRecorder::Result result) { metrics.event(result_name(result)); },
           .on_fault =
               [](const std::string& line) {
                 log_warning("Event not posted", {{kErr, line}});
               }}),
      hold_(executor, kHold) {}

asio::awaitable<void> ServiceReporter::run() {
  co_await asio::this_coro::throw_if_cancelled(false);
  recorder_.note(subject_of_node(node_name_), "Starting", kStart, "kube-ipvs " KUBE_IPVS_VERSION);
  co_await hold_.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool cancelled = co_await k8s::is_cancelled();
  if (cancelled) co_return;
  co_await recorder_.run();
}

void ServiceReporter::release_events() { hold_.expires_at(asio::steady_timer::time_point::min()); }

bool ServiceReporter::warn(const ipvs::Owner& service, std::string reason, std::string action,
                           std::string note) {
  if (!once_.first(service, reason, note)) return false;
  log_warning(note, {{"service", object_name(service)}, {"reason", reason}});
  post(service, std::move(reason), std::move(action), std::move(note));
  return true;
}

void ServiceReporter::post(const ipvs::Owner& service, std::string reason, std::string action,
                           std::string note) {
  if (const k8s::Service* found = cluster_.service(service)) {
    recorder_.warn(subject_of(*found), std::move(reason), std::move(action), std::move(note));
  }
}

void ServiceReporter::port_not_opened(const std::string& server, const std::string& fault) {
  const std::string reason = [&server] {
    if (server == "healthz") return "FailedToStartProxierHealthcheck";
    return server == "metrics" ? "FailedToStartMetricServer" : "FailedToStartDnsServer";
  }();
  log_warning("Port cannot be opened: trying again", {{"server", server}, {kErr, fault}});
  recorder_.warn(subject_of_node(node_name_), reason, kStart, server + " server failed: " + fault);
}

void ServiceReporter::health_check_not_served(const k8s::ObjectKey& service, std::uint16_t port,
                                              const std::string& fault) {
  log_warning("Health check node port is not served",
              {{"service", object_name(service.text())}, {"port", port}, {kErr, fault}});
  post(service.text(), "FailedToStartServiceHealthcheck", "Listen",
       "node " + node_name_ + " failed to start healthcheck \"" + service.text() + "\" on port " +
           std::to_string(port) + ": " + fault);
}

void ServiceReporter::warn_of_node(const std::string& reason, const std::string& action,
                                   const std::string& note) {
  log_warning(note, {{"node", object_name(node_name_)}, {"reason", reason}});
  recorder_.warn(subject_of_node(node_name_), reason, action, note);
}

}  // namespace agent
