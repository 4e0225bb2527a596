// SPDX-License-Identifier: Apache-2.0
//
// Upstream's TestHealthCheckNodePort, TestHealthCheckNodePortE2E,
// Test_HealthCheckNodePortWhenTerminating, TestServer and TestServerWithSelectiveListeningAddress
// as behaviour; the tests send requests over the loopback interface.
#include "agent/report/health_check_ports.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch_test_macros.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"
#include "test/agent/report/http_talk.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using namespace std::chrono_literals;
using agent::HealthCheck;
using agent::HealthCheckPorts;
using agent::HealthChecks;
using agent::ServiceEndpoint;
using agent::ServiceEndpoints;
using asio::ip::tcp;
using Lines = std::vector<std::string>;

k8s::Service load_balancer(const std::string& name = "web") {
  k8s::Service service = make_service(name, {"10.96.0.1"});
  service.type = k8s::ServiceType::kLoadBalancer;
  service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  service.health_check_node_port = 31000;
  return service;
}

ServiceEndpoint local(const std::string& address, std::uint16_t port = 8080) {
  return {.endpoint = {ip(address), port}, .ready = true, .serving = true, .local = true};
}

std::string subject_of(const k8s::ObjectKey& service, std::uint16_t port) {
  return service.text() + " port " + std::to_string(port) + ": ";
}

// --- over the wire ---

class Fixture {
 public:
  Fixture()
      : ports(context.get_executor(),
              {.proxy_healthy = [this] { return healthy; },
               .warn =
                   [this](const k8s::ObjectKey& service, std::uint16_t port,
                          const std::string& fault) {
                     warnings.push_back(subject_of(service, port) + fault);
                   },
               .served =
                   [this](const k8s::ObjectKey& service, std::uint16_t port) {
                     infos.push_back(subject_of(service, port) + "listening now");
                   },
               .retry = 1ms}) {
    ports.set_addresses(kernel_ips({"127.0.0.1"}));
    asio::co_spawn(context, ports.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr e) {
                     ended = true;
                     error = e;
                   }));
  }
  ~Fixture() { stop(); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  // A port nobody has at this moment.
  std::uint16_t free_port() {
    return tcp::acceptor(context, {ip("127.0.0.1"), 0}).local_endpoint().port();
  }

  void set(const std::string& service, const HealthCheck& check) {
    ports.update({{key_of(service), check}});
  }
  void remove(const std::string& service) { ports.update({{key_of(service), std::nullopt}}); }

  std::string answer(std::uint16_t port, const std::string& path = "/healthz",
                     const std::string& address = "127.0.0.1") {
    turn();
    std::string text;
    bool done = false;
    asio::co_spawn(context,
                   talk({ip(address), port},
                        "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", text),
                   [&](std::exception_ptr) { done = true; });
    until([&] { return done; });
    return text;
  }
  std::string status(std::uint16_t port) { return answer(port).substr(0, 12); }

  template <typename Condition>
  void until(Condition condition) {
    while (!condition()) {
      if (context.stopped()) context.restart();
      if (context.run_one_for(20s) == 0) throw std::runtime_error("nothing happens any more");
    }
  }
  // Everything that needs no waiting.
  void turn() {
    if (context.stopped()) context.restart();
    context.poll();
  }
  void stop() {
    stop_.emit(asio::cancellation_type::terminal);
    until([this] { return ended; });
  }

  asio::io_context context;
  bool healthy = true;
  Lines warnings;
  Lines infos;
  HealthCheckPorts ports;
  bool ended = false;
  std::exception_ptr error;

 private:
  asio::cancellation_signal stop_;
};

}  // namespace

TEST_CASE("health check ports are for load balancers whose external traffic stays on the node") {
  CHECK(agent::needs_health_check(load_balancer()));
  k8s::Service service = load_balancer();
  SECTION("not of another type") { service.type = k8s::ServiceType::kNodePort; }
  SECTION("not with policy Cluster") {
    service.external_traffic_policy = k8s::TrafficPolicy::kCluster;
  }
  SECTION("not without a port") { service.health_check_node_port = 0; }
  SECTION("not for what is not served") { service.cluster_ips.clear(); }
  SECTION("not for what another proxy serves") {
    service.meta.labels["service.kubernetes.io/service-proxy-name"] = "other";
  }
  CHECK_FALSE(agent::needs_health_check(service));
}

