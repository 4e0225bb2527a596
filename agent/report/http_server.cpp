// SPDX-License-Identifier: Apache-2.0
#include "agent/report/http_server.hpp"

#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "agent/log/log.hpp"
#include "agent/report/accept.hpp"
#include "agent/report/content_coding.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
// Of either kind: TCP or a unix socket.
using Any = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Any>;
using Stream = beast::basic_stream<Any>;
using error_code = boost::system::error_code;
using Request = http::request<http::string_body>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kMaxHeader = 8 * 1024;
constexpr std::uint64_t kMaxBody = 1024;
constexpr std::chrono::seconds kRequestTime{10};
constexpr std::chrono::seconds kAnswerTime{60};
constexpr std::chrono::seconds kTimeToLeave{10};
constexpr std::chrono::milliseconds kLastRequest{250};
constexpr std::chrono::milliseconds kLeavePoll{20};

struct Listening {
  std::optional<Acceptor> acceptor;
  std::uint16_t port = 0;
  std::string fault;
};

using BindAny4 = asio::detail::socket_option::boolean<IPPROTO_IP, IP_FREEBIND>;
using BindAny6 = asio::detail::socket_option::boolean<IPPROTO_IPV6, IPV6_FREEBIND>;

void allow_any_address(tcp::acceptor& acceptor, const tcp::endpoint& bind, error_code& error) {
  if (bind.address().is_v6()) {
    acceptor.set_option(BindAny6(true), error);
  } else {
    acceptor.set_option(BindAny4(true), error);
  }
}

Listening listen(asio::any_io_executor executor, const tcp::endpoint& bind, bool bind_any) {
  tcp::acceptor acceptor(executor);
  error_code error;
  const auto step = [&error](auto&& function) {
    if (!error) function();
  };
  acceptor.open(bind.protocol(), error);
  if (error == asio::error::address_family_not_supported && bind.address().is_v6() &&
      bind.address().is_unspecified()) {
    return listen(executor, {asio::ip::address_v4::any(), bind.port()}, bind_any);
  }
  step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), error); });
  if (bind.address().is_v6() && bind.address().is_unspecified()) {
    // Both families. A host without IPv4-mapped addresses serves IPv6 only, and one without IPv6
    // the IPv4 wildcard (above).
    error_code ignored;
    acceptor.set_option(asio::ip::v6_only(false), ignored);
  }
  if (bind_any) step([&] { allow_any_address(acceptor, bind, error); });
  step([&] { acceptor.bind(bind, error); });
  step([&] { acceptor.listen(asio::socket_base::max_listen_connections, error); });
  if (!error) {
    const std::uint16_t port = acceptor.local_endpoint().port();
    return {.acceptor = Acceptor(std::move(acceptor)), .port = port, .fault = {}};
  }
  return {.acceptor = std::nullopt,
          .fault = "cannot listen on " + bind.address().to_string() + " port " +
                   std::to_string(bind.port()) + ": " + error.message()};
}

// nullopt: there is none. A number is one, too.
std::optional<gid_t> group_named(const std::string& name) {
  constexpr std::size_t kMost = std::size_t{64} * 1024;
  std::vector<char> memory(kMost);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, memory.data(), memory.size(), &found) == 0 && found) {
    return found->gr_gid;
  }
  gid_t number = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data(), end, number);
  return error == std::errc() && rest == end ? std::optional(number) : std::nullopt;
}

