// SPDX-License-Identifier: Apache-2.0
#include "test/fake/api_server.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <list>

#include "k8s/decode/media_type.hpp"
#include "test/fake/await.hpp"
#include "test/fake/http_text.hpp"
#include "test/k8s/decode/encode_proto.hpp"

namespace fake {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// A connection, plain or TLS.
class Wire {
 public:
  explicit Wire(tcp::socket socket) : plain_(std::move(socket)) {}
  Wire(tcp::socket socket, asio::ssl::context& context)
      : tls_(std::in_place, std::move(socket), context) {}

  tcp::socket& socket() { return tls_ ? tls_->next_layer() : *plain_; }
  asio::awaitable<bool> handshake() {
    if (!tls_) co_return true;
    const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, kAwait);
    co_return !error;
  }
  // 0 at the end.
  asio::awaitable<std::size_t> read(asio::mutable_buffer buffer) {
    if (tls_) {
      const auto [error, size] = co_await tls_->async_read_some(buffer, kAwait);
      co_return error ? 0 : size;
    }
    const auto [error, size] = co_await plain_->async_read_some(buffer, kAwait);
    co_return error ? 0 : size;
  }
  asio::awaitable<bool> write(std::string_view bytes) {
    if (tls_) {
      const auto [error, size] = co_await asio::async_write(*tls_, asio::buffer(bytes), kAwait);
      co_return !error;
    }
    const auto [error, size] = co_await asio::async_write(*plain_, asio::buffer(bytes), kAwait);
    co_return !error;
  }
  void close(bool reset) {
    error_code ignored;
    if (reset) socket().set_option(asio::socket_base::linger(true, 0), ignored);
    socket().close(ignored);
  }

 private:
  std::optional<tcp::socket> plain_;
  std::optional<asio::ssl::stream<tcp::socket>> tls_;
};

struct Session {
  Session(Wire wire_in, asio::any_io_executor executor, int number_in)
      : wire(std::move(wire_in)), wake(executor), number(number_in) {}
  Wire wire;
  asio::steady_timer wake;  // cancelled when a watch has something to send
  int number;
  std::string inbox;
  bool closed = false;
  // Of the current request.
  Misbehaviour wrong;
  std::size_t sent = 0;
  // Of a watch.
  std::string path;  // "": not watching
  bool bookmarks = false;
  bool protobuf = false;
  std::string raw;  // to send next
  bool ending = false;

  void close() {
    if (closed) return;
    closed = true;
    wire.close(wrong.reset);
    wake.cancel();
  }
};
using SessionPtr = std::shared_ptr<Session>;

bool accepts_gzip(const SeenRequest& request) {
  const auto header = request.headers.find("accept-encoding");
  return header != request.headers.end() && header->second == "gzip";
}

bool accepts_protobuf(const SeenRequest& request) {
  const auto header = request.headers.find("accept");
  return header != request.headers.end() && header->second.starts_with(k8s::kProtobufType);
}

std::string compressed(const std::string& body, const Misbehaviour& wrong) {
  std::string bytes = gzip(body);
  if (wrong.corrupt_at && *wrong.corrupt_at < bytes.size()) bytes[*wrong.corrupt_at] ^= 1;
  if (wrong.cut_body_at && *wrong.cut_body_at < bytes.size()) bytes.resize(*wrong.cut_body_at);
  return bytes;
}

}  // namespace

struct ApiServer::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor executor_in, Options options_in);

  void listen();
  // Spawned coroutines own the state: they may start, and end, after the server was destroyed.
  static asio::awaitable<void> accept(std::shared_ptr<State> self);
  static asio::awaitable<void> talk(std::shared_ptr<State> self, SessionPtr session);
  static asio::awaitable<void> notice_end(SessionPtr session);
  asio::awaitable<bool> read_request(Session& session, SeenRequest& request);
  asio::awaitable<bool> answer(SessionPtr session, const SeenRequest& request);
  asio::awaitable<bool> watch(SessionPtr session, const Query& query);
  asio::awaitable<bool> send(Session& session, std::string bytes);
  Misbehaviour take_misbehaviour(const std::string& target);
  bool authorized(const SeenRequest& request) const;
  void wake_watches();
  template <typename Do>
  void each_watch(const std::string& path, Do act) {
    for (const auto& weak : sessions) {
      const SessionPtr session = weak.lock();
      if (session && !session->closed && session->path == path) act(*session);
    }
  }

  asio::any_io_executor executor;
  Options options;
  Certificate authority;
  std::optional<asio::ssl::context> context;
  std::optional<tcp::acceptor> acceptor;
  std::uint16_t port = 0;
  ApiStore store;
  std::list<Misbehaviour> misbehaviours;
  std::string discovery;
  std::optional<std::size_t> cut_after;
  std::vector<SeenRequest> requests;
  std::list<std::weak_ptr<Session>> sessions;
  std::size_t bytes_sent = 0;
  int connections = 0;
};

