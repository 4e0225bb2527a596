// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/proxy_mode.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kMaxResponse = 2048;
constexpr std::string_view kRequest =
    "GET /proxyMode HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
constexpr std::string_view kModes[] = {"ipvs", "iptables", "nftables"};

}  // namespace

std::string proxy_mode_in(std::string_view response) {
  if (!response.starts_with("HTTP/1.") || response.substr(8, 5) != " 200 ") return {};
  const std::size_t head = response.find("\r\n\r\n");
  if (head == std::string_view::npos) return {};
  std::string_view body = response.substr(head + 4);
  while (body.ends_with('\n') || body.ends_with('\r')) body.remove_suffix(1);
  for (const std::string_view mode : kModes) {
    if (body == mode) return std::string(mode);
  }
  return {};
}

asio::awaitable<std::string> ask_proxy_mode(asio::any_io_executor executor, std::uint16_t port) {
  boost::beast::tcp_stream stream(std::move(executor));
  stream.expires_after(std::chrono::seconds(1));
  const asio::ip::tcp::endpoint there(asio::ip::address_v4::loopback(), port);
  const auto [refused] = co_await stream.async_connect(there, kQuietly);
  if (refused) co_return std::string();
  const auto request = asio::buffer(kRequest);
  const auto [unsent, sent] = co_await asio::async_write(stream, request, kQuietly);
  if (unsent) co_return std::string();
  std::string response;
  std::array<char, 512> piece{};
  while (response.size() < kMaxResponse) {
    const auto space = asio::buffer(piece);
    const auto [ended, size] = co_await stream.async_read_some(space, kQuietly);
    response.append(piece.data(), size);
    if (ended) break;
  }
  co_return proxy_mode_in(response);
}

}  // namespace agent
