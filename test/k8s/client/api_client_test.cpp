// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/api_client.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "k8s/decode/values.hpp"
#include "test/fake/api_server.hpp"
#include "test/k8s/client/fetch.hpp"

namespace {

namespace asio = boost::asio;
using fake::ApiServer;
using k8s::ApiClient;
using namespace k8s::test;
using k8s::Response;
using std::chrono::milliseconds;
constexpr const char* kServices = "/api/v1/services";

std::string service_json(const std::string& name) {
  return R"({"kind":"Service","apiVersion":"v1","metadata":{"namespace":"default","name":")" +
         name + R"("},"spec":{"ports":[{"port":80}]}})";
}

constexpr const char* kExecV1 = "client.authentication.k8s.io/v1";

}  // namespace

TEST_CASE("a body arrives whole, however the server cuts it", "[api_client]") {
  const bool tls = GENERATE(false, true);
  const std::size_t piece = GENERATE(0u, 1u, 7u, 1000u);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = tls, .piece = piece});
  server.put(kServices, service_json("web"));
  ApiClient client(io.get_executor(), server.access());
  const Fetched fetched = fetch(io, client, {.path = std::string(kServices) + "?limit=5"});
  REQUIRE(fetched.response.succeeded());
  CHECK(fetched.body.find("\"name\":\"web\"") != std::string::npos);
  CHECK(fetched.body.ends_with("]}\n"));
}

TEST_CASE("requests carry a user agent, and accept compression only when asked to",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.token = "secret"});
  server.serve(kServices, "Service");
  k8s::ApiAccess access = server.access();
  access.base_path = "/clusters/one";
  ApiClient client(io.get_executor(), access);
  fetch(io, client, {.path = kServices});
  const fake::SeenRequest& request = server.requests().at(0);
  CHECK(request.target == "/clusters/one/api/v1/services");
  CHECK(request.headers.at("authorization") == "Bearer secret");
  CHECK(request.headers.at("accept") == "application/json");
  CHECK(request.headers.at("user-agent").starts_with("kube-ipvs/"));
  CHECK(request.headers.at("host") == "127.0.0.1:" + std::to_string(server.port()));
  CHECK_FALSE(request.headers.contains("accept-encoding"));
  fetch(io, client, {.path = kServices, .gzip = true});
  CHECK(server.requests().at(1).headers.at("accept-encoding") == "gzip");
}

TEST_CASE("requests over the limit wait for their turn, whatever their connection (18.2)",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {});
  server.serve(kServices, "Service");
  ApiClient client(io.get_executor(), server.access(), {.requests_per_second = 50, .burst = 2});
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) CHECK(fetch(io, client, {.path = kServices}).response.succeeded());
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(55));  // three times 20
}

TEST_CASE("a body compressed with gzip is delivered inflated, however the server cuts it",
          "[api_client]") {
  const bool tls = GENERATE(false, true);
  const std::size_t piece = GENERATE(0u, 1u, 7u, 1000u);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = tls, .piece = piece, .gzip = true});
  for (int i = 0; i < 100; ++i) server.put(kServices, service_json("web-" + std::to_string(i)));
  ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  const Fetched plain = fetch(io, *connection, {.path = kServices});
  const std::size_t sent_plain = server.bytes_sent();
  const Fetched inflated = fetch(io, *connection, {.path = kServices, .gzip = true});
  const std::size_t sent_compressed = server.bytes_sent() - sent_plain;
  REQUIRE(plain.response.succeeded());
  REQUIRE(inflated.response.succeeded());
  CHECK(inflated.body == plain.body);
  CHECK(sent_compressed * 5 < sent_plain);
  CHECK(server.connections() == 1);
}

