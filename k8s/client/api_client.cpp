// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/api_client.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <ctime>
#include <utility>

#include "config/printable.hpp"
#include "k8s/async/cancellation.hpp"
#include "k8s/async/coarse_clock.hpp"
#include "k8s/client/client_state.hpp"
#include "k8s/client/credentials.hpp"
#include "k8s/client/read_deadline.hpp"
#include "k8s/client/redirect.hpp"
#include "k8s/client/response_body.hpp"
#include "k8s/client/retry_after.hpp"
#include "k8s/client/transport.hpp"
#include "k8s/client/url.hpp"

namespace k8s {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
using Token = ClosesWhenCancelled<TcpStream, std::remove_const_t<decltype(kAwait)>>;
using ResponseParser = http::response_parser<http::buffer_body>;
constexpr std::size_t kReadBuffer = std::size_t{64} * 1024;
constexpr std::size_t kLeastRead = 512;
constexpr std::uint32_t kMaxHead = 64 * 1024;
constexpr std::size_t kMaxReason = 100;
constexpr std::size_t kMaxWhat = 2000;
constexpr int kMaxInterim = 5;    // 1xx responses before the one that counts, as Go
constexpr int kMaxRedirects = 5;  // of one call
constexpr int kMaxFaults = 3;     // answers of 500 and above in a row, on one connection

struct Call {
  http::verb verb = http::verb::get;
  std::string path;
  std::string json;
  bool gzip = false;
  bool protobuf = false;
  bool is_watch = false;
  milliseconds head{0};
  milliseconds idle{0};
  milliseconds total{0};
  OnChunk on_chunk;
  std::function<void(MediaType)> on_head;
  std::function<milliseconds()> idle_now;
};

Response failed(Response::End end, error_code error, std::string what) {
  Response response;
  response.end = end;
  response.error = error;
  response.what = std::move(what);
  return response;
}

Response failed(const DialError& error) {
  const bool late = error.code == beast::error::timeout || error.code == asio::error::timed_out;
  const auto end = late ? Response::End::kTimedOut : Response::End::kFailed;
  return failed(end, error.code, error.what);
}

std::string seconds_text(milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s"
                                  : std::to_string(time.count()) + " ms";
}

// Translates an I/O error during a call into the end of the response.
void conclude(Response& response, const error_code& error, const std::string& doing,
              const std::string& deadline) {
  response.error = error;
  const bool peer_left =
      error == http::error::partial_message || error == http::error::end_of_stream ||
      error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
      error == asio::error::connection_reset || error == asio::error::broken_pipe;
  if (error == beast::error::timeout) {
    response.end = Response::End::kTimedOut;
    response.what = doing + ": " + deadline;
  } else if (peer_left && response.status != 0) {
    response.end = Response::End::kClosed;
    response.what = doing + ": the server closed the connection (" + error.message() + ")";
  } else {
    response.end = Response::End::kFailed;
    response.what = doing + ": " + error.message();
  }
}

}  // namespace

struct ApiConnection::Impl {
  explicit Impl(ApiClient::Impl& client_in) : client(client_in) { buffer.reserve(kReadBuffer); }

  asio::awaitable<void> wait_for_turn();
  asio::awaitable<Response> call(const Call& call);
  asio::awaitable<std::optional<Response>> connect(const Identity& identity);
  asio::awaitable<Response> exchange_once(const Call& call, const Identity& identity);
  template <typename Stream>
  asio::awaitable<Response> exchange(Stream& stream, std::shared_ptr<TcpStream> tcp,
                                     const Call& call, const Identity& identity);
  template <typename Stream>
  asio::awaitable<error_code> read_more(Stream& stream, Token token, ReadDeadline& deadline,
                                        ResponseParser& parser);
  template <typename Stream>
  asio::awaitable<void> read_body(Stream& stream, std::shared_ptr<TcpStream> tcp, const Call& call,
                                  ResponseParser& parser, Response& response);
  asio::awaitable<Response> dispatch(Transport& in_use, const Call& call, const Identity& identity);
  http::request<http::string_body> request_for(const Call& call, const Identity& identity) const;
  void judge(const Response& response, const Identity& identity, bool reused);
  bool follow_redirect(const Call& call, Response& response);
  void report(const Call& call, unsigned status);

