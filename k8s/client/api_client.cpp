// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/api_client.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ssl/error.hpp>
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
#include <charconv>

#include "config/printable.hpp"
#include "k8s/async/cancellation.hpp"
#include "k8s/async/coarse_clock.hpp"
#include "k8s/client/credentials.hpp"
#include "k8s/client/dial.hpp"
#include "k8s/client/read_deadline.hpp"
#include "k8s/client/response_body.hpp"

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
constexpr std::chrono::seconds kMaxRetryAfter{300};

struct Call {
  http::verb verb = http::verb::get;
  std::string path;
  std::string json;
  bool gzip = false;
  bool protobuf = false;
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

std::optional<std::chrono::seconds> retry_after(std::string_view value) {
  std::int64_t seconds = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc{} || stop != value.data() + value.size() || seconds < 0)
    return std::nullopt;
  return std::min(std::chrono::seconds(seconds), kMaxRetryAfter);
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

struct ApiClient::Impl {
  Impl(asio::any_io_executor executor_in, ApiAccess access_in, ApiOptions options_in)
      : executor(std::move(executor_in)),
        access(std::move(access_in)),
        options(std::move(options_in)),
        credentials(executor, access,
                    {.token_file_age = options.token_file_age, .wall_clock = {}}) {
    if (options.user_agent.empty()) options.user_agent = "kube-ipvs/" KUBE_IPVS_VERSION;
    addresses.configured(access.host);
  }

  // All connections share one context, because parsing a bundle of authorities costs time and
  // memory. It is rebuilt when a certificate on disk has changed.
  DialResult<std::shared_ptr<TlsContext>> context_for(TlsMaterial material) {
    if (context && material == context_material) return context;
    auto made = make_tls_context(material);
    if (!made) return made;
    context = *made;
    context_material = std::move(material);
    return context;
  }

  asio::awaitable<DialResult<Endpoints>> resolve() {
    auto endpoints = co_await resolve_host(executor, access.host, access.port, options.resolve);
    if (endpoints) {
      std::vector<Address> found;
      for (const auto& endpoint : *endpoints) found.push_back(endpoint.address());
      addresses.resolved(access.host, found);
    }
    co_return endpoints;
  }

  asio::any_io_executor executor;
  const ApiAccess access;
  ServerAddresses addresses;
  ApiOptions options;
  Credentials credentials;
  TlsMaterial context_material;
  std::shared_ptr<TlsContext> context;
};

struct ApiConnection::Impl {
  explicit Impl(ApiClient::Impl& client_in) : client(client_in) { buffer.reserve(kReadBuffer); }

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
  http::request<http::string_body> request_for(const Call& call, const Identity& identity) const;

  bool is_open() const { return plain || tls; }
  void close() {
    tls.reset();
    plain.reset();
    context.reset();
    buffer.clear();
    peer.reset();
  }