TEST_CASE("gzip that is corrupt, cut short, or not requested fails the call with a message",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.gzip = true});
  server.put(kServices, service_json("web"));
  ApiClient client(io.get_executor(), server.access());
  const std::string begin = "reading from " + server.access().url() + ": ";
  k8s::GetRequest request{.path = kServices, .gzip = true};
  fake::Misbehaviour wrong;
  auto end = Response::End::kFailed;
  std::string what;
  SECTION("corrupt") {
    wrong.corrupt_at = 0;
    what = "the gzip data is corrupt: incorrect header check";
  }
  SECTION("cut short, though the answer is whole for HTTP") {
    wrong.cut_body_at = 60;
    end = Response::End::kClosed;
    what = "the body ended before its gzip data did";
  }
  SECTION("not requested") {
    request.gzip = false;
    wrong.gzip = true;
    what = "the body has an encoding that was not requested (gzip)";
  }
  SECTION("an encoding that nobody knows") {
    wrong.status = 200;
    wrong.header = "Content-Encoding: br" + std::string(100, 'x');
    what = "the body has an encoding that was not requested (br" + std::string(38, 'x') + ")";
  }
  server.misbehave(wrong);
  const auto connection = client.connection();
  const Response response = fetch(io, *connection, request).response;
  CHECK(response.end == end);
  CHECK(response.what == begin + what);
  CHECK_FALSE(response.succeeded());
  // Such a connection is not reused, so the next response is not affected.
  CHECK(fetch(io, *connection, {.path = kServices, .gzip = true}).response.succeeded());
  CHECK(server.connections() == 2);
}

TEST_CASE("a refusal compressed with gzip is inflated too, up to the size that is kept",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  const std::string body(GENERATE(100u, 200'000u), 'a');
  server.misbehave({.status = 403, .body = fake::gzip(body), .header = "Content-Encoding: gzip"});
  ApiClient client(io.get_executor(), server.access());
  const Response response = fetch(io, client, {.path = kServices, .gzip = true}).response;
  CHECK(response.status == 403);
  CHECK(response.body == body.substr(0, 64 * 1024));
}

TEST_CASE("consecutive calls share a connection, and open a new one if the server closed it",
          "[api_client]") {
  const bool tls = GENERATE(false, true);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = tls});
  server.serve(kServices, "Service");
  ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  for (int i = 0; i < 3; ++i)
    REQUIRE(fetch(io, *connection, {.path = kServices}).response.succeeded());
  CHECK(server.connections() == 1);
  server.stop();
  server.start();
  REQUIRE(fetch(io, *connection, {.path = kServices}).response.succeeded());
  CHECK(server.connections() == 2);
}

TEST_CASE("a server certificate's authority, name and validity period are checked",
          "[api_client]") {
  asio::io_context io;
  const fake::Certificate other = fake::make_authority("another authority");
  SECTION("an unknown authority is refused") {
    ApiServer server(io.get_executor(), {.tls = true});
    k8s::ApiAccess access = server.access();
    access.certificate_authority.text = other.certificate;
    ApiClient client(io.get_executor(), access);
    const Response response = fetch(io, client, {.path = kServices}).response;
    CHECK(response.end == Response::End::kFailed);
    CHECK(response.what.find("not trusted") != std::string::npos);
    CHECK(server.requests().empty());
  }
  SECTION("a certificate for another address is refused, unless its name is the one to expect") {
    const fake::Certificate leaf =
        fake::issue(other, {.common_name = "x", .names = {"IP:192.0.2.1", "DNS:api.example"}});
    ApiServer server(io.get_executor(), {.tls = true, .certificate = leaf});
    server.serve(kServices, "Service");
    k8s::ApiAccess access = server.access();
    access.certificate_authority.text = other.certificate;
    ApiClient wrong(io.get_executor(), access);
    CHECK(fetch(io, wrong, {.path = kServices}).response.what ==
          "TLS with 127.0.0.1: its certificate is not for 127.0.0.1");
    access.tls_server_name = "api.example";
    ApiClient right(io.get_executor(), access);
    CHECK(fetch(io, right, {.path = kServices}).response.succeeded());
  }
  SECTION("an expired certificate is refused") {
    const fake::Certificate leaf =
        fake::issue(other, {.common_name = "x", .names = {"IP:127.0.0.1"}, .expired = true});
    ApiServer server(io.get_executor(), {.tls = true, .certificate = leaf});
    k8s::ApiAccess access = server.access();
    access.certificate_authority.text = other.certificate;
    ApiClient client(io.get_executor(), access);
    CHECK(fetch(io, client, {.path = kServices}).response.what.find("expired") !=
          std::string::npos);
  }
  SECTION("insecure-skip-tls-verify takes any") {
    ApiServer server(io.get_executor(), {.tls = true});
    server.serve(kServices, "Service");
    k8s::ApiAccess access = server.access();
    access.certificate_authority = {};
    access.insecure_skip_tls_verify = true;
    ApiClient client(io.get_executor(), access);
    CHECK(fetch(io, client, {.path = kServices}).response.succeeded());
  }
}

