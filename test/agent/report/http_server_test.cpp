// SPDX-License-Identifier: Apache-2.0
//
// The server and a plain-text client on one io_context, so that a test shows what is on the wire.
#include "agent/report/http_server.hpp"

#include <sys/resource.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/log_lines.hpp"
#include "test/agent/report/gunzip.hpp"
#include "test/agent/report/http_talk.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using agent::BodyWriter;
using agent::HttpAnswer;
using agent::HttpServer;
using agent::test::talk;
using asio::ip::tcp;

tcp::endpoint loopback(std::uint16_t port) { return {asio::ip::address_v4::loopback(), port}; }

asio::awaitable<HttpAnswer> hello(std::string_view target) {
  co_return HttpAnswer{.headers = {{"X-Target", std::string(target)}}, .body = "hello\n"};
}

asio::awaitable<HttpAnswer> unwell(std::string_view) {
  co_return HttpAnswer{.status = 503, .content_type = "application/json", .body = "{}"};
}

asio::awaitable<void> write_pieces(BodyWriter write) {
  co_await write("one\n");
  co_await write("");  // must not become an empty chunk, which would end the body
  co_await write("two\n");
}

asio::awaitable<HttpAnswer> streamed(std::string_view) {
  co_return HttpAnswer{.stream = write_pieces};
}

class Fixture {
 public:
  explicit Fixture(HttpServer::Options options = {.name = "test", .bind = loopback(0)},
                   std::map<std::string, agent::HttpHandler> routes = {
                       {"/hello", hello}, {"/unwell", unwell}, {"/stream", streamed}}) {
    options.on_bind = [this](const std::string& fault) { binds.push_back(fault); };
    server = std::make_unique<HttpServer>(context.get_executor(), options, std::move(routes));
    asio::co_spawn(context, server->serve(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr e) {
                     ended = true;
                     error = e;
                   }));
  }
  ~Fixture() { stop(); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  template <typename Condition>
  void until(Condition condition) {
    while (!condition()) {
      if (context.stopped()) context.restart();
      if (context.run_one_for(20s) == 0) throw std::runtime_error("nothing happens any more");
    }
  }
  // The whole answer to `request`, up to the end of the connection.
  std::string exchange(const std::string& request) {
    until([this] { return server->port() != 0; });
    std::string answer;
    bool done = false;
    asio::co_spawn(context, talk(loopback(server->port()), request, answer),
                   [&](std::exception_ptr) { done = true; });
    until([&] { return done; });
    return answer;
  }
  std::string get(const std::string& target) {
    return exchange("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  void stop() {
    stop_.emit(asio::cancellation_type::terminal);
    until([this] { return ended; });
  }

  asio::io_context context;
  std::unique_ptr<HttpServer> server;
  std::vector<std::string> binds;
  bool ended = false;
  std::exception_ptr error;

 private:
  asio::cancellation_signal stop_;
};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a GET gets the handler's answer, and the query is passed to the handler") {
  Fixture f;
  CHECK(f.get("/hello?verbose=1") ==
        "HTTP/1.1 200 OK\r\n"
        "Server: kube-ipvs\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "X-Target: /hello?verbose=1\r\n"
        "Connection: close\r\n"
        "Content-Length: 6\r\n"
        "\r\n"
        "hello\n");
  CHECK(f.binds == std::vector<std::string>{""});
}