  bool is_open() const { return open.has_value(); }
  void close() {
    open.reset();
    buffer.clear();
    peer.reset();
    faults_in_a_row = 0;
  }

  ApiClient::Impl& client;
  std::optional<Transport> open;
  asio::ip::tcp::endpoint endpoint;  // of the last connection
  ServerAddresses::Peer peer;        // the peer is known as connected
  bool reusable = false;             // the last exchange left the connection ready for another
  int faults_in_a_row = 0;
  Clock::time_point called{};  // when the current call began
  bool reported = false;       // RequestReport of it
  std::string target;          // path and query of the current request, with the base path
  std::string location;        // the header of the last response
  beast::flat_buffer buffer;
  std::unique_ptr<char[]> chunk = std::make_unique_for_overwrite<char[]>(kReadBuffer);
};

// Opens the connection; returns a Response only if that failed.
asio::awaitable<std::optional<Response>> ApiConnection::Impl::connect(const Identity& identity) {
  auto contexts = client.contexts_for(identity);
  if (!contexts) co_return failed(contexts.error());
  auto endpoints = co_await client.resolve();
  if (!endpoints) co_return failed(endpoints.error());
  bool cancelled = co_await is_cancelled();
  if (cancelled) co_return Response();
  const TransportOptions options{.user_agent = client.options.user_agent,
                                 .connect = client.options.connect,
                                 .handshake = client.options.handshake};
  auto opened = co_await open_transport(client.executor, client.access, std::move(*contexts),
                                        std::move(*endpoints), client.order, options);
  if (!opened) co_return failed(opened.error());
  cancelled = co_await is_cancelled();
  if (cancelled) co_return Response();
  open = std::move(*opened);
  endpoint = open->endpoint;
  peer = client.addresses.connected(endpoint.address());
  faults_in_a_row = 0;
  co_return std::nullopt;
}

http::request<http::string_body> ApiConnection::Impl::request_for(const Call& call,
                                                                  const Identity& identity) const {
  const ApiAccess& access = client.access;
  const std::string& server = client.server;
  http::request<http::string_body> request(call.verb, target, 11);
  request.set(http::field::host, server);
  if (access.proxy && !access.tls) {
    request.target("http://" + server + target);
    const std::string authorization = access.proxy->authorization();
    if (!authorization.empty()) request.set(http::field::proxy_authorization, authorization);
  }
  request.set(http::field::user_agent, client.options.user_agent);
  request.set(http::field::accept, call.protobuf
                                       ? std::string(kProtobufType) + ", " + std::string(kJsonType)
                                       : std::string(kJsonType));
  if (call.gzip) request.set(http::field::accept_encoding, "gzip");
  if (!identity.token.empty()) {
    request.set(http::field::authorization, "Bearer " + identity.token);
  }
  if (call.verb != http::verb::get) {
    request.set(http::field::content_type, kJsonType);
    request.body() = call.json;
    request.prepare_payload();
  }
  return request;
}

void ApiConnection::Impl::report(const Call& call, unsigned status) {
  if (std::exchange(reported, true) || !client.options.on_request) return;
  const auto method = http::to_string(call.verb);
  RequestReport report{
      .method = {method.data(), method.size()}, .host = client.server, .status = status};
  if (!call.is_watch) report.time = Clock::now() - called;
  client.options.on_request(report);
}

// A watch and each page of a list are one request; what is sent again, redirected ones included, is
// none of its own.
asio::awaitable<void> ApiConnection::Impl::wait_for_turn() {
  const auto wait = client.limit.take(Clock::now());
  if (wait == Clock::duration::zero()) co_return;
  asio::steady_timer timer(client.executor, wait);
  co_await timer.async_wait(kAwait);
}

