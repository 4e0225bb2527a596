// SPDX-License-Identifier: Apache-2.0
#include "agent/report/service_reporter.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "test/agent/log_lines.hpp"
#include "test/agent/objects.hpp"
#include "test/fake/api_server.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using namespace std::chrono_literals;
using agent::EventRecorder;

// What a reporter posts to a fake API server.
class Events : private agent::ClusterObserver {
 public:
  explicit Events(const char* controller = EventRecorder::kController)
      : services(io.get_executor(), &client, kThisNode, cluster, metrics, controller) {
    cluster.sinks().services->upsert(make_service("web", {"10.96.0.1"}));
    asio::co_spawn(io, services.run(),
                   asio::bind_cancellation_slot(cancel_.slot(),
                                                [this](std::exception_ptr) { running_ = false; }));
    io.poll();
    services.release_events();
  }
  ~Events() override {
    cancel_.emit(asio::cancellation_type::terminal);
    until([this] { return !running_; });
  }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  // The first Events, as "TYPE KIND NAME REASON ACTION: NOTE".
  std::vector<std::string> first(std::size_t count) {
    until([&] { return server.requests().size() >= count; });
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < count; ++i) {
      const auto event = boost::json::parse(server.requests()[i].body);
      const auto text = [](const boost::json::value& object, const char* field) {
        return std::string(object.at(field).as_string());
      };
      const auto& regarding = event.at("regarding");
      lines.push_back(text(event, "type") + " " + text(regarding, "kind") + " " +
                      text(regarding, "name") + " " + text(event, "reason") + " " +
                      text(event, "action") + ": " + text(event, "note"));
    }
    return lines;
  }
  std::string controller() {
    until([&] { return !server.requests().empty(); });
    const auto event = boost::json::parse(server.requests()[0].body);
    return std::string(event.at("reportingController").as_string());
  }

  const CapturedLog log;
  asio::io_context io;
  fake::ApiServer server{io.get_executor()};
  k8s::ApiClient client{io.get_executor(), server.access()};
  config::Config config;
  agent::Metrics metrics;
  agent::ClusterState cluster{config, *this};
  agent::ServiceReporter services;

 private:
  void on_dirty(const ipvs::Owner&) override {}
  template <typename Condition>
  void until(Condition condition) {
    while (!condition()) {
      if (io.stopped()) io.restart();
      if (io.run_one_for(20s) == 0) throw std::runtime_error("nothing happens any more");
    }
  }

  asio::cancellation_signal cancel_;
  bool running_ = true;
};

}  // namespace

TEST_CASE("the node gets the Events that kube-proxy writes about it (18.4)", "[events]") {
  Events events;
  events.services.port_not_opened("metrics", "Address already in use");
  events.services.port_not_opened("healthz", "Permission denied");
  CHECK(events.first(3) ==
        std::vector<std::string>{
            "Normal Node node-1 Starting StartKubeProxy: kube-ipvs " KUBE_IPVS_VERSION,
            "Warning Node node-1 FailedToStartMetricServer StartKubeProxy: metrics server failed: "
            "Address already in use",
            "Warning Node node-1 FailedToStartProxierHealthcheck StartKubeProxy: healthz server "
            "failed: Permission denied"});
  CHECK(events.log.count(R"(warning: "Port cannot be opened: trying again" )"
                         R"(err="Permission denied" server="healthz")") == 1);
}

TEST_CASE("a Service whose health check is not served gets kube-proxy's Event (18.4)", "[events]") {
  Events events;
  events.services.health_check_not_served({.ns = "default", .name = "web"}, 30999,
                                          "Address already in use");
  events.services.health_check_not_served({.ns = "default", .name = "unknown"}, 30998, "no");
  events.services.health_check_not_served({.ns = "default", .name = "web"}, 30997, "no");
  CHECK(events.first(3)[1] ==
        "Warning Service web FailedToStartServiceHealthcheck Listen: node node-1 failed to start "
        "healthcheck \"default/web\" on port 30999: Address already in use");
  CHECK(events.first(3)[2].ends_with("on port 30997: no"));
  CHECK(events.log.count("\"Health check node port is not served\" err=\"no\" "
                         "service=\"default/unknown\" port=30998") == 1);
}

TEST_CASE("Events are written under the name that the program was started with (18.4)",
          "[events]") {
  CHECK(Events().controller() == "kube-ipvs.io/kube-ipvs");
  CHECK(Events(EventRecorder::kKubeProxy).controller() == "kube-proxy");
}
