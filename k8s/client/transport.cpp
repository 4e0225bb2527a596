// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/transport.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>

#include "k8s/async/cancellation.hpp"
#include "k8s/client/url.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kMaxHead = 64 * 1024;
constexpr std::size_t kNamedFailures = 4;

using Failure = std::optional<DialError>;

DialError stopped() { return {.code = asio::error::operation_aborted, .what = "cancelled"}; }

// Asks the proxy at the other end of `stream` for a tunnel to the server.
template <typename Stream>
asio::awaitable<Failure> ask_for_tunnel(Stream& stream, std::shared_ptr<TcpStream> lowest,
                                        const ApiAccess& access, const TransportOptions& options) {
  const auto token = closes_when_cancelled(lowest, kAwait);
  const std::string server = host_and_port(access.host, access.port);
  const std::string doing = "proxy " + access.proxy->url() + ": CONNECT " + server + ": ";
  http::request<http::empty_body> request(http::verb::connect, server, 11);
  request.set(http::field::host, server);
  request.set(http::field::user_agent, options.user_agent);
  const std::string authorization = access.proxy->authorization();
  if (!authorization.empty()) request.set(http::field::proxy_authorization, authorization);
  lowest->expires_after(options.handshake);
  auto [error, size] = co_await http::async_write(stream, request, token);
  bool cancelled = co_await is_cancelled();
  if (cancelled) co_return stopped();
  boost::beast::flat_buffer buffer;
  http::response_parser<http::empty_body> parser;
  parser.header_limit(kMaxHead);
  parser.skip(true);
  if (!error) {
    const auto [read_error, read] = co_await http::async_read_header(stream, buffer, parser, token);
    error = read_error;
    cancelled = co_await is_cancelled();
    if (cancelled) co_return stopped();
  }
  if (error) {
    const bool late = error == boost::beast::error::timeout;
    co_return DialError{.code = error,
                        .what = doing + (late ? "no answer in time" : error.message())};
  }
  const unsigned status = parser.get().result_int();
  if (status < 200 || status > 299) {
    co_return DialError{
        .code = {},
        .what = doing + std::to_string(status) + " " + std::string(parser.get().reason())};
  }
  // The server says nothing before our first message.
  if (buffer.size() > 0) {
    co_return DialError{.code = {}, .what = doing + "the proxy sent more than its answer"};
  }
  co_return std::nullopt;
}

std::shared_ptr<TcpStream> lowest_of(const std::shared_ptr<TlsStream>& stream) {
  return {stream, &stream->next_layer()};
}

TlsPeer server_peer(const ApiAccess& access) {
  return {.host = access.host,
          .name = access.tls_server_name.empty() ? access.host : access.tls_server_name,
          .check = !access.insecure_skip_tls_verify};
}

// The server's TLS in the tunnel of a proxy with TLS of its own.
asio::awaitable<Failure> nest(Transport& transport, const ApiAccess& access,
                              const TransportOptions& options) {
  const auto lowest = lowest_of(transport.tls);
  Failure failure = co_await ask_for_tunnel(*transport.tls, lowest, access, options);
  if (failure) co_return failure;
  transport.nested =
      std::make_shared<NestedTls>(std::move(transport.tls), *transport.contexts.server);
  failure =
      co_await shake_hands(transport.nested->inner, lowest, server_peer(access), options.handshake);
  co_return failure;
}

asio::awaitable<Failure> add_tls(Transport& transport, TlsContext& context, TlsPeer peer,
                                 std::chrono::milliseconds deadline) {
  transport.tls = std::make_shared<TlsStream>(std::move(*transport.plain), context);
  transport.plain.reset();
  Failure failure =
      co_await shake_hands(*transport.tls, lowest_of(transport.tls), std::move(peer), deadline);
  co_return failure;
}

// All that follows TCP, for one address.
asio::awaitable<Failure> negotiate(Transport& transport, const ApiAccess& access,
                                   const TransportOptions& options) {
  Failure failure;
  if (access.proxy && access.proxy->tls) {
    TlsPeer peer{.host = access.proxy->host,
                 .name = access.proxy->host,
                 .check = !access.insecure_skip_tls_verify};
    failure =
        co_await add_tls(transport, *transport.contexts.proxy, std::move(peer), options.handshake);
    if (failure) failure->what = "proxy " + access.proxy->url() + ": " + failure->what;
    if (failure || !access.tls) co_return failure;
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return stopped();
    failure = co_await nest(transport, access, options);
    co_return failure;
  }
  if (!access.tls) co_return failure;
  if (access.proxy) {
    failure = co_await ask_for_tunnel(*transport.plain, transport.plain, access, options);
    if (failure) co_return failure;
  }
  failure = co_await add_tls(transport, *transport.contexts.server, server_peer(access),
                             options.handshake);
  co_return failure;
}

asio::awaitable<DialResult<Transport>> open_one(asio::any_io_executor executor,
                                                const ApiAccess& access, TlsContexts contexts,
                                                asio::ip::tcp::endpoint endpoint,
                                                const TransportOptions& options) {
  auto tcp = co_await connect_tcp(executor, endpoint, options.connect);
  if (!tcp) co_return tcp.error();
  const bool cancelled = co_await is_cancelled();
  if (cancelled) co_return stopped();
  Transport transport{
      .contexts = std::move(contexts), .plain = std::move(*tcp), .endpoint = endpoint};
  Failure failure = co_await negotiate(transport, access, options);
  if (failure) co_return std::move(*failure);
  co_return transport;
}

}  // namespace

asio::awaitable<DialResult<Transport>> open_transport(asio::any_io_executor executor,
                                                      const ApiAccess& access, TlsContexts contexts,
                                                      Endpoints endpoints, AddressOrder& order,
                                                      TransportOptions options) {
  DialError all;
  std::size_t failures = 0;
  for (const auto& endpoint : order.sorted(std::move(endpoints))) {
    auto opened = co_await open_one(executor, access, contexts, endpoint, options);
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return stopped();
    if (opened) co_return opened;
    order.failed(endpoint);
    all.code = opened.error().code;
    if (++failures <= kNamedFailures) {
      all.what += (all.what.empty() ? "" : "; ") + opened.error().what;
    }
  }
  if (failures > kNamedFailures) {
    all.what += "; and " + std::to_string(failures - kNamedFailures) + " addresses more";
  }
  co_return all;
}

}  // namespace k8s