TEST_CASE("a client certificate is presented, and read again after a rotation", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true, .require_client_certificate = true});
  server.serve(kServices, "Service");
  const fake::TemporaryFolder folder;
  const fake::Certificate stranger =
      fake::issue(fake::make_authority("other"), {.common_name = "n"});
  const fake::Certificate own = fake::issue(server.authority(), {.common_name = "node"});
  k8s::ApiAccess access = server.access();
  access.client_certificate.file = folder.write("crt", stranger.certificate);
  access.client_key.file = folder.write("key", stranger.key);
  ApiClient client(io.get_executor(), access);
  CHECK_FALSE(fetch(io, client, {.path = kServices}).response.succeeded());
  folder.write("crt", own.certificate);
  folder.write("key", own.key);
  CHECK(fetch(io, client, {.path = kServices}).response.succeeded());
}

TEST_CASE("a rotated token is read again after a 401", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.token = "new"});
  server.serve(kServices, "Service");
  const fake::TemporaryFolder folder;
  k8s::ApiAccess access = server.access();
  access.token = {.file = folder.write("token", "old\n"), .text = {}};
  ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, {.path = kServices}).response.status == 401);
  folder.write("token", "new\n");
  CHECK(fetch(io, client, {.path = kServices}).response.succeeded());
}

TEST_CASE("a token file that is missing or contains a line break fails the call with a message",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  const fake::TemporaryFolder folder;
  k8s::ApiAccess access = server.access();
  access.token.file = "/nonexistent/token";
  ApiClient missing(io.get_executor(), access);
  CHECK(fetch(io, missing, {.path = kServices}).response.what ==
        "/nonexistent/token: cannot be opened: No such file or directory");
  access.token.file = folder.write("token", "a\r\nX-Evil: 1");
  ApiClient evil(io.get_executor(), access);
  CHECK(fetch(io, evil, {.path = kServices}).response.end == Response::End::kFailed);
  CHECK(server.requests().empty());
}

TEST_CASE("a token file that is a FIFO is refused: reading it would wait for a writer",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  const fake::TemporaryFolder folder;
  k8s::ApiAccess access = server.access();
  access.token.file = folder.path("token");
  REQUIRE(::mkfifo(access.token.file.c_str(), 0600) == 0);
  ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, {.path = kServices}).response.what ==
        access.token.file + ": is not a regular file");
}

TEST_CASE("a credential plugin provides the token, and runs again only when the token expires",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.token = "from-plugin"});
  server.serve(kServices, "Service");
  const fake::TemporaryFolder folder;
  const std::string log = folder.write("log", "");
  k8s::ApiAccess access = server.access();
  access.token = {};
  const std::string expiry = GENERATE("2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z");
  access.exec = k8s::ExecPlugin{
      .api_version = kExecV1,
      .command = script(folder,
                        "echo run >>$LOG; echo \"$KUBERNETES_EXEC_INFO\" >>$LOG\n"
                        "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\","
                        "\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$1'\","
                        "\"expirationTimestamp\":\"" +
                            expiry + "\"}}'"),
      .args = {"from-plugin"},
      .env = {{"LOG", log}},
      .install_hint = {}};
  ApiClient client(io.get_executor(), access);
  for (int i = 0; i < 3; ++i) REQUIRE(fetch(io, client, {.path = kServices}).response.succeeded());
  std::ifstream lines(log);
  std::size_t runs = 0;
  std::string info;
  for (std::string line; std::getline(lines, line);) {
    if (line == "run")
      ++runs;
    else
      info = line;
  }
  CHECK(runs == (expiry.starts_with("2999") ? 1 : 3));
  CHECK(info.find("\"interactive\":false") != std::string::npos);
}