asio::awaitable<Response> ApiConnection::Impl::call(const Call& call) {
  co_await wait_for_turn();
  called = Clock::now();
  reported = false;
  Response response;
  bool cancelled = co_await is_cancelled();
  if (cancelled) {
    response.end = Response::End::kCancelled;
    co_return response;
  }
  const auto identity = co_await client.credentials.identity();
  cancelled = co_await is_cancelled();
  if (cancelled) {
    response.end = Response::End::kCancelled;
    co_return response;
  }
  if (!identity) {
    response = failed(Response::End::kFailed, {}, identity.error().text);
  } else {
    target = client.access.base_path + call.path;
    for (int redirects = 0;; ++redirects) {
      const bool reused = is_open();
      response = co_await exchange_once(call, *identity);
      // A server may close an idle connection just as we reuse it: try again on a new one.
      const bool stale = reused && call.verb == http::verb::get && response.status == 0 &&
                         response.end == Response::End::kFailed;
      cancelled = co_await is_cancelled();
      if (stale && !cancelled) response = co_await exchange_once(call, *identity);
      cancelled = co_await is_cancelled();
      if (cancelled || redirects == kMaxRedirects || !follow_redirect(call, response)) break;
    }
  }
  response.what = config::printable(response.what, kMaxWhat);
  if (response.status == 401) client.credentials.forget();
  cancelled = co_await is_cancelled();
  if (!cancelled || response.status != 0) report(call, response.status);
  if (cancelled) {
    close();
    response.end = Response::End::kCancelled;
  }
  co_return response;
}

// True: the request is to be sent again, to `target`. Only within the same server: the credentials
// are for no other.
bool ApiConnection::Impl::follow_redirect(const Call& call, Response& response) {
  const bool redirected = response.status == 301 || response.status == 302 ||
                          response.status == 307 || response.status == 308;
  if (!redirected || response.end != Response::End::kComplete || location.empty()) return false;
  const auto next = redirect_target(client.access, location);
  if (next && call.verb == http::verb::get) {
    target = *next;
    return true;
  }
  response.reason += " to " + config::printable(location, kMaxReason) +
                     ", which is not followed: the server's address must be that of the API server";
  return false;
}

// One attempt: connects if necessary, and closes the connection unless it is reusable.
asio::awaitable<Response> ApiConnection::Impl::exchange_once(const Call& call,
                                                             const Identity& identity) {
  const bool reused = is_open();
  if (!reused) {
    buffer.clear();
    auto failure = co_await connect(identity);
    if (failure) co_return std::move(*failure);
  }
  reusable = false;
  // Moved into a local, so that a half-used connection is closed however this coroutine ends.
  Transport in_use = std::move(*open);
  open.reset();
  Response response = co_await dispatch(in_use, call, identity);
  const bool cancelled = co_await is_cancelled();
  if (!cancelled) judge(response, identity, reused);
  if (reusable) {
    open = std::move(in_use);
  } else {
    peer.reset();
  }
  co_return response;
}

// The rest of a call is the same code for each kind of stream.
asio::awaitable<Response> ApiConnection::Impl::dispatch(Transport& in_use, const Call& call,
                                                        const Identity& identity) {
  Response response;
  if (in_use.nested) {
    const std::shared_ptr<TcpStream> lowest(in_use.nested, &in_use.nested->outer->next_layer());
    response = co_await exchange(in_use.nested->inner, lowest, call, identity);
  } else if (in_use.tls) {
    const std::shared_ptr<TcpStream> lowest(in_use.tls, &in_use.tls->next_layer());
    response = co_await exchange(*in_use.tls, lowest, call, identity);
  } else {
    response = co_await exchange(*in_use.plain, in_use.plain, call, identity);
  }
  co_return response;
}

