// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/upstream.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <memory>
#include <utility>

namespace agent::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using error_code = boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMostUnderWay = 256;
constexpr std::size_t kMostServers = 2;  // that are tried for a question
constexpr std::size_t kMostReplies = 8;  // that are read for a question: others' may be false

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct Counted {
  explicit Counted(std::size_t& count_in) : count(count_in) { ++count; }
  ~Counted() { --count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  std::size_t& count;
};

}  // namespace

asio::awaitable<std::string> Upstream::ask(const Onward& onward, Transport transport) {
  if (under_way_ >= kMostUnderWay) co_return std::string();
  const Counted counted(under_way_);
  const std::vector<Place> servers = servers_;
  const std::size_t first = next_;
  for (std::size_t i = 0; i < std::min(servers.size(), kMostServers); ++i) {
    const Place& server = servers[(first + i) % servers.size()];
    std::string reply;
    if (transport == Transport::kUdp) {
      reply = co_await ask_by_udp(onward, server);
    } else {
      reply = co_await ask_by_tcp(onward, server);
    }
    if (!reply.empty()) co_return reply;
    // The next question begins with another one.
    if (next_ == first) ++next_;
  }
  co_return std::string();
}

asio::awaitable<std::string> Upstream::ask_by_udp(const Onward& onward, Place server) {
  const std::uint16_t id = next_id();
  const std::string question = write_onward_query(onward.query, onward.name, id);
  const auto socket = std::make_shared<udp::socket>(executor_);
  error_code error;
  socket->open(server.protocol(), error);
  if (!error) socket->connect(server, error);
  if (error) co_return std::string();
  asio::steady_timer deadline(executor_, patience_);
  deadline.async_wait([socket](error_code ended) {
    error_code ignored;
    if (!ended) socket->close(ignored);
  });
  const auto [unsent, sent] = co_await socket->async_send(asio::buffer(question), kTuple);
  if (unsent) co_return std::string();
  std::string reply(kLongestMessage, '\0');
  for (std::size_t tries = 0; tries < kMostReplies; ++tries) {
    const auto [failed, size] = co_await socket->async_receive(asio::buffer(reply), kTuple);
    if (failed) co_return std::string();
    const Bytes bytes = bytes_of(reply).first(size);
    if (is_reply_to(bytes, id, onward.name, onward.query.type)) co_return reply.substr(0, size);
  }
  co_return std::string();
}

asio::awaitable<std::string> Upstream::ask_by_tcp(const Onward& onward, Place server) {
  const std::uint16_t id = next_id();
  const std::string question = write_onward_query(onward.query, onward.name, id);
  boost::beast::tcp_stream stream(executor_);
  stream.expires_after(patience_);
  const auto [refused] =
      co_await stream.async_connect(tcp::endpoint(server.address(), server.port()), kTuple);
  if (refused) co_return std::string();
  std::string framed;
  framed += static_cast<char>(question.size() >> 8);
  framed += static_cast<char>(question.size() & 0xFF);
  framed += question;
  const auto [unsent, sent] = co_await asio::async_write(stream, asio::buffer(framed), kTuple);
  if (unsent) co_return std::string();
  std::array<std::uint8_t, 2> length{};
  const auto [ended, got] = co_await asio::async_read(stream, asio::buffer(length), kTuple);
  if (ended) co_return std::string();
  std::string reply((std::size_t{length[0]} << 8) | length[1], '\0');
  const auto [cut, size] = co_await asio::async_read(stream, asio::buffer(reply), kTuple);
  if (cut || !is_reply_to(bytes_of(reply), id, onward.name, onward.query.type)) {
    co_return std::string();
  }
  co_return reply;
}

}  // namespace agent::dns
