// SPDX-License-Identifier: Apache-2.0
#include "agent/report/traffic_metrics.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"
#include "test/agent/report/promtool.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using agent::PortTraffic;

asio::awaitable<void> keep(std::vector<std::string>& pieces, std::string_view piece) {
  pieces.emplace_back(piece);
  // Like a slow socket: nothing may change the text before the write is complete.
  co_await asio::post(asio::use_awaitable);
}

std::vector<std::string> pieces_of(const std::vector<PortTraffic>& ports) {
  std::vector<std::string> pieces;
  asio::io_context context;
  std::exception_ptr error;
  agent::TrafficPage page;
  for (const PortTraffic& port : ports) page.add(port);
  const agent::TextWriter write = [&](std::string_view piece) { return keep(pieces, piece); };
  asio::co_spawn(context, page.write(write), [&](std::exception_ptr e) { error = e; });
  context.run();
  if (error) std::rethrow_exception(error);
  return pieces;
}

std::string text_of(const std::vector<PortTraffic>& ports) {
  std::string text;
  for (const std::string& piece : pieces_of(ports)) text += piece;
  return text;
}

void add_reading(PortTraffic& port, const ipvs::ServerReading& reading) {
  agent::add_reading(port, reading, [](const ipvs::Address& address) -> std::string_view {
    return address == ip("10.244.0.1") ? "web-1" : "";
  });
}

ipvs::Counters counters(std::uint64_t n) {
  return {.connections = n,
          .packets_in = n + 1,
          .packets_out = n + 2,
          .bytes_in = n + 3,
          .bytes_out = n + 4};
}

ipvs::ServerReading reading(std::uint64_t n, const std::vector<ipvs::DestinationReading>& ds) {
  return {.settings = {}, .counters = counters(n), .destinations = ds};
}

ipvs::DestinationReading destination(const std::string& address, std::uint64_t n,
                                     std::uint32_t weight = 1) {
  return {.destination = {.endpoint = {ip(address), 8080}, .weight = weight},
          .active_connections = 5,
          .inactive_connections = 6,
          .counters = counters(n)};
}

std::vector<PortTraffic> many(int ports, int endpoints) {
  std::vector<PortTraffic> all;
  for (int p = 0; p < ports; ++p) {
    PortTraffic port{.ns = "shop", .service = "web-" + std::to_string(p), .port = "http"};
    for (int e = 0; e < endpoints; ++e) {
      port.endpoints.push_back(
          {.endpoint = {ip("10.1." + std::to_string(p % 256) + "." + std::to_string(e)), 8080}});
    }
    all.push_back(std::move(port));
  }
  return all;
}

}  // namespace