TEST_CASE("the count is of ready endpoints on this node, each address once") {
  const auto count = [](const ServiceEndpoints& endpoints) {
    k8s::Service service = load_balancer();
    service.cluster_ips = ips({"10.96.0.1", "fd00:96::1"});
    return agent::count_local_endpoints(service, endpoints);
  };
  CHECK(count({}) == 0);
  CHECK(count({{local("10.244.0.1"), local("10.244.0.2")},
               {local("10.244.0.1", 8443), local("10.244.0.3", 8443)}}) == 3);
  ServiceEndpoint elsewhere = local("10.244.1.1");
  elsewhere.local = false;
  ServiceEndpoint unready = local("10.244.0.4");
  unready.ready = false;
  ServiceEndpoint leaving = unready;
  leaving.terminating = true;
  CHECK(count({{elsewhere, unready, leaving}}) == 0);
  // A Pod of two families is one endpoint.
  CHECK(count({{local("10.244.0.1"), local("fd00:244::1"), local("fd00:244::2")}}) == 2);
}

TEST_CASE("addresses of a family without a cluster IP are not counted") {
  CHECK(agent::count_local_endpoints(load_balancer(), {{local("fd00:244::1")}}) == 0);
}

TEST_CASE("of two Services with one health check port the older one gets it") {
  HealthChecks checks{{key_of("a"), {.since = 2, .port = 31000}},
                      {key_of("b"), {.since = 1, .port = 31000}},
                      {key_of("c"), {.since = 3, .port = 31001}}};
  CHECK(agent::health_check_owners(checks) ==
        std::map<std::uint16_t, k8s::ObjectKey>{{31000, key_of("b")}, {31001, key_of("c")}});
  checks.at(key_of("a")).since = 1;
  CHECK(agent::health_check_owners(checks).at(31000) == key_of("a"));
}

TEST_CASE("health check ports are on all addresses, or where --nodeport-addresses has node ports") {
  agent::NodeView node;
  node.node_port_addresses = kernel_ips({"192.168.1.1", "fd00:1::1"});
  config::Config config;
  CHECK(agent::health_check_addresses(config, node) == kernel_ips({"::"}));
  SECTION("networks") { config.nodeport_addresses = {{ip("192.168.0.0"), 16}}; }
  SECTION("primary") { config.nodeport_addresses_primary = true; }
  CHECK((config == config::Config{} ||
         agent::health_check_addresses(config, node) == node.node_port_addresses));
}

TEST_CASE("a load balancer reads the count from the header, and all of it from the body") {
  const auto answer = agent::health_check_answer(key_of("web"), 3, true);
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.headers ==
        std::map<std::string, std::string>{{"X-Content-Type-Options", "nosniff"},
                                           {"X-Load-Balancing-Endpoint-Weight", "3"}});
  CHECK(answer.body == R"({"service":{"namespace":"default","name":"web"},"localEndpoints":3,)"
                       R"("serviceProxyHealthy":true})");
}

TEST_CASE("no endpoints, or an unhealthy proxy, is 503") {
  CHECK(agent::health_check_answer(key_of("web"), 0, true).status == 503);
  const auto unwell = agent::health_check_answer(key_of("web"), 1, false);
  CHECK(unwell.status == 503);
  CHECK(unwell.body.ends_with(R"("localEndpoints":1,"serviceProxyHealthy":false})"));
}

TEST_CASE("a health check port answers with the current state, at any path") {
  Fixture f;
  const std::uint16_t port = f.free_port();
  f.set("web", {.port = port, .local_endpoints = 2});
  const std::string body = R"({"service":{"namespace":"default","name":"web"},"localEndpoints":2,)"
                           R"("serviceProxyHealthy":true})";
  const std::string answer = f.answer(port, "/");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("\r\nContent-Type: application/json\r\n") != std::string::npos);
  CHECK(answer.find("\r\nX-Content-Type-Options: nosniff\r\n") != std::string::npos);
  CHECK(answer.find("\r\nX-Load-Balancing-Endpoint-Weight: 2\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n" + body));
  f.set("web", {.port = port, .local_endpoints = 0});
  CHECK(f.status(port) == "HTTP/1.1 503");
  f.set("web", {.port = port, .local_endpoints = 1});
  CHECK(f.status(port) == "HTTP/1.1 200");
  f.healthy = false;
  CHECK(f.status(port) == "HTTP/1.1 503");
  CHECK(f.warnings.empty());
  CHECK(f.infos.empty());
}

TEST_CASE("health check ports are opened, changed and closed with their Services") {
  Fixture f;
  const std::uint16_t first = f.free_port();
  f.set("web", {.port = first, .local_endpoints = 1});
  CHECK(f.status(first) == "HTTP/1.1 200");
  const std::uint16_t second = f.free_port();
  f.set("web", {.port = second, .local_endpoints = 1});
  CHECK(f.status(second) == "HTTP/1.1 200");
  CHECK(f.status(first).empty());
  CHECK(f.ports.has(key_of("web")));
  f.remove("web");
  CHECK(f.status(second).empty());
  CHECK_FALSE(f.ports.has(key_of("web")));
  CHECK(f.warnings.empty());
}