// What the outcome says about the address, and whether the connection is kept. One that was closed
// while it was idle says nothing.
void ApiConnection::Impl::judge(const Response& response, const Identity& identity, bool reused) {
  const bool lost = response.status == 0 && response.end == Response::End::kFailed;
  const bool bad = response.status >= 500 || response.end == Response::End::kTimedOut;
  if (bad || (lost && !reused)) {
    client.order.failed(endpoint);
    ++faults_in_a_row;
    // Another address, or another server behind a load balancer.
    if (client.several_addresses || faults_in_a_row >= kMaxFaults) reusable = false;
  } else if (response.status != 0) {
    client.order.served(endpoint);
    faults_in_a_row = 0;
  }
  // The connection keeps the certificate that was presented on it.
  if (response.status == 401 && !identity.client_certificate.empty()) reusable = false;
  if (response.status < 200) reusable = false;
}

template <typename Stream>
asio::awaitable<Response> ApiConnection::Impl::exchange(Stream& stream,
                                                        std::shared_ptr<TcpStream> tcp,
                                                        const Call& call,
                                                        const Identity& identity) {
  const auto token = closes_when_cancelled(tcp, kAwait);
  const std::string doing =
      std::string(call.verb == http::verb::get ? "GET " : "POST ") + client.access.url();
  Response response;
  const auto request = request_for(call, identity);
  tcp->expires_after(client.options.write);
  const auto [write_error, written] = co_await http::async_write(stream, request, token);
  bool cancelled = co_await is_cancelled();
  if (cancelled) co_return response;
  if (write_error) {
    conclude(response, write_error, doing, "the request could not be sent in time");
    co_return response;
  }

  std::optional<ResponseParser> reading;
  tcp->expires_after(call.head);  // for all of the loop
  for (int interim = 0; interim <= kMaxInterim; ++interim) {
    reading.emplace();
    reading->header_limit(kMaxHead);
    // Beast's limit applies to the whole body, and a watch lasts for minutes. The decoders limit
    // each event instead.
    reading->body_limit(boost::none);
    const auto [head_error, head] =
        co_await http::async_read_header(stream, buffer, *reading, token);
    cancelled = co_await is_cancelled();
    if (cancelled) co_return response;
    if (head_error) {
      conclude(response, head_error, doing, "no response within " + seconds_text(call.head));
      co_return response;
    }
    // 100 Continue, 103 Early Hints: the response itself follows. 101 would be another protocol.
    const unsigned status = reading->get().result_int();
    if (status >= 200 || status == 101) break;
  }
  ResponseParser& parser = *reading;
  response.status = parser.get().result_int();
  if (call.is_watch && response.status / 100 == 2) report(call, response.status);
  const auto reason = parser.get().reason();
  response.reason = config::printable({reason.data(), reason.size()}, kMaxReason);
  response.type = media_type(parser.get()[http::field::content_type]);
  const auto& head = parser.get();
  response.retry_after = parse_retry_after(head[http::field::retry_after], head[http::field::date],
                                           std::time(nullptr));
  location = std::string(head[http::field::location]);
  response.end = Response::End::kComplete;
  co_await read_body(stream, tcp, call, parser, response);
  co_return response;
}

// Reads more bytes into the buffer, until `deadline`. Passes an orderly end of file to the parser.
template <typename Stream>
asio::awaitable<error_code> ApiConnection::Impl::read_more(Stream& stream, Token token,
                                                           ReadDeadline& deadline,
                                                           ResponseParser& parser) {
  // The parser leaves only an incomplete chunk header in the buffer.
  if (buffer.size() > kMaxHead) co_return http::error::buffer_overflow;
  const auto space = buffer.prepare(std::max(buffer.capacity() - buffer.size(), kLeastRead));
  auto [error, size] = co_await stream.async_read_some(space, token);
  buffer.commit(size);
  if (deadline.passed()) co_return beast::error::timeout;
  if (error == asio::error::eof) {
    error = {};
    parser.put_eof(error);
  }
  co_return error;
}

