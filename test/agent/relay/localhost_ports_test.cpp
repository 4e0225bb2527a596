// SPDX-License-Identifier: Apache-2.0
//
// Connections over the loopback interface; a server of the test stands for the virtual server.
#include "agent/relay/localhost_ports.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"
#include "test/agent/run_until.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using namespace std::chrono_literals;
using agent::LocalhostPort;
using agent::LocalhostPorts;
using asio::ip::tcp;
using boost::system::error_code;

class Fixture {
 public:
  explicit Fixture(std::size_t most = 8, const std::string& loopback = "127.0.0.1")
      : address(ip(loopback)),
        backend(context, {address, 0}),
        ports(context.get_executor(), options(most)) {
    asio::co_spawn(context, ports.run(),
                   asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr e) {
                     ended = true;
                     error = e;
                   }));
    node_port = free_port();
  }
  ~Fixture() { stop(); }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  std::uint16_t free_port() { return tcp::acceptor(context, {address, 0}).local_endpoint().port(); }
  void serve(const std::string& service = "default/web") {
    wanted[service] = {
        {.listen = {address, node_port}, .target = {address, backend.local_endpoint().port()}}};
    refresh(service);
  }
  void refresh(const std::string& service = "default/web") {
    ports.mark(service);
    ports.refresh();
    turn();
  }
  void turn() {
    context.restart();
    context.poll();
  }
  bool until(const std::function<bool()>& done) { return agent::test::run_until(context, done); }
  void stop() {
    if (ended) return;
    stop_.emit(asio::cancellation_type::terminal);
    REQUIRE(until([this] { return ended; }));
  }
  // The error of connecting, at the first try.
  error_code connect(tcp::socket& socket) {
    error_code result;
    socket.connect({address, node_port}, result);
    return result;
  }
  // A connection and its other end at the virtual server.
  struct Pair {
    tcp::socket client;
    tcp::socket server;
  };
  Pair pair() {
    Pair result{tcp::socket(context), tcp::socket(context)};
    REQUIRE_FALSE(connect(result.client));
    bool accepted = false;
    backend.async_accept(result.server, [&](error_code e) { accepted = !e; });
    REQUIRE(until([&] { return accepted; }));
    return result;
  }
  // Reads `size` bytes, or up to the end or an error.
  std::string read(tcp::socket& socket, std::size_t size, error_code& result) {
    std::string text(size, ' ');
    std::size_t got = 0;
    bool done = false;
    asio::async_read(socket, asio::buffer(text), [&](error_code e, std::size_t n) {
      result = e;
      got = n;
      done = true;
    });
    REQUIRE(until([&] { return done; }));
    text.resize(got);
    return text;
  }
  std::string read(tcp::socket& socket, std::size_t size) {
    error_code ignored;
    return read(socket, size, ignored);
  }

  asio::io_context context;
  asio::ip::address address;
  tcp::acceptor backend;
  std::map<std::string, std::vector<LocalhostPort>> wanted;
  std::vector<std::string> bind_reports;
  LocalhostPorts::Counters last;  // reported
  LocalhostPorts ports;
  std::uint16_t node_port = 0;
  bool ended = false;
  std::exception_ptr error;

 private:
  LocalhostPorts::Options options(std::size_t most) {
    LocalhostPorts::Options result;
    result.ports_of = [this](const ipvs::Owner& owner) { return wanted[owner]; };
    result.on_bind = [this](const ipvs::Owner& owner, const std::string& port,
                            const std::string& fault) {
      bind_reports.push_back(owner + " " + port.substr(0, port.rfind(':')) + " " + fault);
    };
    result.changed = [this](const LocalhostPorts::Counters& counters) { last = counters; };
    result.retry = 5ms;
    result.connect = 2s;
    result.max_connections = most;
    return result;
  }
  asio::cancellation_signal stop_;
};

}  // namespace

TEST_CASE("a connection to a node port on loopback is relayed in both directions (18.2)") {
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    Fixture f(8, loopback);
    f.serve();
    CHECK(f.last.listeners == 1);
    auto pair = f.pair();
    asio::write(pair.client, asio::buffer(std::string("hello")));
    CHECK(f.read(pair.server, 5) == "hello");
    asio::write(pair.server, asio::buffer(std::string("welcome")));
    CHECK(f.read(pair.client, 7) == "welcome");
    CHECK(f.last.connections == 1);
    CHECK(f.last.relayed == 1);
    pair.client.close();
    pair.server.close();
    CHECK(f.until([&] { return f.last.connections == 0; }));
    f.stop();
    CHECK_FALSE(f.error);
  }
}

TEST_CASE("a half-closed connection goes on in the other direction (18.2)") {
  Fixture f;
  f.serve();
  auto pair = f.pair();
  asio::write(pair.client, asio::buffer(std::string("question")));
  pair.client.shutdown(tcp::socket::shutdown_send);
  error_code end;
  CHECK(f.read(pair.server, 100, end) == "question");
  CHECK(end == asio::error::eof);
  asio::write(pair.server, asio::buffer(std::string("answer")));
  pair.server.shutdown(tcp::socket::shutdown_send);
  CHECK(f.read(pair.client, 100, end) == "answer");
  CHECK(end == asio::error::eof);
  CHECK(f.until([&] { return f.last.connections == 0; }));
}