TEST_CASE("a credential plugin that fails is named in the message", "[api_client]") {
  asio::io_context io;
  const fake::TemporaryFolder folder;
  k8s::ApiAccess access;
  access.tls = false;
  access.host = "127.0.0.1";
  k8s::ExecPlugin plugin{
      .api_version = kExecV1, .command = {}, .args = {}, .env = {}, .install_hint = {}};
  std::string expected;
  SECTION("missing") {
    plugin.command = "/nonexistent/plugin";
    plugin.install_hint = "install it";
    expected =
        "credential plugin /nonexistent/plugin could not be started: No such file or "
        "directory (install it)";
  }
  SECTION("exit status") {
    plugin.command = script(folder, "exit 3");
    expected = "credential plugin " + plugin.command + " exited with status 3";
  }
  SECTION("rubbish") {
    plugin.command = script(folder, "echo hello");
    expected = "credential plugin " + plugin.command + ": its output is not a JSON object";
  }
  access.exec = plugin;
  ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, {.path = kServices}).response.what == expected);
}

TEST_CASE("a refusal carries its status, its body and its Retry-After", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.misbehave({.status = 429, .reason = "TooManyRequests", .header = "Retry-After: 7"});
  ApiClient client(io.get_executor(), server.access());
  const Fetched fetched = fetch(io, client, {.path = kServices});
  CHECK(fetched.response.status == 429);
  CHECK(fetched.response.retry_after == std::chrono::seconds(7));
  CHECK(fetched.response.body.find("TooManyRequests") != std::string::npos);
  CHECK(fetched.body.empty());
  CHECK(fetched.response.text() == "429 Failure");
}

TEST_CASE("a connection that breaks in the body is distinguished from one that never answered",
          "[api_client]") {
  const bool tls = GENERATE(false, true);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = tls});
  server.put(kServices, service_json("web"));
  ApiClient client(io.get_executor(), server.access());
  server.misbehave({.drop_after = 150});
  CHECK(fetch(io, client, {.path = kServices}).response.end == Response::End::kClosed);
  server.misbehave({.drop_after = 20});
  CHECK(fetch(io, client, {.path = kServices}).response.end == Response::End::kFailed);
  server.misbehave({.drop_after = 150, .reset = true});
  const Response response = fetch(io, client, {.path = kServices}).response;
  CHECK(response.end == Response::End::kClosed);
  server.stop();
  const Response refused = fetch(io, client, {.path = kServices}).response;
  CHECK(refused.end == Response::End::kFailed);
  CHECK(refused.what ==
        "connect to 127.0.0.1:" + std::to_string(server.port()) + ": Connection refused");
}

TEST_CASE("every wait has a deadline", "[api_client]") {
  const bool tls = GENERATE(false, true);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = tls});
  server.put(kServices, service_json("web"));
  SECTION("for the head") {
    ApiClient client(io.get_executor(), server.access());
    server.misbehave({.stall_after = 10});
    const Response response =
        fetch(io, client, {.path = kServices, .head = milliseconds(30)}).response;
    CHECK(response.end == Response::End::kTimedOut);
    CHECK(response.status == 0);
  }
  SECTION("between two pieces of the body") {
    ApiClient client(io.get_executor(), server.access());
    server.misbehave({.stall_after = 150});
    const Response response =
        fetch(io, client, {.path = kServices, .idle = milliseconds(30)}).response;
    CHECK(response.end == Response::End::kTimedOut);
    CHECK(response.what.ends_with("no data for 30 ms"));
  }
  SECTION("for the whole body") {
    ApiClient client(io.get_executor(), server.access());
    server.misbehave({.stall_after = 150});
    const Response response =
        fetch(io, client, {.path = kServices, .total = milliseconds(30)}).response;
    CHECK(response.what.ends_with("not finished within 30 ms"));
  }
  SECTION("for the TLS handshake") {
    asio::ip::tcp::acceptor silent(io, {asio::ip::address_v4::loopback(), 0});
    k8s::ApiAccess access = server.access();
    access.tls = true;
    access.insecure_skip_tls_verify = true;
    access.port = silent.local_endpoint().port();
    ApiClient client(io.get_executor(), access, {.handshake = milliseconds(30)});
    const Response response = fetch(io, client, {.path = kServices}).response;
    CHECK(response.end == Response::End::kTimedOut);
    CHECK(response.what == "TLS with 127.0.0.1: no answer in time");
  }
}

TEST_CASE("a chunk handler that returns false ends the call", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.gzip = true});
  for (int i = 0; i < 2000; ++i) server.put(kServices, service_json("web-" + std::to_string(i)));
  ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  int pieces = 0;
  const bool gzip = GENERATE(false, true);
  const Response response =
      run(io, connection->get({.path = kServices, .gzip = gzip}, [&](std::string_view) {
        ++pieces;
        return false;
      }));
  CHECK(response.end == Response::End::kStopped);
  CHECK(pieces == 1);
}