TEST_CASE("a body in pieces is compressed for a client that asks for it") {
  Fixture f;
  const auto get = [&](const std::string& version, const std::string& accepts) {
    return f.exchange("GET /stream HTTP/" + version + "\r\n" + accepts +
                      "Connection: close\r\n\r\n");
  };
  const auto body_of = [](const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  };
  const std::string zipped = get("1.0", "Accept-Encoding: deflate\r\nAccept-Encoding: gzip\r\n");
  CHECK(zipped.find("Content-Encoding: gzip\r\n") != std::string::npos);
  CHECK(zipped.find("Vary: Accept-Encoding\r\n") != std::string::npos);
  CHECK(agent::test::gunzip(body_of(zipped)) == "one\ntwo\n");
  const std::string chunked = get("1.1", "Accept-Encoding: gzip\r\n");
  CHECK(chunked.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(chunked.ends_with("\r\n0\r\n\r\n"));
  const std::string plain = get("1.0", "Accept-Encoding: gzip;q=0\r\n");
  CHECK(plain.find("Content-Encoding") == std::string::npos);
  CHECK(plain.find("Vary: Accept-Encoding\r\n") != std::string::npos);
  CHECK(body_of(plain) == "one\ntwo\n");
}

TEST_CASE("a handler sets the status and the content type") {
  Fixture f;
  const std::string answer = f.get("/unwell");
  CHECK(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(answer.find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n{}"));
}

TEST_CASE("HEAD gets the same answer without the body") {
  Fixture f;
  const std::string head = "HEAD /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::string answer = f.exchange(head);
  CHECK(answer.find("Content-Length: 6\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
  const std::string stream = f.exchange("HEAD /stream HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK(stream.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(stream.ends_with("\r\n\r\n"));
}

TEST_CASE("an unknown path is 404 and a method other than GET and HEAD is 405") {
  Fixture f;
  CHECK(f.get("/").starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(f.get("/hello/").starts_with("HTTP/1.1 404 Not Found\r\n"));
  const std::string refused =
      f.exchange("DELETE /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(refused.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  CHECK(refused.find("Allow: GET, HEAD\r\n") != std::string::npos);
}

TEST_CASE("a path that takes PUT gets its body, and any other method is 406 there (18.4)") {
  std::vector<std::string> bodies;
  HttpServer::Options options{.name = "test", .bind = loopback(0)};
  options.puts["/put"] = [&](std::string_view body) {
    bodies.emplace_back(body);
    return agent::HttpAnswer{.status = body == "4" ? 200 : 400, .body = "seen\n"};
  };
  Fixture f(std::move(options), {{"/hello", hello}});
  const auto put = [&](const std::string& path, const std::string& body) {
    return f.exchange("PUT " + path +
                      " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  CHECK(put("/put", "4").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(put("/put?x=y", "four").starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(put("/put", "").starts_with("HTTP/1.1 400"));
  CHECK(bodies == std::vector<std::string>{"4", "four", ""});
  CHECK(put("/put", std::string(1025, '4')).starts_with("HTTP/1.1 400"));  // too long
  CHECK(bodies.size() == 3);
  CHECK(f.get("/put").starts_with("HTTP/1.1 406 Not Acceptable\r\n"));
  CHECK(f.get("/put").ends_with("unsupported http method\n"));
  CHECK(put("/hello", "4").starts_with("HTTP/1.1 405"));
  CHECK(put("/nowhere", "4").starts_with("HTTP/1.1 404"));
}

TEST_CASE("the handler * gets only the paths without a handler of their own") {
  Fixture f({.name = "test", .bind = loopback(0)}, {{"/unwell", unwell}, {"*", hello}});
  CHECK(f.get("/any/path?x").find("X-Target: /any/path?x\r\n") != std::string::npos);
  CHECK(f.get("/unwell").starts_with("HTTP/1.1 503"));
}

TEST_CASE("a streamed body is sent in chunks") {
  Fixture f;
  const std::string answer = f.get("/stream");
  CHECK(answer.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"));
}

TEST_CASE("for HTTP/1.0, which has no chunks, the body ends with the connection") {
  Fixture f;
  const std::string answer = f.exchange("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(answer.find("chunked") == std::string::npos);
  CHECK(answer.ends_with("\r\n\r\none\ntwo\n"));
}

TEST_CASE(
    "one connection serves several requests, streamed ones included, until Connection: close") {
  Fixture f;
  const std::string keep = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer =
      f.exchange(keep + "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" + keep +
                 "GET /unwell HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + keep);
  CHECK(count(answer, "HTTP/1.1 200 OK\r\n") == 3);
  CHECK(answer.ends_with("\r\n\r\n{}"));
}

TEST_CASE("a request that is not HTTP is answered with 400, and the connection is closed") {
  Fixture f;
  CHECK(f.exchange("\x16\x03\x01 hello\r\n\r\n").starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(f.exchange("GET /hello HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n")
            .starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(f.get("/hello").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("idle connections never keep a request out, the oldest makes room (A3)") {
  Fixture f;
  f.until([&] { return f.server->port() != 0; });
  std::vector<tcp::socket> clients;
  std::string sent;
  SECTION("that send nothing") {}
  SECTION("that send a part of a request") { sent = "GET /hello HTTP/1.1\r\nX: "; }
  SECTION("that have been answered") { sent = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"; }
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back(f.context);
    clients.back().connect(loopback(f.server->port()));
    if (!sent.empty()) asio::write(clients.back(), asio::buffer(sent));
  }
  CHECK(f.get("/hello").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(f.get("/unwell").starts_with("HTTP/1.1 503"));
}

namespace {

// No descriptor can be opened while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("without descriptors a server says so once, does not spin, and answers later (A3)") {
  const agent::test::CapturedLog log;
  Fixture f;
  f.until([&] { return f.server->port() != 0; });
  tcp::socket client(f.context, tcp::v4());
  std::size_t events = 0;
  {
    const NoDescriptors none;
    client.connect(loopback(f.server->port()));
    asio::write(client, asio::buffer(std::string("GET /hello HTTP/1.0\r\n\r\n")));
    f.until([&] { return log.count("HTTP: ") > 0; });
    const auto end = std::chrono::steady_clock::now() + 350ms;
    while (std::chrono::steady_clock::now() < end) events += f.context.run_one_until(end);
  }
  CHECK(events < 20);  // one try in 100 ms
  std::string answer(64, ' ');
  bool done = false;
  client.async_read_some(asio::buffer(answer), [&](auto, std::size_t) { done = true; });
  f.until([&] { return done; });
  CHECK(answer.starts_with("HTTP/1.0 200 OK"));
  CHECK(log.count("warning: \"HTTP: ") == 1);
  CHECK(log.count("info: \"HTTP: connections are accepted again") == 1);
}

namespace {

// More than the sockets of a client that does not read hold.
asio::awaitable<void> write_much(BodyWriter write) {
  const std::string piece(100'000, 'x');
  for (int i = 0; i < 200; ++i) co_await write(piece);
}
asio::awaitable<HttpAnswer> much(std::string_view) { co_return HttpAnswer{.stream = write_much}; }

}  // namespace

TEST_CASE("clients that never read an answer never keep a request out (A3)") {
  Fixture f({.name = "test", .bind = loopback(0)}, {{"/hello", hello}, {"/much", much}});
  f.until([&] { return f.server->port() != 0; });
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 70; ++i) {
    clients.emplace_back(f.context);
    clients.back().connect(loopback(f.server->port()));
    asio::write(clients.back(), asio::buffer(std::string("GET /much HTTP/1.1\r\n\r\n")));
  }
  CHECK(f.get("/hello").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("a port in use is reported, retried, and opened when it is free") {
  asio::io_context other;
  auto holder = std::make_unique<tcp::acceptor>(other, loopback(0));
  const std::uint16_t port = holder->local_endpoint().port();
  Fixture f({.name = "test", .bind = loopback(port), .retry = 1ms});
  f.until([&] { return f.binds.size() == 3; });
  CHECK(f.binds[0] ==
        "cannot listen on 127.0.0.1 port " + std::to_string(port) + ": Address already in use");
  CHECK(f.server->port() == 0);
  holder.reset();
  f.until([&] { return f.binds.back().empty(); });
  CHECK(f.get("/hello").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_CASE("with hard_fail a port in use ends the server with an error that says why") {
  asio::io_context other;
  const tcp::acceptor holder(other, loopback(0));
  Fixture f({.name = "healthz", .bind = holder.local_endpoint(), .hard_fail = true});
  f.until([&] { return f.ended; });
  REQUIRE(f.error);
  try {
    std::rethrow_exception(f.error);
  } catch (const std::exception& e) {
    CHECK(std::string(e.what()).starts_with("healthz: cannot listen on 127.0.0.1 port "));
  }
}

TEST_CASE("cancelled, the server ends its connections before it returns") {
  Fixture f;
  f.until([&] { return f.server->port() != 0; });
  bool closed = false;
  std::string answer;
  // A client that never sends a request.
  asio::co_spawn(f.context, talk(loopback(f.server->port()), "", answer),
                 [&](std::exception_ptr) { closed = true; });
  CHECK(f.get("/hello").starts_with("HTTP/1.1 200 OK\r\n"));
  f.stop();
  f.until([&] { return closed; });
  CHECK(answer.empty());
  CHECK(f.server->port() == 0);
  REQUIRE(f.error);
  CHECK_THROWS_AS(std::rethrow_exception(f.error), boost::system::system_error);
}

TEST_CASE("cancelled while it waits for a port, the server ends") {
  asio::io_context other;
  const tcp::acceptor holder(other, loopback(0));
  Fixture f({.name = "test", .bind = holder.local_endpoint(), .retry = 1h});
  f.until([&] { return !f.binds.empty(); });
  f.stop();
  CHECK(f.ended);
}

TEST_CASE("a server that is closed ends what it answers, and takes nothing new (18.2)") {
  bool is_asked = false;
  bool may_answer = false;
  asio::io_context* loop = nullptr;
  const agent::HttpHandler slow = [&](std::string_view) -> asio::awaitable<HttpAnswer> {
    return
        [](asio::io_context& context, bool& asked, const bool& may) -> asio::awaitable<HttpAnswer> {
          asked = true;
          while (!may) {
            asio::steady_timer poll(context, 1ms);
            co_await poll.async_wait(asio::use_awaitable);
          }
          co_return HttpAnswer{.body = "late\n"};
        }(*loop, is_asked, may_answer);
  };
  Fixture f({.name = "test", .bind = loopback(0)}, {{"/slow", slow}});
  loop = &f.context;
  f.until([&] { return f.server->port() != 0; });
  const std::uint16_t port = f.server->port();
  std::string answer;
  bool done = false;
  asio::co_spawn(f.context, talk(loopback(port), "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", answer),
                 [&](std::exception_ptr) { done = true; });
  f.until([&] { return is_asked; });
  f.server->close();
  CHECK(f.server->port() == 0);
  std::string refused;
  bool was_refused = false;
  asio::co_spawn(f.context, talk(loopback(port), "GET /slow HTTP/1.1\r\n\r\n", refused),
                 [&](std::exception_ptr) { was_refused = true; });
  f.until([&] { return was_refused; });
  CHECK(refused.empty());
  CHECK_FALSE(done);
  may_answer = true;
  f.until([&] { return f.ended; });
  CHECK(done);
  CHECK(answer.ends_with("late\n"));
  CHECK(f.error == nullptr);
}

TEST_CASE("a server that is closed while its port is taken does not open it later (18.2)") {
  asio::io_context context;
  tcp::acceptor other(context, loopback(0));
  const std::uint16_t port = other.local_endpoint().port();
  Fixture f({.name = "test", .bind = loopback(port), .retry = 20ms});
  f.until([&] { return f.binds.size() >= 2; });
  f.server->close();
  f.until([&] { return f.ended; });
  CHECK(f.server->port() == 0);
  CHECK(f.error == nullptr);
}

TEST_CASE("a server may be opened before it serves, and says why it cannot (18.2)") {
  asio::io_context context;
  HttpServer first(context.get_executor(), {.name = "test", .bind = loopback(0)}, {});
  CHECK(first.open().empty());
  HttpServer second(context.get_executor(), {.name = "test", .bind = loopback(first.port())}, {});
  CHECK(second.open().find("Address already in use") != std::string::npos);
  CHECK(second.port() == 0);
  first.close();
  CHECK(second.open().empty());
}