// Nobody can connect before listen(), so nobody gets in before the mode is right.
Listening listen(asio::any_io_executor executor, const LocalSocket& local) {
  const auto fault = [&local](const std::string& why) {
    return Listening{.acceptor = std::nullopt,
                     .fault = "cannot listen on " + local.path + ": " + why};
  };
  if (local.path.size() >= sizeof(sockaddr_un::sun_path)) return fault("the path is too long");
  gid_t group = static_cast<gid_t>(-1);
  if (!local.group.empty()) {
    const auto found = group_named(local.group);
    if (!found) return fault("there is no group " + local.group);
    group = *found;
  }
  using asio::local::stream_protocol;
  stream_protocol::acceptor acceptor(executor);
  error_code error;
  acceptor.open(stream_protocol(), error);
  if (error) return fault(error.message());
  // Without blocking: whoever is there may be too busy to accept.
  stream_protocol::socket somebody(executor, stream_protocol());
  somebody.non_blocking(true);
  somebody.connect(local.path, error);
  if (!error || error == asio::error::would_block) return fault("another process listens there");
  error.clear();
  ::unlink(local.path.c_str());
  acceptor.bind(local.path, error);
  if (error) return fault(error.message());
  constexpr mode_t kOwner = 0600, kWithGroup = 0660;
  const bool has_group = !local.group.empty();
  if ((has_group && ::chown(local.path.c_str(), static_cast<uid_t>(-1), group) != 0) ||
      ::chmod(local.path.c_str(), has_group ? kWithGroup : kOwner) != 0) {
    return fault(std::strerror(errno));
  }
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fault(error.message());
  return {.acceptor = Acceptor(std::move(acceptor)), .fault = {}};
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool lacks_descriptors(const error_code& error) {
  return error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
         error == asio::error::no_memory ||
         error == boost::system::errc::too_many_files_open_in_system;
}

// Unspecified: one of a unix socket, or one that has gone.
asio::ip::address client_of(const Any::socket& socket) {
  error_code error;
  const Any::endpoint client = socket.remote_endpoint(error);
  tcp::endpoint address;
  const int family = client.data()->sa_family;
  if (error || (family != AF_INET && family != AF_INET6) || client.size() > address.capacity()) {
    return {};
  }
  std::memcpy(address.data(), client.data(), client.size());
  return address.address();
}

// Whether the process at the other end of a unix socket may change something.
bool may_change(Any::socket& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

http::response_header<> head_of(const Request& request, const HttpAnswer& answer) {
  http::response_header<> head;
  head.version(request.version());
  head.result(static_cast<unsigned>(answer.status));
  head.set(http::field::server, "kube-ipvs");
  head.set(http::field::content_type, answer.content_type);
  for (const auto& [name, value] : answer.headers) head.set(name, value);
  return head;
}

// All lines of Accept-Encoding.
std::string accepted_encodings(const Request& request) {
  std::string all;
  const auto [first, last] = request.equal_range(http::field::accept_encoding);
  for (auto at = first; at != last; ++at) {
    if (!all.empty()) all += ',';
    all.append(at->value().data(), at->value().size());
  }
  return all;
}

HttpAnswer plain(int status, std::string text) {
  return {.status = status, .body = std::move(text) + "\n"};
}

}  // namespace

struct HttpServer::Impl {
  asio::any_io_executor executor;
  Options options;
  std::map<std::string, HttpHandler> routes;
  TaskGroup connections;
  HttpConnections own_places;
  HttpConnections& places;
  std::uint16_t port = 0;
  std::optional<Acceptor> acceptor;
  asio::steady_timer retry_pause;  // before the next try to listen
  bool is_closed = false;
  int answers = 0;  // under way

  Impl(asio::any_io_executor e, Options o, std::map<std::string, HttpHandler> r)
      : executor(e),
        options(std::move(o)),
        routes(std::move(r)),
        connections(e, [](std::exception_ptr) {}),
        places(options.connections ? *options.connections : own_places),
        retry_pause(e) {}

  std::string open();
  asio::awaitable<void> bind();
  asio::awaitable<void> accept();
  asio::awaitable<void> leave();
  asio::awaitable<void> converse(Any::socket socket);
  asio::awaitable<bool> answer(Stream& stream, HttpConnections::Place& place,
                               const Request& request);
  asio::awaitable<bool> send_open_ended(Stream& stream, HttpConnections::Place& place,
                                        const HttpAnswer& answer, bool chunked);
  asio::awaitable<HttpAnswer> route(Any::socket& client, const Request& request);
};

HttpServer::HttpServer(asio::any_io_executor executor, Options options,
                       std::map<std::string, HttpHandler> routes)
    : impl_(std::make_shared<Impl>(executor, std::move(options), std::move(routes))) {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return impl_->port; }

std::string HttpServer::open() { return impl_->open(); }

std::string HttpServer::Impl::open() {
  Listening listening = options.local ? listen(executor, *options.local)
                                      : listen(executor, options.bind, options.bind_any);
  acceptor = std::move(listening.acceptor);
  if (acceptor) port = listening.port;
  return listening.fault;
}

void HttpServer::close() {
  impl_->is_closed = true;
  impl_->port = 0;
  impl_->retry_pause.cancel();
  if (!impl_->acceptor) return;
  // Those that have connected already are answered, too.
  error_code error;
  impl_->acceptor->non_blocking(true, error);
  while (!error) {
    Any::socket socket = impl_->acceptor->accept(error);
    if (!error) impl_->connections.spawn(impl_->converse(std::move(socket)));
  }
  impl_->acceptor->close(error);
}

asio::awaitable<void> HttpServer::serve() {
  const std::shared_ptr<Impl> impl = impl_;  // a closed server may be destroyed before this ends
  std::exception_ptr error;
  try {
    co_await impl->bind();
    co_await impl->accept();
    co_await impl->leave();
  } catch (...) {
    error = std::current_exception();
  }
  error_code ignored;
  if (impl->acceptor) impl->acceptor->close(ignored);
  impl->port = 0;
  impl->connections.stop();
  // This coroutine may be cancelled; it still has to wait for the connections to end.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await impl->connections.wait();
  if (error) std::rethrow_exception(error);
}

asio::awaitable<void> HttpServer::Impl::bind() {
  while (!acceptor && !is_closed) {
    const std::string fault = open();
    if (options.on_bind) options.on_bind(fault);
    if (acceptor) co_return;
    if (options.hard_fail) throw std::runtime_error(options.name + ": " + fault);
    retry_pause.expires_after(options.retry);
    // close() ends the wait; so does being cancelled, after which the next co_await throws.
    co_await retry_pause.async_wait(kTuple);
  }
}

// The answers under way end, and those to requests that come now; then connections that wait for a
// request are closed.
asio::awaitable<void> HttpServer::Impl::leave() {
  const auto begin = std::chrono::steady_clock::now();
  auto now = begin;
  while (now < begin + kTimeToLeave && (answers > 0 || now < begin + kLastRequest)) {
    asio::steady_timer poll(executor, kLeavePoll);
    co_await poll.async_wait(asio::use_awaitable);
    now = std::chrono::steady_clock::now();
  }
}

asio::awaitable<void> HttpServer::Impl::accept() {
  while (!is_closed) {
    auto [error, socket] = co_await acceptor->async_accept(kTuple);
    if (error && is_closed) co_return;
    if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
    if (error) {
      // Out of descriptors, or the client has already disconnected: neither may end the server or
      // make it spin. A connection of this server gives its descriptor back.
      if (lacks_descriptors(error)) {
        if (places.set_starving(true)) {
          log_warning("HTTP: clients wait, and idle connections make room",
                      {{kErr, error.message()}});
        }
        places.make_room(this);
      }
      asio::steady_timer pause(executor, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::use_awaitable);
      continue;
    }
    if (places.set_starving(false)) log_info("HTTP: connections are accepted again");
    connections.spawn(converse(std::move(socket)));
  }
}

asio::awaitable<void> HttpServer::Impl::converse(Any::socket socket) {
  const asio::ip::address client = client_of(socket);
  Stream stream(std::move(socket));
  HttpConnections::Place place(places, this, client, [&stream] { stream.close(); });
  beast::flat_buffer buffer(kMaxHeader);
  for (bool keep = true; keep;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMaxHeader);
    parser.body_limit(kMaxBody);
    place.waits_for_request();
    stream.expires_after(kRequestTime);
    const auto [error, bytes] = co_await http::async_read(stream, buffer, parser, kTuple);
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        error == asio::error::operation_aborted || error == asio::error::connection_reset) {
      break;
    }
    place.is_answered();
    stream.expires_after(kAnswerTime);
    if (error) {
      Request request;
      request.version(11);
      http::response<http::string_body> response(head_of(request, plain(400, "")),
                                                 "400 Bad Request\n");
      response.keep_alive(false);
      response.prepare_payload();
      co_await http::async_write(stream, response, kTuple);
      break;
    }
    ++answers;
    const bool stays = co_await answer(stream, place, parser.get());
    --answers;
    keep = stays && !is_closed;
  }
  error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<HttpAnswer> HttpServer::Impl::route(Any::socket& client, const Request& request) {
  const auto target = std::string_view(request.target().data(), request.target().size());
  const auto put = options.puts.find(std::string(path_of(target)));
  if (put != options.puts.end()) {
    if (request.method() == http::verb::put && options.local && !may_change(client)) {
      co_return plain(403, "only root and the user of kube-ipvs may change something");
    }
    if (request.method() == http::verb::put) co_return put->second(request.body());
    co_return plain(406, "unsupported http method");
  }
  auto found = routes.find(std::string(path_of(target)));
  if (found == routes.end()) found = routes.find("*");
  if (found == routes.end()) co_return plain(404, "404 Not Found");
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    HttpAnswer refused = plain(405, "405 Method Not Allowed");
    refused.headers["Allow"] = "GET, HEAD";
    co_return refused;
  }
  co_return co_await found->second(target);
}

