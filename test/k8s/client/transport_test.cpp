// SPDX-License-Identifier: Apache-2.0
//
// The ways to an API server: several addresses, proxies, and what HTTP servers may do.
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "k8s/client/api_client.hpp"
#include "test/fake/api_server.hpp"
#include "test/fake/proxy.hpp"
#include "test/k8s/client/fetch.hpp"

namespace {

namespace asio = boost::asio;
using namespace k8s::test;
using fake::ApiServer;
using k8s::Response;
using std::chrono::seconds;
constexpr const char* kServices = "/api/v1/services";

std::vector<k8s::Address> addresses(const std::vector<std::string>& texts) {
  std::vector<k8s::Address> result;
  for (const auto& text : texts) result.push_back(asio::ip::make_address(text));
  return result;
}

k8s::GetRequest services() { return {.path = kServices}; }

}  // namespace

TEST_CASE("every address of the server is tried: refused, without TLS, then a good one (item 9)",
          "[transport]") {
  asio::io_context io;
  ApiServer good(io.get_executor(), {.tls = true, .address = "127.0.0.3"});
  good.serve(kServices, "Service");
  // Another program on the same port of another address: it speaks no TLS.
  ApiServer plain(io.get_executor(), {.address = "127.0.0.2", .port = good.port()});
  k8s::ApiAccess access = good.access();
  access.host = "api.example";
  access.tls_server_name = "localhost";
  const auto list = addresses({"127.0.0.1", "127.0.0.2", "127.0.0.3"});
  k8s::ApiClient client(io.get_executor(), access,
                        {.lookup = [&](const std::string&) { return list; }});
  CHECK(fetch(io, client, services()).response.succeeded());
  CHECK(plain.connections() == 1);
  // The next connection begins with the address that works.
  CHECK(fetch(io, client, services()).response.succeeded());
  CHECK(plain.connections() == 1);
  CHECK(good.connections() == 2);
  CHECK(client.addresses().all() == list);
  // If none works, the message says what happened to each.
  good.stop();
  plain.stop();
  const Response response = fetch(io, client, services()).response;
  CHECK(response.end == Response::End::kFailed);
  const std::string port = ":" + std::to_string(good.port()) + ": Connection refused";
  CHECK(response.what.find("connect to 127.0.0.1" + port) != std::string::npos);
  CHECK(response.what.find("connect to 127.0.0.3" + port) != std::string::npos);
}

TEST_CASE("after an answer of 500 and above the next request goes to another address (item 9)",
          "[transport]") {
  asio::io_context io;
  ApiServer first(io.get_executor());
  ApiServer second(io.get_executor(), {.address = "127.0.0.2", .port = first.port()});
  first.serve(kServices, "Service");
  second.serve(kServices, "Service");
  k8s::ApiAccess access = first.access();
  access.host = "api.example";
  k8s::ApiClient client(io.get_executor(), access, {.lookup = [](const std::string&) {
                          return addresses({"127.0.0.1", "127.0.0.2"});
                        }});
  first.misbehave({.status = GENERATE(500u, 502u, 503u)});
  const auto connection = client.connection();
  CHECK(fetch(io, *connection, services()).response.status >= 500);
  CHECK(fetch(io, *connection, services()).response.succeeded());
  CHECK(second.requests().size() == 1);
  // So does another connection of the same client, and after a connection that broke.
  second.misbehave({.drop_after = 20});
  CHECK_FALSE(fetch(io, client, services()).response.succeeded());
  CHECK(fetch(io, client, services()).response.succeeded());
  CHECK(first.requests().size() == 2);
}

TEST_CASE("a connection is kept after a refusal that ended cleanly, with its Retry-After (H3)",
          "[transport]") {
  const unsigned status = GENERATE(429u, 503u, 403u, 410u);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  server.serve(kServices, "Service");
  k8s::ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  server.misbehave({.status = status, .header = "Retry-After: 3"});
  server.misbehave({.status = status,
                    .header = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                              "Retry-After: Sun, 06 Nov 1994 08:49:47 GMT"});
  CHECK(fetch(io, *connection, services()).response.retry_after == seconds(3));
  CHECK(fetch(io, *connection, services()).response.retry_after == seconds(10));
  CHECK(fetch(io, *connection, services()).response.succeeded());
  CHECK(server.connections() == 1);
}