TEST_CASE("a response that is not HTTP fails the call", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  k8s::ApiAccess access = server.access();
  access.tls = false;  // plain HTTP to a TLS port
  ApiClient client(io.get_executor(), access);
  CHECK(fetch(io, client, {.path = kServices}).response.end == Response::End::kFailed);
}

TEST_CASE("a post sends its body and keeps the response's", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = true});
  ApiClient client(io.get_executor(), server.access());
  const Response response = run(io, client.post("/api/v1/namespaces/default/events", R"({"a":1})"));
  CHECK(response.status == 201);
  CHECK(response.body == R"({"a":1})");
  CHECK(server.requests().at(0).headers.at("content-type") == "application/json");
}

namespace {

// One line per report: "GET 200", "GET <error>", "GET 200 watch".
struct Reports {
  std::vector<std::string> lines;
  std::set<std::string> hosts;
  k8s::ApiOptions options() {
    k8s::ApiOptions options;
    options.on_request = [this](const k8s::RequestReport& report) {
      hosts.emplace(report.host);
      lines.push_back(std::string(report.method) + " " +
                      (report.status == 0 ? "<error>" : std::to_string(report.status)) +
                      (report.time ? "" : " watch"));
    };
    return options;
  }
};
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("each request is reported once: lists, refusals, posts, and what nobody answered (18.3)",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.put(kServices, service_json("web"));
  Reports reports;
  ApiClient client(io.get_executor(), server.access(), reports.options());
  const auto connection = client.connection();
  fetch(io, *connection, {.path = kServices});
  server.misbehave({.status = 429});
  fetch(io, *connection, {.path = kServices});
  run(io, connection->post("/api/v1/namespaces/default/events", "{}"));
  server.misbehave({.drop_after = 200});  // within the body
  fetch(io, *connection, {.path = kServices});
  server.misbehave({.drop_after = 0, .reset = true});
  fetch(io, *connection, {.path = kServices});
  server.misbehave({.raw = "no HTTP"});
  fetch(io, *connection, {.path = kServices});
  server.misbehave({.status = 302, .header = "Location: https://elsewhere.example/"});
  fetch(io, *connection, {.path = kServices});
  server.misbehave({.status = 307, .header = "Location: /api/v1/services?limit=1"});
  fetch(io, *connection, {.path = kServices});
  CHECK(reports.lines == Lines{"GET 200", "GET 429", "POST 201", "GET 200", "GET <error>",
                               "GET <error>", "GET 302", "GET 200"});
  CHECK(reports.hosts == std::set<std::string>{"127.0.0.1:" + std::to_string(server.port())});
}

TEST_CASE("a second try on a new connection belongs to the same request (18.3)", "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.put(kServices, service_json("web"));
  Reports reports;
  ApiClient client(io.get_executor(), server.access(), reports.options());
  const auto connection = client.connection();
  server.misbehave({.then_close = true});
  fetch(io, *connection, {.path = kServices});
  fetch(io, *connection, {.path = kServices});
  CHECK(reports.lines == Lines{"GET 200", "GET 200"});
}

TEST_CASE("a watch is reported when its response begins, and a refused one at its end (18.3)",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.put(kServices, service_json("web"));
  Reports reports;
  ApiClient client(io.get_executor(), server.access(), reports.options());
  const std::string path = std::string(kServices) + "?watch=true&resourceVersion=0";
  const auto connection = client.connection();
  bool ended = false;
  asio::cancellation_signal cancel;
  asio::co_spawn(io, connection->get({.path = path, .is_watch = true}, [](auto) { return true; }),
                 asio::bind_cancellation_slot(
                     cancel.slot(), [&](std::exception_ptr, const Response&) { ended = true; }));
  while (reports.lines.empty()) io.run_one();
  CHECK_FALSE(ended);
  cancel.emit(asio::cancellation_type::terminal);
  while (!ended) io.run_one();
  CHECK(reports.lines == Lines{"GET 200 watch"});
  io.restart();
  server.misbehave({.status = 410});
  fetch(io, client, {.path = path, .is_watch = true});
  CHECK(reports.lines == Lines{"GET 200 watch", "GET 410 watch"});
}

TEST_CASE("a call that is cancelled before there is a response is not reported (18.3)",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.misbehave({.stall_after = 0});
  Reports reports;
  ApiClient client(io.get_executor(), server.access(), reports.options());
  const auto connection = client.connection();
  asio::cancellation_signal cancel;
  bool ended = false;
  asio::co_spawn(io, connection->get({.path = kServices}, {}),
                 asio::bind_cancellation_slot(
                     cancel.slot(), [&](std::exception_ptr, const Response&) { ended = true; }));
  while (server.requests().empty()) io.run_one();
  cancel.emit(asio::cancellation_type::terminal);
  while (!ended) io.run_one();
  CHECK(reports.lines.empty());
}

TEST_CASE("a cancelled call ends and closes its connection", "[api_client]") {
  const bool tls = GENERATE(false, true);
  const std::size_t stall = GENERATE(0u, 150u);
  asio::io_context io;
  ApiServer server(io.get_executor(), {.tls = tls});
  server.put(kServices, service_json("web"));
  server.misbehave({.stall_after = stall});
  ApiClient client(io.get_executor(), server.access());
  const auto connection = client.connection();
  asio::cancellation_signal cancel;
  bool ended = false;
  asio::co_spawn(io, connection->get({.path = kServices}, {}),
                 asio::bind_cancellation_slot(
                     cancel.slot(), [&](std::exception_ptr, const Response&) { ended = true; }));
  while (server.requests().empty()) io.run_one();
  io.poll();
  CHECK_FALSE(ended);
  cancel.emit(asio::cancellation_type::terminal);
  while (!ended) io.run_one();
}

TEST_CASE("addresses resolve to themselves, and names by the resolver", "[api_client]") {
  asio::io_context io;
  k8s::ApiAccess access;
  access.host = "fd00::1";
  ApiClient literal(io.get_executor(), access);
  CHECK(run(io, literal.resolve()) == std::vector{asio::ip::make_address("fd00::1")});
  access.host = "localhost";
  ApiClient name(io.get_executor(), access);
  const auto addresses = run(io, name.resolve());
  // As the machine's resolver answers; nothing on a machine without /etc/hosts.
  boost::system::error_code unknown;
  std::set<k8s::Address> expected;
  for (const auto& entry : asio::ip::tcp::resolver(io).resolve("localhost", "443", unknown)) {
    expected.insert(entry.endpoint().address());
  }
  CHECK(std::set<k8s::Address>(addresses.begin(), addresses.end()) == expected);
}

TEST_CASE("a client knows its server's addresses: configured, resolved and connected (B1)",
          "[api_client]") {
  asio::io_context io;
  ApiServer server(io.get_executor());
  server.serve(kServices, "Service");
  k8s::ApiAccess access = server.access();
  const auto loopback = asio::ip::make_address("127.0.0.1");
  SECTION("configured, before anything was asked") {
    const ApiClient client(io.get_executor(), access);
    CHECK(client.addresses().all() == std::vector{loopback});
  }
  SECTION("resolved and connected") {
    boost::system::error_code unknown;
    asio::ip::tcp::resolver(io).resolve("localhost", "1", unknown);
    if (unknown) SKIP("this machine does not know localhost");
    access.host = "localhost";
    ApiClient client(io.get_executor(), access);
    CHECK(client.addresses().all().empty());
    int changes = 0;
    client.addresses().on_change([&] { ++changes; });
    REQUIRE(fetch(io, client, {.path = kServices}).response.succeeded());
    const auto& known = client.addresses().all();
    CHECK(std::find(known.begin(), known.end(), loopback) != known.end());
    CHECK(changes > 0);
  }
}

TEST_CASE("a credential plugin's expiry time is RFC 3339", "[encoding]") {
  const auto seconds = [](std::string_view text) {
    const auto parsed = k8s::parse_time(text);
    return parsed ? std::optional(*parsed) : std::nullopt;
  };
  CHECK(seconds("1970-01-01T00:00:01Z") == 1);
  CHECK(seconds("2026-11-22T10:00:00.123456+02:00") == 1795334400);
  CHECK_FALSE(seconds("2026-02-30T10:00:00Z"));
  CHECK_FALSE(seconds("2026-11-22 10:00:00Z"));
  CHECK_FALSE(seconds("2026-11-22T10:00:00"));
}