TEST_CASE("a health check port that another Service takes over at once is still served") {
  Fixture f;
  const std::uint16_t port = f.free_port();
  f.set("web", {.port = port, .local_endpoints = 1});
  CHECK(f.status(port) == "HTTP/1.1 200");
  f.remove("web");
  f.set("other", {.port = port, .local_endpoints = 5});
  CHECK(f.answer(port).find(R"("name":"other"},"localEndpoints":5)") != std::string::npos);
  CHECK(f.warnings.empty());
}

TEST_CASE("a health check port in use is reported once, and again when it is opened") {
  Fixture f;
  auto holder = std::make_unique<tcp::acceptor>(f.context, tcp::endpoint(ip("127.0.0.1"), 0));
  const std::uint16_t port = holder->local_endpoint().port();
  const std::string subject = subject_of({.ns = "default", .name = "web"}, port);
  f.set("web", {.port = port, .local_endpoints = 1});
  f.until([&] { return !f.warnings.empty(); });
  for (int i = 0; i < 5; ++i) f.context.run_one_for(20s);  // retries
  CHECK(f.warnings == Lines{subject + "cannot listen on 127.0.0.1 port " + std::to_string(port) +
                            ": Address already in use; trying again"});
  CHECK(f.infos.empty());
  holder.reset();
  f.until([&] { return !f.infos.empty(); });
  CHECK(f.infos == Lines{subject + "listening now"});
  CHECK(f.status(port) == "HTTP/1.1 200");
  CHECK(f.warnings.size() == 1);
}

TEST_CASE("the younger of two Services with one health check port is reported, and gets it later") {
  Fixture f;
  const std::uint16_t port = f.free_port();
  f.set("old", {.since = 1, .port = port, .local_endpoints = 1});
  f.set("young", {.since = 2, .port = port, .local_endpoints = 7});
  f.set("young", {.since = 2, .port = port, .local_endpoints = 8});
  CHECK(f.answer(port).find(R"("name":"old")") != std::string::npos);
  CHECK(f.warnings == Lines{subject_of({.ns = "default", .name = "young"}, port) +
                            "it is taken by Service default/old"});
  f.remove("old");
  CHECK(f.answer(port).find(R"("name":"young"},"localEndpoints":8)") != std::string::npos);
}

TEST_CASE("health check ports follow the addresses of the node") {
  Fixture f;
  const std::uint16_t port = f.free_port();
  f.set("web", {.port = port, .local_endpoints = 1});
  f.ports.set_addresses(kernel_ips({"127.0.0.2", "127.0.0.3"}));
  CHECK(f.answer(port, "/", "127.0.0.1").empty());
  CHECK_FALSE(f.answer(port, "/", "127.0.0.2").empty());
  CHECK_FALSE(f.answer(port, "/", "127.0.0.3").empty());
  CHECK(f.warnings.empty());
}

TEST_CASE(
    "where node ports have addresses of their own, a Service's load balancer IPs answer (E4)") {
  Fixture f;
  const std::uint16_t port = f.free_port();
  const auto ips = [](const std::vector<std::string>& texts) { return kernel_ips(texts); };
  f.set("web", {.port = port, .local_endpoints = 1, .load_balancer_ips = ips({"127.0.0.4"})});
  CHECK_FALSE(f.answer(port, "/", "127.0.0.1").empty());
  CHECK_FALSE(f.answer(port, "/", "127.0.0.4").empty());
  CHECK(f.answer(port, "/", "127.0.0.5").empty());
  f.set("web", {.port = port, .local_endpoints = 1, .load_balancer_ips = ips({"127.0.0.5"})});
  CHECK(f.answer(port, "/", "127.0.0.4").empty());
  CHECK_FALSE(f.answer(port, "/", "127.0.0.5").empty());
  // One that is not local (yet), and one that is a node port's address as well.
  f.set("web", {.port = port,
                .local_endpoints = 1,
                .load_balancer_ips = ips({"127.0.0.1", "192.0.2.77", "2001:db8::77"})});
  CHECK_FALSE(f.answer(port, "/", "127.0.0.1").empty());
  CHECK(f.warnings.empty());
}

TEST_CASE("the IPv6 wildcard serves IPv4 as well, with or without IPv6") {
  Fixture f;
  f.ports.set_addresses(kernel_ips({"::"}));
  const std::uint16_t port = f.free_port();
  f.set("web", {.port = port, .local_endpoints = 1});
  CHECK(f.status(port) == "HTTP/1.1 200");
}

TEST_CASE("when cancelled, run() closes the health check ports before it returns") {
  Fixture f;
  const std::uint16_t port = f.free_port();
  f.set("web", {.port = port, .local_endpoints = 1});
  CHECK(f.status(port) == "HTTP/1.1 200");
  f.stop();
  CHECK_FALSE(f.error);
  CHECK(tcp::acceptor(f.context, {ip("127.0.0.1"), port}).is_open());
}