TEST_CASE("the complete series of one Service port and its endpoint") {
  PortTraffic port{.ns = "default", .service = "web", .port = "http"};
  add_reading(port, reading(10, {destination("10.244.0.1", 100)}));
  CHECK(text_of({port}) ==
        R"(# HELP kube_ipvs_service_connections_total Connections scheduled, per Service port.
# TYPE kube_ipvs_service_connections_total counter
kube_ipvs_service_connections_total{namespace="default",service="web",port="http",protocol="TCP"} 10
# HELP kube_ipvs_service_packets_in_total Packets from clients, per Service port.
# TYPE kube_ipvs_service_packets_in_total counter
kube_ipvs_service_packets_in_total{namespace="default",service="web",port="http",protocol="TCP"} 11
# HELP kube_ipvs_service_packets_out_total Packets to clients, per Service port.
# TYPE kube_ipvs_service_packets_out_total counter
kube_ipvs_service_packets_out_total{namespace="default",service="web",port="http",protocol="TCP"} 12
# HELP kube_ipvs_service_bytes_in_total Bytes from clients, per Service port.
# TYPE kube_ipvs_service_bytes_in_total counter
kube_ipvs_service_bytes_in_total{namespace="default",service="web",port="http",protocol="TCP"} 13
# HELP kube_ipvs_service_bytes_out_total Bytes to clients, per Service port.
# TYPE kube_ipvs_service_bytes_out_total counter
kube_ipvs_service_bytes_out_total{namespace="default",service="web",port="http",protocol="TCP"} 14
# HELP kube_ipvs_endpoint_connections_total Connections scheduled, per endpoint.
# TYPE kube_ipvs_endpoint_connections_total counter
kube_ipvs_endpoint_connections_total{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 100
# HELP kube_ipvs_endpoint_packets_in_total Packets from clients, per endpoint.
# TYPE kube_ipvs_endpoint_packets_in_total counter
kube_ipvs_endpoint_packets_in_total{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 101
# HELP kube_ipvs_endpoint_packets_out_total Packets to clients, per endpoint.
# TYPE kube_ipvs_endpoint_packets_out_total counter
kube_ipvs_endpoint_packets_out_total{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 102
# HELP kube_ipvs_endpoint_bytes_in_total Bytes from clients, per endpoint.
# TYPE kube_ipvs_endpoint_bytes_in_total counter
kube_ipvs_endpoint_bytes_in_total{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 103
# HELP kube_ipvs_endpoint_bytes_out_total Bytes to clients, per endpoint.
# TYPE kube_ipvs_endpoint_bytes_out_total counter
kube_ipvs_endpoint_bytes_out_total{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 104
# HELP kube_ipvs_endpoint_active_connections Connections established, per endpoint.
# TYPE kube_ipvs_endpoint_active_connections gauge
kube_ipvs_endpoint_active_connections{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 5
# HELP kube_ipvs_endpoint_inactive_connections Connections being opened or closed, per endpoint.
# TYPE kube_ipvs_endpoint_inactive_connections gauge
kube_ipvs_endpoint_inactive_connections{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 6
# HELP kube_ipvs_endpoint_weight Weight in scheduling; 0: no new connections, per endpoint.
# TYPE kube_ipvs_endpoint_weight gauge
kube_ipvs_endpoint_weight{namespace="default",service="web",port="http",protocol="TCP",endpoint="10.244.0.1:8080",pod="web-1"} 1
)");
}

TEST_CASE("the virtual servers of one port are summed per endpoint") {
  PortTraffic port;
  add_reading(port, reading(10, {destination("10.244.0.2", 100)}));
  add_reading(port,
              reading(20, {destination("10.244.0.1", 1000), destination("10.244.0.2", 200, 0)}));
  CHECK(port.counters == ipvs::Counters{30, 32, 34, 36, 38});
  REQUIRE(port.endpoints.size() == 2);
  CHECK(port.endpoints[0].endpoint.text() == "10.244.0.1:8080");
  CHECK(port.endpoints[0].counters == counters(1000));
  CHECK(port.endpoints[1].counters == ipvs::Counters{300, 302, 304, 306, 308});
  CHECK(port.endpoints[1].active_connections == 10);
  CHECK(port.endpoints[1].inactive_connections == 12);
  CHECK(port.endpoints[1].weight == 0);
}

TEST_CASE("the largest counter is written in full, and IPv6 endpoints in brackets") {
  PortTraffic port;
  auto d = destination("fd00:244::1", 0);
  d.counters.bytes_in = ~std::uint64_t{0};
  add_reading(port, reading(0, {d}));
  port.protocol = ipvs::Protocol::kSctp;
  const std::string text = text_of({port});
  CHECK(
      text.find(R"(protocol="SCTP",endpoint="[fd00:244::1]:8080",pod=""} 18446744073709551615)") !=
      std::string::npos);
}

TEST_CASE("label values are escaped as the text format requires") {
  const PortTraffic plain{.ns = "plain", .service = "web", .port = "http"};
  const PortTraffic all_in_one{.ns = "a\"b\\c\nd", .service = "web", .port = "http"};
  const PortTraffic port{.ns = "a\"b", .service = "c\\d", .port = "e\nf"};
  const std::string text = text_of({plain, all_in_one, port});
  CHECK(text.find(R"({namespace="plain",service="web",port="http",protocol="TCP"} 0)") !=
        std::string::npos);
  CHECK(text.find(R"({namespace="a\"b\\c\nd",service="web",port="http",protocol="TCP"} 0)") !=
        std::string::npos);
  CHECK(text.find(R"({namespace="a\"b",service="c\\d",port="e\nf",protocol="TCP"} 0)") !=
        std::string::npos);
  CHECK(promtool_complaint(text).empty());
}

TEST_CASE("a long text is written in pieces of whole lines") {
  const auto ports = many(50, 20);
  const auto pieces = pieces_of(ports);
  CHECK(pieces.size() > 10);
  std::string text;
  for (const std::string& piece : pieces) {
    CHECK(piece.size() <= 64 * 1024);
    CHECK(piece.back() == '\n');
    text += piece;
  }
  const auto lines = std::count(text.begin(), text.end(), '\n');
  CHECK(lines == 13 * 2 + 50 * 5 + 50 * 20 * 8);
  CHECK(promtool_complaint(text).empty());
}

TEST_CASE("a line that is longer than a piece is a piece of its own") {
  auto ports = many(3, 1);
  ports[1].service = std::string(100'000, 'x');
  const auto pieces = pieces_of(ports);
  std::string text;
  for (const std::string& piece : pieces) {
    CHECK(piece.back() == '\n');
    text += piece;
  }
  CHECK(std::count(text.begin(), text.end(), '\n') == 13 * 2 + 3 * 5 + 3 * 8);
  CHECK(promtool_complaint(text).empty());
}

TEST_CASE("endpoints are written as Endpoint::text() does, IPv4 and IPv6") {
  for (const char* address : {"0.0.0.0", "10.0.200.9", "255.255.255.255", "fd00:244::1"}) {
    for (const std::uint16_t port : {1, 80, 65535}) {
      const ipvs::Endpoint endpoint{ip(address), port};
      PortTraffic traffic;
      traffic.endpoints.push_back({.endpoint = endpoint});
      CHECK(text_of({traffic}).find("endpoint=\"" + endpoint.text() + "\",pod") !=
            std::string::npos);
    }
  }
}

TEST_CASE("without Services there are families without samples, and promtool accepts that") {
  const std::string text = text_of({});
  CHECK(std::count(text.begin(), text.end(), '\n') == 5 * 2);
  CHECK(promtool_complaint(text).empty());
}