// Reads and parses in a loop of its own: Beast's read operation would take three scheduler rounds
// for the single chunk of an event.
template <typename Stream>
asio::awaitable<void> ApiConnection::Impl::read_body(Stream& stream, std::shared_ptr<TcpStream> tcp,
                                                     const Call& call, ResponseParser& parser,
                                                     Response& response) {
  const std::string doing = "reading from " + client.access.url();
  ResponseBody receiver(response, call.on_chunk, doing);
  const auto checksum =
      client.access.tls ? GzipStream::Checksum::kIgnore : GzipStream::Checksum::kVerify;
  const bool readable =
      receiver.open(parser.get()[http::field::content_encoding], call.gzip, checksum);
  if (!readable) co_return;
  const Token token = closes_when_cancelled(tcp, kAwait);
  const auto last = call.total.count() > 0 ? Clock::now() + call.total : Clock::time_point::max();
  ReadDeadline deadline(tcp);
  parser.eager(true);  // parse all the bytes that are buffered
  if (receiver.wanted() && call.on_head) call.on_head(response.type);
  while (!parser.is_done()) {
    error_code error = http::error::need_more;
    if (buffer.size() > 0) {
      auto& body = parser.get().body();
      body.data = chunk.get();
      body.size = kReadBuffer;
      buffer.consume(parser.put(buffer.data(), error));
      const bool proceed = receiver.take({chunk.get(), kReadBuffer - body.size});
      if (!proceed) co_return;
    }
    bool last_wait = false;
    milliseconds idle{0};
    if (error == http::error::need_more) {
      idle = receiver.wanted() && call.idle_now ? call.idle_now() : call.idle;
      const auto now = coarse_now();
      last_wait = idle.count() == 0 || last - now < idle;
      deadline.set(last_wait ? last : now + idle);
      error = co_await read_more(stream, token, deadline, parser);
      const bool cancelled = co_await is_cancelled();
      if (cancelled) co_return;
    }
    if (error && error != http::error::need_buffer) {
      const auto limit = seconds_text(last_wait ? call.total : idle);
      conclude(response, error, doing,
               (last_wait ? "not finished within " : "no data for ") + limit);
      co_return;
    }
  }
  const bool whole = receiver.finish();
  reusable = whole && parser.keep_alive() && buffer.size() == 0;
}

std::string Response::text() const {
  if (!what.empty()) return what;
  return std::to_string(status) + (reason.empty() ? "" : " " + reason);
}

ApiConnection::ApiConnection(ApiClient::Impl& client) : impl_(std::make_unique<Impl>(client)) {}
ApiConnection::~ApiConnection() = default;

asio::awaitable<Response> ApiConnection::get(GetRequest request, OnChunk on_chunk) {
  const Call call{.verb = http::verb::get,
                  .path = std::move(request.path),
                  .json = {},
                  .gzip = request.gzip,
                  .protobuf = request.protobuf,
                  .is_watch = request.is_watch,
                  .head = request.head,
                  .idle = request.idle,
                  .total = request.total,
                  .on_chunk = std::move(on_chunk),
                  .on_head = std::move(request.on_head),
                  .idle_now = std::move(request.idle_now)};
  co_return co_await impl_->call(call);
}

asio::awaitable<Response> ApiConnection::post(std::string path, std::string json) {
  const Call call{.verb = http::verb::post,
                  .path = std::move(path),
                  .json = std::move(json),
                  .gzip = false,
                  .protobuf = false,
                  .is_watch = false,
                  .head = milliseconds(30'000),
                  .idle = milliseconds(30'000),
                  .total = milliseconds(60'000),
                  .on_chunk = {},
                  .on_head = {},
                  .idle_now = {}};
  co_return co_await impl_->call(call);
}

void ApiConnection::close() { impl_->close(); }

}  // namespace k8s