ApiServer::State::State(asio::any_io_executor executor_in, Options options_in)
    : executor(std::move(executor_in)), options(std::move(options_in)), port(options.port) {
  if (options.tls) {
    authority = make_authority("fake authority");
    if (!options.certificate) {
      options.certificate = issue(authority, {.common_name = "fake api server",
                                              .names = {"IP:127.0.0.1", "DNS:localhost"}});
    }
    context.emplace(asio::ssl::context::tls_server);
    context->use_certificate_chain(asio::buffer(options.certificate->certificate));
    context->use_private_key(asio::buffer(options.certificate->key), asio::ssl::context::pem);
    if (options.require_client_certificate) {
      context->add_certificate_authority(asio::buffer(authority.certificate));
      context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
  }
}

void ApiServer::State::listen() {
  acceptor.emplace(executor);
  acceptor->open(tcp::v4());
  acceptor->set_option(asio::socket_base::reuse_address(true));
  acceptor->bind({asio::ip::make_address(options.address), port});
  acceptor->listen();
  port = acceptor->local_endpoint().port();
  asio::co_spawn(executor, accept(shared_from_this()), asio::detached);
}

asio::awaitable<void> ApiServer::State::accept(std::shared_ptr<State> self) {
  while (self->acceptor) {
    auto [error, socket] = co_await self->acceptor->async_accept(kAwait);
    if (error) co_return;
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    ++self->connections;
    Wire wire =
        self->options.tls ? Wire(std::move(socket), *self->context) : Wire(std::move(socket));
    const auto session =
        std::make_shared<Session>(std::move(wire), self->executor, self->connections);
    self->sessions.remove_if([](const std::weak_ptr<Session>& weak) { return weak.expired(); });
    self->sessions.push_back(session);
    asio::co_spawn(self->executor, talk(self, session), asio::detached);
  }
}

asio::awaitable<void> ApiServer::State::talk(std::shared_ptr<State> self, SessionPtr session) {
  bool going = co_await session->wire.handshake();
  while (going) {
    SeenRequest request;
    going = co_await self->read_request(*session, request);
    if (!going) break;
    request.connection = session->number;
    self->requests.push_back(request);
    session->wrong = self->take_misbehaviour(request.target);
    session->sent = 0;
    if (session->wrong.raw.empty()) {
      going = co_await self->answer(session, request);
    } else {
      going = co_await self->send(*session, session->wrong.raw);
    }
    if (session->wrong.then_close) break;
  }
  session->close();
}

asio::awaitable<bool> ApiServer::State::read_request(Session& session, SeenRequest& request) {
  std::array<char, 4096> buffer;
  std::size_t head_end = 0;
  std::size_t length = 0;
  for (bool have_head = false;;) {
    if (!have_head && session.inbox.find("\r\n\r\n") != std::string::npos) {
      have_head = true;
      head_end = session.inbox.find("\r\n\r\n") + 4;
      request = parse_head(std::string_view(session.inbox).substr(0, head_end));
      const auto header = request.headers.find("content-length");
      length = header == request.headers.end() ? 0 : std::stoul(header->second);
    }
    if (have_head && session.inbox.size() >= head_end + length) break;
    const std::size_t size = co_await session.wire.read(asio::buffer(buffer));
    if (size == 0) co_return false;
    session.inbox.append(buffer.data(), size);
  }
  request.body = session.inbox.substr(head_end, length);
  session.inbox.erase(0, head_end + length);
  co_return true;
}

Misbehaviour ApiServer::State::take_misbehaviour(const std::string& target) {
  for (auto it = misbehaviours.begin(); it != misbehaviours.end(); ++it) {
    if (target.find(it->on) == std::string::npos) continue;
    Misbehaviour taken = *it;
    if (it->times > 0 && --it->times == 0) misbehaviours.erase(it);
    return taken;
  }
  return {};
}

bool ApiServer::State::authorized(const SeenRequest& request) const {
  if (options.token.empty()) return true;
  const auto header = request.headers.find("authorization");
  return header != request.headers.end() && header->second == "Bearer " + options.token;
}

// False if the connection is to be closed.
asio::awaitable<bool> ApiServer::State::answer(SessionPtr session, const SeenRequest& request) {
  const std::size_t mark = std::min(request.target.find('?'), request.target.size());
  const std::string path = request.target.substr(0, mark);
  const Query query = parse_query(
      std::string_view(request.target).substr(std::min(mark + 1, request.target.size())));
  const Misbehaviour& wrong = session->wrong;
  const bool watching = query.contains("watch");
  Answer result{.status = 404, .body = "404 page not found\n"};
  std::string type(k8s::kJsonType);
  if (!authorized(request)) {
    result = {.status = 401, .body = status_body(401, "Unauthorized", "Unauthorized")};
  } else if (wrong.status != 0 && !(watching && wrong.status == 200)) {
    result = {.status = wrong.status,
              .body = wrong.body.empty()
                          ? status_body(wrong.status, wrong.reason, "injected by the test")
                          : wrong.body};
  } else if (request.method == "POST") {
    result = {.status = 201, .body = request.body};
  } else if (watching && query.contains("resourceVersionMatch") && !options.watch_list) {
    result = {.status = 422,
              .body = status_body(422, "Invalid", "resourceVersionMatch is forbidden for watch")};
  } else if (path == "/apis" && !discovery.empty()) {
    result = {.status = 200, .body = discovery};
  } else if (store.serves(path) && watching) {
    session->path = path;
    session->bookmarks = query.contains("allowWatchBookmarks");
    session->raw = wrong.body;
    session->protobuf = options.protobuf && accepts_protobuf(request);
    session->ending = false;
    co_return co_await watch(session, query);
  } else if (store.serves(path)) {
    result = store.list(path, query, options.watch_cache);
    if (options.protobuf && accepts_protobuf(request)) {
      result.body = k8s::test::to_proto(result.body);
      type = k8s::kProtobufType;
    }
    if (wrong.gzip || (options.gzip && accepts_gzip(request))) {
      result.body = compressed(result.body, wrong);
      co_return co_await send(
          *session, response_text(result.status, "Content-Encoding: gzip", result.body, type));
    }
  }
  co_return co_await send(*session, response_text(result.status, wrong.header, result.body, type));
}

asio::awaitable<bool> ApiServer::State::watch(SessionPtr session, const Query& query) {
  asio::co_spawn(executor, notice_end(session), asio::detached);
  std::uint64_t version = 0;
  if (query.contains("sendInitialEvents")) {
    session->raw += store.initial_events(session->path, query, version);
  } else {
    version = std::stoull(query.at("resourceVersion"));
  }
  bool going = co_await send(
      *session, "HTTP/1.1 200 OK\r\nContent-Type: " +
                    std::string(session->protobuf ? k8s::kProtobufType : k8s::kJsonType) +
                    ";stream=watch\r\nTransfer-Encoding: chunked\r\n\r\n");
  while (going && !session->closed) {
    std::string bytes = std::move(session->raw);
    session->raw.clear();
    bool expired = false;
    if (auto events = store.events_after(session->path, query, version)) {
      bytes += *events;
    } else {
      expired = true;
      bytes += "{\"type\":\"ERROR\",\"object\":" +
               status_body(410, "Expired", "too old resource version") + "}\n";
    }
    // Bytes from send_raw() are sent unchanged, except for events.
    if (session->protobuf && bytes.starts_with("{\"type\"")) {
      bytes = k8s::test::events_to_proto(bytes);
    }
    if (!bytes.empty()) going = co_await send(*session, chunk_of(bytes));
    if (!going) break;
    if (session->ending || expired) {
      going = co_await send(*session, "0\r\n\r\n");
      break;
    }
    if (!session->raw.empty() || version < store.version()) continue;
    session->wake.expires_at(asio::steady_timer::time_point::max());
    co_await session->wake.async_wait(kAwait);
  }
  session->path.clear();
  // notice_end() is still reading this connection, so it cannot carry another request.
  co_return false;
}

asio::awaitable<void> ApiServer::State::notice_end(SessionPtr session) {
  std::array<char, 64> buffer;
  std::size_t size = 1;
  while (size > 0 && !session->closed) size = co_await session->wire.read(asio::buffer(buffer));
  session->close();
}

asio::awaitable<bool> ApiServer::State::send(Session& session, std::string bytes) {
  std::string_view rest(bytes);
  while (!rest.empty()) {
    const Misbehaviour& wrong = session.wrong;
    std::size_t size = rest.size();
    if (options.piece > 0) size = std::min(size, options.piece);
    if (wrong.drop_after) size = std::min(size, *wrong.drop_after - session.sent);
    if (wrong.stall_after) size = std::min(size, *wrong.stall_after - session.sent);
    if (cut_after) size = std::min(size, *cut_after);
    if (size > 0) {
      const bool sent = co_await session.wire.write(rest.substr(0, size));
      if (!sent) co_return false;
    }
    rest.remove_prefix(size);
    session.sent += size;
    bytes_sent += size;
    if (cut_after) *cut_after -= std::min(size, *cut_after);
    const bool cut = cut_after && *cut_after == 0;
    if (cut) cut_after.reset();
    if (cut || (wrong.drop_after && session.sent >= *wrong.drop_after)) {
      session.close();
      co_return false;
    }
    if (wrong.stall_after && session.sent >= *wrong.stall_after) {
      while (!session.closed) {
        session.wake.expires_at(asio::steady_timer::time_point::max());
        co_await session.wake.async_wait(kAwait);
      }
      co_return false;
    }
  }
  co_return true;
}

void ApiServer::State::wake_watches() {
  for (const auto& weak : sessions) {
    if (const SessionPtr session = weak.lock()) session->wake.cancel();
  }
}

ApiServer::ApiServer(asio::any_io_executor executor, Options options)
    : state_(std::make_shared<State>(std::move(executor), std::move(options))) {
  state_->listen();
}

ApiServer::~ApiServer() { stop(); }

std::uint16_t ApiServer::port() const { return state_->port; }
const Certificate& ApiServer::authority() const { return state_->authority; }

k8s::ApiAccess ApiServer::access() const {
  k8s::ApiAccess access;
  access.origin = "fake API server";
  access.tls = state_->options.tls;
  access.host = state_->options.address;
  access.port = state_->port;
  access.certificate_authority.text = state_->authority.certificate;
  access.token.text = state_->options.token;
  return access;
}

ApiStore& ApiServer::store() { return state_->store; }

void ApiServer::put(const std::string& path, std::string_view json) {
  state_->store.put(path, json);
  state_->wake_watches();
}

void ApiServer::remove(const std::string& path, const std::string& key) {
  state_->store.remove(path, key);
  state_->wake_watches();
}

void ApiServer::bookmark(const std::string& path) {
  const std::string line = state_->store.bookmark(path);
  state_->each_watch(path, [&](Session& session) {
    if (session.bookmarks) session.raw += line;
  });
  state_->wake_watches();
}

void ApiServer::misbehave(Misbehaviour misbehaviour) {
  state_->misbehaviours.push_back(std::move(misbehaviour));
}
void ApiServer::forget_misbehaviours() { state_->misbehaviours.clear(); }
void ApiServer::cut_once_after(std::size_t bytes) { state_->cut_after = bytes; }

void ApiServer::send_raw(const std::string& path, std::string_view bytes) {
  state_->each_watch(path, [&](Session& session) { session.raw += bytes; });
  state_->wake_watches();
}

void ApiServer::send_error(const std::string& path, unsigned code, std::string_view reason) {
  send_raw(path, "{\"type\":\"ERROR\",\"object\":" +
                     status_body(code, reason, "injected by the test") + "}\n");
}

void ApiServer::end_watches(const std::string& path, bool gracefully) {
  state_->each_watch(path, [&](Session& session) {
    session.ending = true;
    if (!gracefully) session.close();
  });
  state_->wake_watches();
}

void ApiServer::set_discovery(std::string body) { state_->discovery = std::move(body); }

void ApiServer::set_token(std::string token) { state_->options.token = std::move(token); }

void ApiServer::stop() {
  state_->acceptor.reset();
  for (const auto& weak : state_->sessions) {
    if (const SessionPtr session = weak.lock()) session->close();
  }
}

void ApiServer::start() { state_->listen(); }

const std::vector<SeenRequest>& ApiServer::requests() const { return state_->requests; }

std::size_t ApiServer::count(std::string_view target_part) const {
  const auto& all = state_->requests;
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const SeenRequest& request) {
        return request.target.find(target_part) != std::string::npos;
      }));
}

std::size_t ApiServer::open_watches() const {
  std::size_t open = 0;
  for (const auto& weak : state_->sessions) {
    const SessionPtr session = weak.lock();
    if (session && !session->closed && !session->path.empty()) ++open;
  }
  return open;
}

std::size_t ApiServer::bytes_sent() const { return state_->bytes_sent; }
int ApiServer::connections() const { return state_->connections; }

}  // namespace fake