namespace {

asio::awaitable<void> send_piece(Stream& stream, HttpConnections::Place& place, bool chunked,
                                 std::string_view piece) {
  if (piece.empty()) co_return;
  stream.expires_after(kAnswerTime);
  const asio::const_buffer data(piece.data(), piece.size());
  if (chunked) {
    co_await asio::async_write(stream, http::make_chunk(data), asio::use_awaitable);
  } else {
    co_await asio::async_write(stream, data, asio::use_awaitable);
  }
  place.is_answered();
}

// A client that says something more has not understood the answer: it is treated alike.
asio::awaitable<void> wait_for_hang_up(Any::socket& client) {
  co_await client.async_wait(asio::socket_base::wait_read, asio::use_awaitable);
}

}  // namespace

// Always false: the connection must be closed.
asio::awaitable<bool> HttpServer::Impl::send_open_ended(Stream& stream,
                                                        HttpConnections::Place& place,
                                                        const HttpAnswer& answer, bool chunked) {
  using namespace asio::experimental::awaitable_operators;
  const BodyWriter write = [&stream, &place, chunked](std::string_view piece) {
    return send_piece(stream, place, chunked, piece);
  };
  --answers;  // leave() does not wait for it
  const std::unique_ptr<int, void (*)(int*)> counted(&answers, [](int* count) { ++*count; });
  co_await (answer.stream(write) || wait_for_hang_up(stream.socket()));
  if (!chunked) co_return false;
  stream.expires_after(kAnswerTime);
  co_await asio::async_write(stream, http::make_chunk_last(), kTuple);
  co_return false;
}

