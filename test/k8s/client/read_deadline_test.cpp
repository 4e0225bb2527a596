// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/read_deadline.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch_test_macros.hpp>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using k8s::ReadDeadline;
using namespace std::chrono_literals;

struct Connection {
  asio::io_context io;
  tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
  std::shared_ptr<k8s::TcpStream> stream = std::make_shared<k8s::TcpStream>(io);

  Connection() { stream->socket().connect(acceptor.local_endpoint()); }
  bool is_open() const { return stream->socket().is_open(); }
};

TEST_CASE("a stream is closed when its deadline passes", "[read_deadline]") {
  Connection c;
  ReadDeadline deadline(c.stream);
  deadline.set(ReadDeadline::Clock::now() + 10ms);
  c.io.run();
  CHECK(deadline.passed());
  CHECK_FALSE(c.is_open());
}

TEST_CASE("a deadline that is moved later replaces the earlier one", "[read_deadline]") {
  Connection c;
  ReadDeadline deadline(c.stream);
  deadline.set(ReadDeadline::Clock::now() + 10ms);
  const auto later = ReadDeadline::Clock::now() + 40ms;
  deadline.set(later);
  c.io.run();
  CHECK(deadline.passed());
  CHECK(ReadDeadline::Clock::now() >= later);
}

TEST_CASE("a deadline that is moved earlier is honoured", "[read_deadline]") {
  Connection c;
  ReadDeadline deadline(c.stream);
  deadline.set(ReadDeadline::Clock::now() + 1h);
  deadline.set(ReadDeadline::Clock::now() + 10ms);
  c.io.run_for(10s);
  CHECK(deadline.passed());
}

TEST_CASE("no deadline, and one that was withdrawn, close nothing", "[read_deadline]") {
  Connection c;
  ReadDeadline deadline(c.stream);
  SECTION("none was set") {}
  SECTION("it was taken back") {
    deadline.set(ReadDeadline::Clock::now() + 10ms);
    deadline.set(ReadDeadline::Clock::time_point::max());
  }
  c.io.run_for(30ms);
  CHECK_FALSE(deadline.passed());
  CHECK(c.is_open());
}

TEST_CASE("a destroyed deadline closes nothing", "[read_deadline]") {
  Connection c;
  { ReadDeadline(c.stream).set(ReadDeadline::Clock::now() + 1ms); }
  c.io.run_for(20ms);
  CHECK(c.is_open());
}

}  // namespace