  ApiClient::Impl& client;
  std::shared_ptr<TlsContext> context;  // used by `tls`, which has a reference to it
  std::shared_ptr<TcpStream> plain;
  std::shared_ptr<TlsStream> tls;  // while connected, either `plain` or `tls` is set
  ServerAddresses::Peer peer;      // the peer is known as connected
  bool reusable = false;           // the last exchange left the connection ready for another
  beast::flat_buffer buffer;
  std::unique_ptr<char[]> chunk = std::make_unique_for_overwrite<char[]>(kReadBuffer);
};

// Opens the connection; returns a Response only if that failed.
asio::awaitable<std::optional<Response>> ApiConnection::Impl::connect(const Identity& identity) {
  const ApiAccess& access = client.access;
  const ApiOptions& options = client.options;
  std::shared_ptr<TlsContext> new_context;
  if (access.tls) {
    auto authority = client.credentials.certificate_authority();
    if (!authority) co_return failed(Response::End::kFailed, {}, authority.error().text);
    TlsMaterial material{.certificate_authority = std::move(*authority),
                         .client_certificate = identity.client_certificate,
                         .client_key = identity.client_key};
    auto made = client.context_for(std::move(material));
    if (!made) co_return failed(made.error());
    new_context = *made;
  }
  auto endpoints = co_await client.resolve();
  if (!endpoints) co_return failed(endpoints.error());
  bool cancelled = co_await is_cancelled();
  if (cancelled) co_return Response();
  auto tcp = co_await connect_tcp(client.executor, std::move(*endpoints), options.connect);
  if (!tcp) co_return failed(tcp.error());
  cancelled = co_await is_cancelled();
  if (cancelled) co_return Response();
  error_code gone;
  const auto remote = (*tcp)->socket().remote_endpoint(gone);
  if (!gone) peer = client.addresses.connected(remote.address());
  if (!access.tls) {
    plain = std::move(*tcp);
    co_return std::nullopt;
  }
  auto stream = co_await start_tls(std::move(**tcp), *new_context, access, options.handshake);
  if (!stream) co_return failed(stream.error());
  context = std::move(new_context);
  tls = std::move(*stream);
  co_return std::nullopt;
}

http::request<http::string_body> ApiConnection::Impl::request_for(const Call& call,
                                                                  const Identity& identity) const {
  const ApiAccess& access = client.access;
  const bool v6 = access.host.find(':') != std::string::npos;
  http::request<http::string_body> request(call.verb, access.base_path + call.path, 11);
  request.set(http::field::host,
              (v6 ? "[" + access.host + "]" : access.host) + ":" + std::to_string(access.port));
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

asio::awaitable<Response> ApiConnection::Impl::call(const Call& call) {
  const auto identity = co_await client.credentials.identity();
  Response response;
  bool cancelled = co_await is_cancelled();
  if (cancelled) {
    response.end = Response::End::kCancelled;
    co_return response;
  }
  if (!identity) {
    response = failed(Response::End::kFailed, {}, identity.error().text);
  } else {
    const bool reused = is_open();
    response = co_await exchange_once(call, *identity);
    // A server may close an idle connection just as we reuse it: try again on a new one.
    const bool stale = reused && call.verb == http::verb::get && response.status == 0 &&
                       response.end == Response::End::kFailed;
    cancelled = co_await is_cancelled();
    if (stale && !cancelled) response = co_await exchange_once(call, *identity);
  }
  response.what = config::printable(response.what, kMaxWhat);
  if (response.status == 401) client.credentials.forget();
  cancelled = co_await is_cancelled();
  if (cancelled) {
    close();
    response.end = Response::End::kCancelled;
  }
  co_return response;
}

// One attempt: connects if necessary, and closes the connection unless it is reusable.
asio::awaitable<Response> ApiConnection::Impl::exchange_once(const Call& call,
                                                             const Identity& identity) {
  if (!is_open()) {
    buffer.clear();
    auto failure = co_await connect(identity);
    if (failure) co_return std::move(*failure);
  }
  Response response;
  reusable = false;
  // Moved into locals, so that a half-used connection is closed however this coroutine ends.
  auto tls_in_use = std::move(tls);
  auto plain_in_use = std::move(plain);
  if (tls_in_use) {
    const std::shared_ptr<TcpStream> lowest(tls_in_use, &tls_in_use->next_layer());
    response = co_await exchange(*tls_in_use, lowest, call, identity);
  } else {
    response = co_await exchange(*plain_in_use, plain_in_use, call, identity);
  }
  if (reusable) {
    tls = std::move(tls_in_use);
    plain = std::move(plain_in_use);
  } else {
    peer.reset();
  }
  co_return response;
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

  ResponseParser parser;
  parser.header_limit(kMaxHead);
  // Beast's limit applies to the whole body, and a watch lasts for minutes. The decoders limit each
  // event instead.
  parser.body_limit(boost::none);
  tcp->expires_after(call.head);
  const auto [head_error, head] = co_await http::async_read_header(stream, buffer, parser, token);
  cancelled = co_await is_cancelled();
  if (cancelled) co_return response;
  if (head_error) {
    conclude(response, head_error, doing, "no response within " + seconds_text(call.head));
    co_return response;
  }
  response.status = parser.get().result_int();
  const auto reason = parser.get().reason();
  response.reason = config::printable({reason.data(), reason.size()}, kMaxReason);
  response.type = media_type(parser.get()[http::field::content_type]);
  response.retry_after = retry_after(parser.get()[http::field::retry_after]);
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

std::optional<std::string> find_identity_fault(const ApiAccess& access) {
  if (!access.tls) return std::nullopt;
  TlsMaterial material;
  const auto read = [&](const Secret& secret, std::string& text) -> std::optional<std::string> {
    auto found = read_secret(secret);
    if (!found) return found.error().text;
    text = std::move(*found);
    return std::nullopt;
  };
  auto fault = read(access.certificate_authority, material.certificate_authority);
  if (!fault) fault = read(access.client_certificate, material.client_certificate);
  if (!fault) fault = read(access.client_key, material.client_key);
  if (fault) return fault;
  const auto context = make_tls_context(material);
  if (context) return std::nullopt;
  return config::printable(access.origin + ": " + context.error().what, kMaxWhat);
}

ApiClient::ApiClient(asio::any_io_executor executor, ApiAccess access, ApiOptions options)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(access), std::move(options))) {}
ApiClient::~ApiClient() = default;

const ApiAccess& ApiClient::access() const { return impl_->access; }

ServerAddresses& ApiClient::addresses() { return impl_->addresses; }
const ServerAddresses& ApiClient::addresses() const { return impl_->addresses; }

std::unique_ptr<ApiConnection> ApiClient::connection() {
  return std::make_unique<ApiConnection>(*impl_);
}

asio::awaitable<Response> ApiClient::post(std::string path, std::string json) {
  ApiConnection connection(*impl_);
  co_return co_await connection.post(std::move(path), std::move(json));
}

asio::awaitable<std::vector<Address>> ApiClient::resolve() {
  std::vector<Address> addresses;
  const auto endpoints = co_await impl_->resolve();
  if (!endpoints) co_return addresses;
  for (const auto& endpoint : *endpoints) addresses.push_back(endpoint.address());
  co_return addresses;
}

ApiConnection::ApiConnection(ApiClient::Impl& client) : impl_(std::make_unique<Impl>(client)) {}
ApiConnection::~ApiConnection() = default;

asio::awaitable<Response> ApiConnection::get(GetRequest request, OnChunk on_chunk) {
  const Call call{.verb = http::verb::get,
                  .path = std::move(request.path),
                  .json = {},
                  .gzip = request.gzip,
                  .protobuf = request.protobuf,
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