TEST_CASE("a reset is passed on as a reset (18.2)") {
  Fixture f;
  f.serve();
  auto pair = f.pair();
  pair.server.set_option(asio::socket_base::linger(true, 0));
  pair.server.close();
  error_code end;
  CHECK(f.read(pair.client, 100, end).empty());
  CHECK(end == asio::error::connection_reset);
}

TEST_CASE("who does not read stops who writes (18.2)") {
  Fixture f;
  f.serve();
  auto pair = f.pair();
  pair.client.non_blocking(true);
  const std::string piece(64 * 1024, 'x');
  std::size_t written = 0;
  int idle = 0;
  while (idle < 20 && written < 64 * 1024 * 1024) {
    error_code error;
    const std::size_t now = pair.client.write_some(asio::buffer(piece), error);
    written += now;
    idle = now == 0 ? idle + 1 : 0;
    f.context.run_for(2ms);
  }
  CHECK(written < 64 * 1024 * 1024);  // the buffers of two sockets on either side
  // All of it arrives.
  pair.client.shutdown(tcp::socket::shutdown_send);
  error_code end;
  CHECK(f.read(pair.server, written + 1, end).size() == written);
}

TEST_CASE("where no endpoint answers the client is reset, and it is counted (18.2)") {
  Fixture f;
  f.serve();
  f.backend.close();
  tcp::socket client(f.context);
  REQUIRE_FALSE(f.connect(client));
  error_code end;
  f.read(client, 1, end);
  CHECK(end == asio::error::connection_reset);
  CHECK(f.last.failed == 1);
  CHECK(f.last.relayed == 0);
}

TEST_CASE(
    "a connection over the limit is reset, and the next is relayed when one has ended (18.2)") {
  Fixture f(1);
  f.serve();
  {
    auto pair = f.pair();
    tcp::socket other(f.context);
    REQUIRE_FALSE(f.connect(other));
    error_code end;
    f.read(other, 1, end);
    CHECK(end == asio::error::connection_reset);
    CHECK(f.last.refused == 1);
  }
  CHECK(f.until([&] { return f.last.connections == 0; }));
  f.pair();
  CHECK(f.last.relayed == 2);
}

TEST_CASE("a port in use is reported once and tried until it is free (18.2)") {
  Fixture f;
  tcp::acceptor other(f.context, {f.address, f.node_port});
  f.serve();
  REQUIRE(f.bind_reports.size() == 1);
  CHECK(f.bind_reports[0] == "default/web 127.0.0.1 Address already in use");
  CHECK(f.until([&] { return f.last.bind_failures > 2; }));
  CHECK(f.last.listeners == 0);
  other.close();
  CHECK(f.until([&] { return f.last.listeners == 1; }));
  CHECK(f.bind_reports == std::vector<std::string>{"default/web 127.0.0.1 Address already in use",
                                                   "default/web 127.0.0.1 "});
  f.pair();
}

TEST_CASE("a port in use that is not wanted any more is no fault any more (18.2)") {
  Fixture f;
  tcp::acceptor other(f.context, {f.address, f.node_port});
  f.serve();
  f.wanted.clear();
  f.refresh();
  CHECK(f.bind_reports.size() == 2);
  other.close();
  f.context.run_for(30ms);
  CHECK(f.last.listeners == 0);
  tcp::socket client(f.context);
  CHECK(f.connect(client) == asio::error::connection_refused);
}

TEST_CASE("a port closes with its Service, and connections go on (18.2)") {
  Fixture f;
  f.serve();
  auto pair = f.pair();
  f.wanted.clear();
  f.refresh();
  CHECK(f.last.listeners == 0);
  tcp::socket late(f.context);
  CHECK(f.connect(late) == asio::error::connection_refused);
  asio::write(pair.client, asio::buffer(std::string("more")));
  CHECK(f.read(pair.server, 4) == "more");
  // Another Service may have the port at once.
  f.serve("default/other");
  CHECK(f.last.listeners == 1);
  f.pair();
}

TEST_CASE("of two Services with a port one has it, and then the other (18.2)") {
  Fixture f;
  f.serve("default/b");
  f.serve("default/a");
  CHECK(f.last.listeners == 1);
  f.wanted["default/a"] = {};
  f.refresh("default/a");
  CHECK(f.last.listeners == 1);
  f.pair();
}

TEST_CASE("when it ends it closes its ports and resets its connections (18.2)") {
  Fixture f;
  f.serve();
  auto pair = f.pair();
  f.stop();
  CHECK_FALSE(f.error);
  CHECK(f.last.listeners == 0);
  CHECK(f.last.connections == 0);
  error_code end;
  f.read(pair.client, 1, end);
  CHECK(end == asio::error::connection_reset);
  tcp::socket late(f.context);
  CHECK(f.connect(late) == asio::error::connection_refused);
}
