// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/proxy_mode.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch_test_macros.hpp>
#include <exception>
#include <string>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<void> answer_one(tcp::acceptor& acceptor, std::string response,
                                 std::string& request) {
  constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
  tcp::socket client = co_await acceptor.async_accept(asio::use_awaitable);
  std::array<char, 512> piece{};
  const auto space = asio::buffer(piece);
  const auto [error, size] = co_await client.async_read_some(space, kTuple);
  request.assign(piece.data(), size);
  const auto text = asio::buffer(response);
  co_await asio::async_write(client, text, kTuple);
}

// What is made of this response of a server.
std::string asked(const std::string& response, std::string& request) {
  asio::io_context context;
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const std::uint16_t port = acceptor.local_endpoint().port();
  std::string mode = "not asked";
  const auto rethrow = [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  };
  asio::co_spawn(context, answer_one(acceptor, response, request), rethrow);
  asio::co_spawn(context, agent::ask_proxy_mode(context.get_executor(), port),
                 [&](const std::exception_ptr& error, const std::string& said) {
                   rethrow(error);
                   mode = said;
                 });
  context.run();
  return mode;
}

}  // namespace

TEST_CASE("kube-proxy's metrics port is asked for its mode") {
  std::string request;
  CHECK(asked("HTTP/1.0 200 OK\r\n\r\nipvs", request) == "ipvs");
  CHECK(request == "GET /proxyMode HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  CHECK(asked("HTTP/1.0 404 Not Found\r\n\r\nno", request).empty());
  CHECK(asked("", request).empty());
  CHECK(asked(std::string(100'000, 'x'), request).empty());
}

TEST_CASE("where nobody listens there is no mode") {
  asio::io_context context;
  std::uint16_t port = 0;
  {
    const tcp::acceptor closed(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    port = closed.local_endpoint().port();
  }
  std::string mode = "not asked";
  asio::co_spawn(context, agent::ask_proxy_mode(context.get_executor(), port),
                 [&](const std::exception_ptr&, const std::string& said) { mode = said; });
  context.run();
  CHECK(mode.empty());
}

TEST_CASE("only kube-proxy's answer to /proxyMode tells that one runs") {
  CHECK(agent::proxy_mode_in("HTTP/1.1 200 OK\r\nA: b\r\n\r\nipvs") == "ipvs");
  CHECK(agent::proxy_mode_in("HTTP/1.0 200 OK\r\n\r\niptables\n") == "iptables");
  for (const char* other : {"HTTP/1.1 404 Not Found\r\n\r\nipvs", "HTTP/1.1 200 OK\r\n\r\n<html>",
                            "HTTP/1.1 200 OK", "", "SSH-2.0-OpenSSH", "HTTP/1.1 200 OK\r\n\r\n"}) {
    INFO(other);
    CHECK(agent::proxy_mode_in(other).empty());
  }
}
