// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/request.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/none.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using error_code = boost::system::error_code;

constexpr std::chrono::seconds kTime{30};
constexpr std::uint64_t kLongest = 1ULL << 30;
constexpr std::size_t kLongestLine = std::size_t{1} << 20;

// "": it is no error.
std::string explain(const error_code& error, const std::string& socket) {
  if (!error) return {};
  if (error == boost::system::errc::no_such_file_or_directory ||
      error == boost::system::errc::connection_refused) {
    return "no kube-ipvs runs here, or it has another --api-socket: nothing listens on " + socket;
  }
  if (error == boost::system::errc::permission_denied) {
    return "no right to ask at " + socket +
           ": be root, or in the group that --api-socket-group names";
  }
  if (error == beast::error::timeout) return "no answer at " + socket + " within 30 s";
  return socket + ": " + error.message();
}

using Stream = beast::basic_stream<asio::local::stream_protocol>;

// A request under way: each step blocks until it is done, or throws NoAnswer.
class Exchange {
 public:
  explicit Exchange(const std::string& socket) : socket_(socket), context_(1), stream_(context_) {
    if (socket_.size() >= 108)
      throw NoAnswer(socket_ + ": the path of a socket has 107 bytes at most");
    stream_.expires_after(kTime);
    stream_.async_connect(asio::local::stream_protocol::endpoint(socket_),
                          [&](const error_code& result) { error_ = result; });
    wait();
  }

  void send(const std::string& method, const std::string& target, const std::string& body) {
    http::request<http::string_body> request(http::string_to_verb(method), target, 11, body);
    request.set(http::field::host, "kube-ipvs");
    request.prepare_payload();
    http::async_write(stream_, request, done());
    wait();
  }
  template <typename Parser>
  void read_all(Parser& parser) {
    http::async_read(stream_, buffer_, parser, done());
    wait();
  }
  template <typename Parser>
  void read_header(Parser& parser) {
    http::async_read_header(stream_, buffer_, parser, done());
    wait();
  }
  // What has come of the body, into `piece`; returns its size. It may take any time.
  std::size_t read_some(http::response_parser<http::buffer_body>& parser, std::span<char> piece) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    body.more = true;
    stream_.expires_never();
    http::async_read_some(stream_, buffer_, parser, done());
    context_.restart();
    context_.run();
    if (error_ == http::error::need_buffer) error_ = {};
    if (error_ == http::error::partial_message || error_ == asio::error::connection_reset ||
        error_ == http::error::end_of_stream) {
      throw NoAnswer("the agent has ended");
    }
    throw_error();
    return piece.size() - body.size;
  }

 private:
  std::function<void(const error_code&, std::size_t)> done() {
    return [this](const error_code& result, std::size_t) { error_ = result; };
  }
  void throw_error() const {
    if (const std::string why = explain(error_, socket_); !why.empty()) throw NoAnswer(why);
  }
  void wait() {
    context_.restart();
    context_.run();
    throw_error();
  }

  const std::string& socket_;
  asio::io_context context_;
  Stream stream_;
  beast::flat_buffer buffer_;
  error_code error_;
};

}  // namespace

Reply Asker::ask(const std::string& method, const std::string& target,
                 const std::string& body) const {
  Exchange exchange(socket_);
  exchange.send(method, target, body);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLongest);
  exchange.read_all(parser);
  return {.status = static_cast<int>(parser.get().result_int()),
          .body = std::move(parser.get().body())};
}

Reply Asker::get_lines(const std::string& target,
                       const std::function<void(const std::string& line)>& on_line) const {
  Exchange exchange(socket_);
  exchange.send("GET", target, {});
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  exchange.read_header(parser);
  Reply reply{.status = static_cast<int>(parser.get().result_int())};
  std::array<char, 4096> piece{};
  std::string text;  // of a line that has not ended
  while (!parser.is_done()) {
    text.append(piece.data(), exchange.read_some(parser, piece));
    if (text.size() > kLongestLine) throw NoAnswer(socket_ + ": a line without end");
    if (reply.status != 200) continue;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
      on_line(text.substr(begin, end - begin));
    }
    text.erase(0, begin);
  }
  reply.body = std::move(text);
  return reply;
}

}  // namespace agent