TEST_CASE("after three answers of 500 and above in a row a new connection is made (item 9)",
          "[transport]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.serve(kServices, "Service");
  server.misbehave({.times = 3, .status = 500});
  k8s::ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  for (int i = 0; i < 3; ++i) CHECK(fetch(io, *connection, services()).response.status == 500);
  CHECK(server.connections() == 1);
  CHECK(fetch(io, *connection, services()).response.succeeded());
  CHECK(server.connections() == 2);
}

TEST_CASE("1xx responses are skipped, but not without end (H)", "[transport]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  const std::string hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  server.misbehave({.raw = go_on + hint + answer});
  server.misbehave(
      {.raw = go_on + go_on + go_on + go_on + go_on + go_on + go_on, .then_close = true});
  server.misbehave({.raw = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"});
  server.misbehave({.raw = answer});
  k8s::ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  const Fetched skipped = fetch(io, *connection, services());
  CHECK(skipped.response.succeeded());
  CHECK(skipped.body == "ok");
  CHECK_FALSE(fetch(io, *connection, services()).response.succeeded());
  CHECK(fetch(io, *connection, services()).response.status == 101);
  CHECK(fetch(io, *connection, services()).body == "ok");
}

TEST_CASE("trailers, lengths, and the wish to close are understood (H)", "[transport]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  k8s::ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  SECTION("trailers after the last chunk, and the connection is kept") {
    server.misbehave({.times = 2,
                      .raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
                             "\r\n2;ext=1\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"});
    CHECK(fetch(io, *connection, services()).body == "ok");
    CHECK(fetch(io, *connection, services()).body == "ok");
    CHECK(server.connections() == 1);
  }
  SECTION("Connection: close") {
    server.misbehave(
        {.times = 2, .raw = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"});
    CHECK(fetch(io, *connection, services()).body == "ok");
    CHECK(fetch(io, *connection, services()).body == "ok");
    CHECK(server.connections() == 2);
  }
  SECTION("a body until the end of the connection") {
    server.misbehave({.raw = "HTTP/1.0 200 OK\r\n\r\nok", .then_close = true});
    const Fetched fetched = fetch(io, *connection, services());
    CHECK(fetched.response.succeeded());
    CHECK(fetched.body == "ok");
  }
  SECTION("a body shorter than its Content-Length") {
    server.misbehave({.raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", .then_close = true});
    CHECK(fetch(io, *connection, services()).response.end == Response::End::kClosed);
  }
  SECTION("more than its Content-Length: the rest is no next answer") {
    server.misbehave({.raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK"});
    server.misbehave({.raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nit"});
    CHECK(fetch(io, *connection, services()).body == "ok");
    CHECK(fetch(io, *connection, services()).body == "it");
    CHECK(server.connections() == 2);
  }
  SECTION("a header over 64 KiB") {
    server.misbehave({.raw = "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n"});
    const Response response = fetch(io, *connection, services()).response;
    CHECK(response.end == Response::End::kFailed);
    CHECK(response.status == 0);
  }
}

TEST_CASE("a connection that the server closed while it was idle costs a GET nothing (H)",
          "[transport]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.misbehave(
      {.times = 2, .raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .then_close = true});
  k8s::ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  CHECK(fetch(io, *connection, services()).body == "ok");
  CHECK(fetch(io, *connection, services()).body == "ok");
  CHECK(server.connections() == 2);
}

TEST_CASE("a GET is redirected within the server, with its credentials, and to no other (H)",
          "[transport]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.token = "secret"});
  server.serve(kServices, "Service");
  k8s::ApiClient client(io.get_executor(), server.access());
  const auto moved = [](const std::string& to) {
    return fake::Misbehaviour{.on = "/old", .status = 307, .header = "Location: " + to};
  };
  SECTION("within the server") {
    server.misbehave(moved(GENERATE(true, false) ? kServices : server.access().url() + kServices));
    CHECK(fetch(io, client, {.path = "/old"}).response.succeeded());
    CHECK(server.requests().at(1).target == kServices);
    CHECK(server.requests().at(1).headers.at("authorization") == "Bearer secret");
    CHECK(server.connections() == 1);
  }
  SECTION("in a circle") {
    fake::Misbehaviour circle = moved("/old");
    circle.times = -1;
    server.misbehave(circle);
    CHECK(fetch(io, client, {.path = "/old"}).response.status == 307);
    CHECK(server.requests().size() == 6);
  }
  SECTION("elsewhere") {
    server.misbehave(moved("https://evil.example/x"));
    const Response response = fetch(io, client, {.path = "/old"}).response;
    CHECK(response.status == 307);
    CHECK(response.text().find("to https://evil.example/x, which is not followed") !=
          std::string::npos);
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE("an http or https proxy leads to an https server, which proves its own name (G)",
          "[proxy]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  server.serve(kServices, "Service");
  const bool tls_proxy = GENERATE(false, true);
  std::optional<fake::Certificate> certificate;
  if (tls_proxy) {
    certificate =
        fake::issue(server.authority(), {.common_name = "proxy", .names = {"DNS:proxy.example"}});
  }
  fake::Proxy proxy(io.get_executor(), certificate);
  proxy.lead_to(server.port());
  k8s::ApiAccess access = server.access();
  access.host = "api.example";
  access.tls_server_name = "localhost";
  access.proxy = k8s::ProxyUrl{
      .tls = tls_proxy, .host = "proxy.example", .port = proxy.port(), .user_info = "u:p"};
  std::vector<std::string> looked_up;
  k8s::ApiOptions options{.lookup = [&](const std::string& host) {
    looked_up.push_back(host);
    return addresses({"127.0.0.1"});
  }};
  SECTION("a tunnel is made for each connection") {
    k8s::ApiClient client(io.get_executor(), access, options);
    const auto connection = client.connection();
    const Fetched first = fetch(io, *connection, services());
    INFO(first.response.what);
    CHECK(first.response.succeeded());
    CHECK(fetch(io, *connection, services()).response.succeeded());
    REQUIRE(proxy.heads().size() == 1);
    const std::string name = "api.example:" + std::to_string(access.port);
    CHECK(proxy.heads()[0].starts_with("CONNECT " + name + " HTTP/1.1\r\nHost: " + name));
    CHECK(proxy.heads()[0].find("Proxy-Authorization: Basic dTpw\r\n") != std::string::npos);
    CHECK(proxy.heads()[0].find("\r\nAuthorization:") == std::string::npos);
    CHECK_FALSE(server.requests().at(0).headers.contains("proxy-authorization"));
    // The proxy resolves the server's name, and its address is the one to protect.
    CHECK(looked_up == std::vector<std::string>{"proxy.example"});
    CHECK(client.addresses().all() == addresses({"127.0.0.1"}));
  }
  SECTION("the certificate in the tunnel is checked for the server's name") {
    access.tls_server_name.clear();
    k8s::ApiClient client(io.get_executor(), access, options);
    CHECK(fetch(io, client, services()).response.what ==
          "TLS with api.example: its certificate is not for api.example");
  }
  SECTION("a proxy that refuses is named with its answer") {
    proxy.answer("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    k8s::ApiClient client(io.get_executor(), access, options);
    CHECK(fetch(io, client, services()).response.what ==
          "proxy " + access.proxy->url() + ": CONNECT api.example:" + std::to_string(access.port) +
              ": 407 Proxy Authentication Required");
  }
  SECTION("a proxy that sends more than its answer is no tunnel") {
    proxy.answer("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    k8s::ApiClient client(io.get_executor(), access, options);
    CHECK_FALSE(fetch(io, client, services()).response.succeeded());
    CHECK(server.requests().empty());
  }
}

TEST_CASE("the certificate of an https proxy is checked, too (G)", "[proxy]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  fake::Proxy proxy(io.get_executor(),
                    fake::issue(server.authority(), {.common_name = "x", .names = {"DNS:other"}}));
  proxy.lead_to(server.port());
  k8s::ApiAccess access = server.access();
  access.proxy =
      k8s::ProxyUrl{.tls = true, .host = "127.0.0.1", .port = proxy.port(), .user_info = ""};
  k8s::ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, services()).response.what ==
        "proxy " + access.proxy->url() +
            ": TLS with 127.0.0.1: its certificate is not for 127.0.0.1");
  CHECK(proxy.heads().empty());
}

TEST_CASE("a proxy gets whole URLs for an http server (G)", "[proxy]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.serve(kServices, "Service");
  fake::Proxy proxy(io.get_executor());
  proxy.lead_to(server.port());
  k8s::ApiAccess access = server.access();
  access.host = "api.example";
  access.port = 8080;
  access.proxy =
      k8s::ProxyUrl{.tls = false, .host = "127.0.0.1", .port = proxy.port(), .user_info = "u:p"};
  k8s::ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, services()).response.succeeded());
  REQUIRE(proxy.heads().size() == 1);
  CHECK(proxy.heads()[0].starts_with("GET http://api.example:8080/api/v1/services HTTP/1.1\r\n"));
  CHECK(proxy.heads()[0].find("Host: api.example:8080\r\n") != std::string::npos);
  CHECK(proxy.heads()[0].find("Proxy-Authorization: Basic dTpw\r\n") != std::string::npos);
}