// False: the connection must be closed.
asio::awaitable<bool> HttpServer::Impl::answer(Stream& stream, HttpConnections::Place& place,
                                               const Request& request) {
  HttpAnswer answer = co_await route(stream.socket(), request);
  if (answer.is_text_only && !accepts_plain_text(request[http::field::accept])) {
    answer = plain(406, "media type not acceptable, must be: text/plain");
  }
  const bool head_only = request.method() == http::verb::head;
  if (!answer.stream) {
    http::response<http::string_body> response(head_of(request, answer),
                                               head_only ? "" : answer.body);
    response.keep_alive(request.keep_alive());
    response.content_length(answer.body.size());
    const auto [error, bytes] = co_await http::async_write(stream, response, kTuple);
    co_return !error && request.keep_alive();
  }
  http::response<http::empty_body> response(head_of(request, answer));
  const bool gzip = !answer.is_open_ended && prefers_gzip(accepted_encodings(request));
  response.set(http::field::vary, "Accept-Encoding");
  if (gzip) response.set(http::field::content_encoding, "gzip");
  // HTTP/1.0 has no chunked encoding: the end of the connection is the end of the body.
  const bool chunked = request.version() >= 11;
  response.keep_alive(chunked && request.keep_alive() && !answer.is_open_ended);
  response.chunked(chunked);
  http::response_serializer<http::empty_body> serializer(response);
  const auto [head_error, head_bytes] =
      co_await http::async_write_header(stream, serializer, kTuple);
  if (head_error) co_return false;
  if (head_only) co_return response.keep_alive();
  if (answer.is_open_ended) co_return co_await send_open_ended(stream, place, answer, chunked);
  error_code failed;
  const BodyWriter write = [&stream, &place, &failed,
                            chunked](std::string_view piece) -> asio::awaitable<void> {
    return [](Stream& out, HttpConnections::Place& progress, error_code& fault, bool chunks,
              std::string_view bytes) -> asio::awaitable<void> {
      if (fault || bytes.empty()) co_return;
      const asio::const_buffer data(bytes.data(), bytes.size());
      if (chunks) {
        std::tie(fault, std::ignore) =
            co_await asio::async_write(out, http::make_chunk(data), kTuple);
      } else {
        std::tie(fault, std::ignore) = co_await asio::async_write(out, data, kTuple);
      }
      progress.is_answered();
    }(stream, place, failed, chunked, piece);
  };
  if (gzip) {
    co_await stream_gzip(answer.stream, write);
  } else {
    co_await answer.stream(write);
  }
  if (failed) co_return false;
  if (chunked) {
    std::tie(failed, std::ignore) =
        co_await asio::async_write(stream, http::make_chunk_last(), kTuple);
  }
  co_return !failed && response.keep_alive();
}

}  // namespace agent
