// SPDX-License-Identifier: Apache-2.0
#include "agent/relay/localhost_ports.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/system/error_code.hpp>
#include <utility>

namespace agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kBuffer = std::size_t{16} * 1024;
constexpr std::chrono::milliseconds kPause{100};

tcp::endpoint to_asio(const ipvs::Endpoint& endpoint) {
  return {asio::ip::address(endpoint.address), endpoint.port};
}

std::string text_of(const tcp::endpoint& place) {
  return ipvs::Endpoint{ipvs::Address(place.address()), place.port()}.text();
}

// The peer gets a reset, not an end that looks like a complete answer.
void reset(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

// A peer that has vanished is found within two minutes, also when nobody sends.
void set_options(tcp::socket& socket) {
  using KeepIdle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
  using KeepInterval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
  using KeepCount = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPCNT>;
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(KeepIdle(60), ignored);
  socket.set_option(KeepInterval(15), ignored);
  socket.set_option(KeepCount(4), ignored);
}

}  // namespace

struct LocalhostPorts::Listener {
  explicit Listener(const asio::any_io_executor& executor) : acceptor(executor), pause(executor) {}
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  Place place{};
  ipvs::Owner owner{};
  ipvs::Endpoint target{};
  bool is_stopped = false;
  bool is_reported = false;  // that it cannot listen
};

// Closed when the last coroutine that has it ends.
struct LocalhostPorts::Connection {
  Connection(LocalhostPorts& ports_in, tcp::socket client_in, const asio::any_io_executor& executor)
      : ports(ports_in), client(std::move(client_in)), server(executor) {
    ports.connections_.insert(this);
    ports.note_connections();
  }
  ~Connection() {
    ports.connections_.erase(this);
    ports.note_connections();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Ends whatever waits for either side.
  void abort() {
    reset(client);
    reset(server.socket());
  }

  LocalhostPorts& ports;
  tcp::socket client;
  boost::beast::tcp_stream server;
};

LocalhostPorts::LocalhostPorts(asio::any_io_executor executor, Options options)
    : executor_(executor),
      options_(std::move(options)),
      end_(executor),
      tasks_(executor, [this](std::exception_ptr error) {
        error_ = error;  // a bug, or out of memory: run() throws it
        end_.cancel();
      }) {}

LocalhostPorts::~LocalhostPorts() = default;

void LocalhostPorts::refresh() {
  bool changed = false;
  for (const ipvs::Owner& owner : std::exchange(dirty_, {})) {
    std::vector<LocalhostPort> ports = options_.ports_of(owner);
    const auto known = wanted_.find(owner);
    if (known == wanted_.end() ? ports.empty() : ports == known->second) continue;
    changed = true;
    if (ports.empty()) {
      wanted_.erase(owner);
    } else {
      wanted_[owner] = std::move(ports);
    }
  }
  if (changed) start_and_stop();
}

asio::awaitable<void> LocalhostPorts::run() {
  running_ = true;
  refresh();
  start_and_stop();
  end_.expires_at(asio::steady_timer::time_point::max());
  co_await end_.async_wait(kTuple);
  running_ = false;
  start_and_stop();
  for (Connection* connection : connections_) connection->abort();
  tasks_.stop();
  // This coroutine is cancelled; it still has to wait for the connections to end.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await tasks_.wait();
  if (error_) std::rethrow_exception(error_);
}

// The API server gives a node port to one Service only. In between, when one is deleted and another
// gets its port, the first by name has it.
void LocalhostPorts::start_and_stop() {
  struct Claim {
    const ipvs::Owner* owner;
    const LocalhostPort* port;
  };
  std::map<Place, Claim> wanted;
  if (running_) {
    for (const auto& [owner, ports] : wanted_) {
      for (const LocalhostPort& port : ports)
        wanted.emplace(to_asio(port.listen), Claim{.owner = &owner, .port = &port});
    }
  }
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    stop(*it->second);
    it = listeners_.erase(it);
  }
  for (const auto& [place, claim] : wanted) {
    const auto found = listeners_.find(place);
    if (found == listeners_.end()) {
      start(place, *claim.owner, *claim.port);
      continue;
    }
    Listener& listener = *found->second;
    if (listener.owner != *claim.owner) report_bind(listener, "");
    listener.owner = *claim.owner;
    listener.target = claim.port->target;
  }
  options_.changed(counters_);
}

