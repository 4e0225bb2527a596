// SPDX-License-Identifier: Apache-2.0
//
// An HTTP client that returns every byte of an answer, unparsed.
#pragma once

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>

namespace agent::test {

// Sends, and reads until the server closes the connection. "": nothing listens there.
inline boost::asio::awaitable<void> talk(boost::asio::ip::tcp::endpoint server, std::string request,
                                         std::string& answer) {
  constexpr auto kTuple = boost::asio::as_tuple(boost::asio::use_awaitable);
  boost::asio::ip::tcp::socket socket(co_await boost::asio::this_coro::executor);
  const auto [refused] = co_await socket.async_connect(server, kTuple);
  if (refused) co_return;
  co_await boost::asio::async_write(socket, boost::asio::buffer(request), kTuple);
  std::array<char, 4096> piece{};
  while (true) {
    const auto [error, n] = co_await socket.async_read_some(boost::asio::buffer(piece), kTuple);
    answer.append(piece.data(), n);
    if (error) co_return;
  }
}

}  // namespace agent::test