// The port is free at once.
void LocalhostPorts::stop(Listener& listener) {
  listener.is_stopped = true;
  if (listener.acceptor.is_open()) --counters_.listeners;
  error_code ignored;
  listener.acceptor.close(ignored);
  listener.pause.cancel();
  report_bind(listener, "");
}

void LocalhostPorts::start(const Place& place, const ipvs::Owner& owner,
                           const LocalhostPort& port) {
  auto listener = std::make_shared<Listener>(executor_);
  listener->place = place;
  listener->owner = owner;
  listener->target = port.target;
  listeners_.emplace(place, listener);
  tasks_.spawn(serve(std::move(listener)));
}

void LocalhostPorts::report_bind(Listener& listener, const std::string& fault) {
  const bool has_fault = !fault.empty();
  if (has_fault == listener.is_reported) return;
  listener.is_reported = has_fault;
  options_.on_bind(listener.owner, text_of(listener.place), fault);
}

bool LocalhostPorts::listen(Listener& listener) {
  error_code error;
  const auto step = [&error](auto&& function) {
    if (!error) function();
  };
  step([&] { listener.acceptor.open(listener.place.protocol(), error); });
  step([&] { listener.acceptor.set_option(tcp::acceptor::reuse_address(true), error); });
  step([&] { listener.acceptor.bind(listener.place, error); });
  step([&] { listener.acceptor.listen(asio::socket_base::max_listen_connections, error); });
  if (!error) {
    report_bind(listener, "");
    ++counters_.listeners;
    options_.changed(counters_);
    return true;
  }
  error_code ignored;
  listener.acceptor.close(ignored);
  count(&Counters::bind_failures);
  report_bind(listener, error.message());
  return false;
}

asio::awaitable<void> LocalhostPorts::serve(std::shared_ptr<Listener> listener) {
  while (!listener->is_stopped) {
    if (listen(*listener)) {
      co_await accept(listener);
      co_return;
    }
    listener->pause.expires_after(options_.retry);
    co_await listener->pause.async_wait(kTuple);
  }
}

asio::awaitable<void> LocalhostPorts::accept(std::shared_ptr<Listener> listener) {
  while (!listener->is_stopped) {
    auto [error, socket] = co_await listener->acceptor.async_accept(kTuple);
    if (listener->is_stopped || error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of descriptors, or the client has already gone: neither may make this spin.
      listener->pause.expires_after(kPause);
      co_await listener->pause.async_wait(kTuple);
    } else if (connections_.size() >= options_.max_connections) {
      reset(socket);
      count(&Counters::refused);
    } else {
      tasks_.spawn(relay(std::make_shared<Connection>(*this, std::move(socket), executor_),
                         listener->target));
    }
  }
}

asio::awaitable<void> LocalhostPorts::relay(std::shared_ptr<Connection> connection,
                                            ipvs::Endpoint target) {
  connection->server.expires_after(options_.connect);
  const auto [error] = co_await connection->server.async_connect(to_asio(target), kTuple);
  if (error) {
    if (running_) count(&Counters::failed);
    connection->abort();
    co_return;
  }
  connection->server.expires_never();
  set_options(connection->client);
  set_options(connection->server.socket());
  count(&Counters::relayed);
  tasks_.spawn(pump(connection, true));
  tasks_.spawn(pump(connection, false));
}

// One direction. A write waits until the peer takes it, and only then more is read.
asio::awaitable<void> LocalhostPorts::pump(std::shared_ptr<Connection> connection, bool to_client) {
  tcp::socket& server = connection->server.socket();
  tcp::socket& from = to_client ? server : connection->client;
  tcp::socket& to = to_client ? connection->client : server;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBuffer);
  while (true) {
    const auto [error, size] =
        co_await from.async_read_some(asio::buffer(buffer.get(), kBuffer), kTuple);
    if (error == asio::error::eof) {
      error_code ignored;
      to.shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
    if (error) break;
    const auto [fault, written] =
        co_await asio::async_write(to, asio::buffer(buffer.get(), size), kTuple);
    if (fault) break;
  }
  connection->abort();
}

void LocalhostPorts::count(std::uint64_t Counters::*counter) {
  ++(counters_.*counter);
  options_.changed(counters_);
}

void LocalhostPorts::note_connections() {
  counters_.connections = connections_.size();
  options_.changed(counters_);
}

}  // namespace agent
