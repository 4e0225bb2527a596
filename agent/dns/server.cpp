// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/server.hpp"

#include <netinet/in.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/system/error_code.hpp>
#include <utility>

#include "ipvs/state/model.hpp"

namespace agent::dns {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using error_code = boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kPause{100};

std::string text_of(const Server::Place& place) {
  return ipvs::Endpoint{ipvs::Address(place.address()), place.port()}.text();
}

error_code listen(tcp::acceptor& acceptor, const tcp::endpoint& bind) {
  error_code error;
  const auto step = [&error](auto&& function) {
    if (!error) function();
  };
  using BindAny4 = asio::detail::socket_option::boolean<IPPROTO_IP, IP_FREEBIND>;
  using BindAny6 = asio::detail::socket_option::boolean<IPPROTO_IPV6, IPV6_FREEBIND>;
  step([&] { acceptor.open(bind.protocol(), error); });
  step([&] { acceptor.set_option(tcp::acceptor::reuse_address(true), error); });
  if (bind.address().is_v6()) {
    step([&] { acceptor.set_option(asio::ip::v6_only(true), error); });
    step([&] { acceptor.set_option(BindAny6(true), error); });
  } else {
    step([&] { acceptor.set_option(BindAny4(true), error); });
  }
  step([&] { acceptor.bind(bind, error); });
  step([&] { acceptor.listen(asio::socket_base::max_listen_connections, error); });
  if (error) {
    error_code ignored;
    acceptor.close(ignored);
  }
  return error;
}

std::string framed(const std::string& message) {
  std::string frame;
  frame.reserve(2 + message.size());
  frame += static_cast<char>(message.size() >> 8);
  frame += static_cast<char>(message.size() & 0xFF);
  return frame += message;
}

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

struct Server::Listener {
  explicit Listener(const asio::any_io_executor& executor)
      : datagrams(executor), acceptor(executor), pause(executor) {}
  Datagrams datagrams;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  Place place{};
  bool is_stopped = false;
  bool is_reported = false;  // that it cannot be bound
};

Server::Server(asio::any_io_executor executor, Options options)
    : executor_(executor),
      options_(std::move(options)),
      zone_(options_.zone, options_.serial),
      responder_(zone_),
      upstream_(executor, options_.patience),
      connections_(options_.connections ? *options_.connections : own_connections_),
      end_(executor),
      tasks_(executor, [this](std::exception_ptr error) {
        error_ = error;  // a bug, or out of memory: run() throws it
        end_.cancel();
      }) {}

Server::~Server() = default;

void Server::refresh() {
  for (const ipvs::Owner& owner : std::exchange(dirty_, {})) {
    zone_.set(owner, options_.records_of(owner));
  }
  responder_.set_ready();
}

void Server::set_addresses(const std::vector<Place>& addresses) {
  wanted_ = {addresses.begin(), addresses.end()};
  std::vector<ipvs::Address> servers;
  for (const Place& place : wanted_) servers.emplace_back(place.address());
  zone_.set("", zone_records(options_.zone, servers));
  if (running_) start_and_stop();
}

std::vector<Server::Place> Server::places() const {
  std::vector<Place> all;
  for (const auto& [place, listener] : listeners_) {
    error_code error;
    const Place local = listener->datagrams.socket().local_endpoint(error);
    if (!error) all.push_back(local);
  }
  return all;
}

asio::awaitable<void> Server::run() {
  running_ = true;
  start_and_stop();
  end_.expires_at(asio::steady_timer::time_point::max());
  co_await end_.async_wait(kTuple);
  running_ = false;
  start_and_stop();
  tasks_.stop();
  // This coroutine is cancelled; it still has to wait for what runs to end.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  co_await tasks_.wait();
  if (error_) std::rethrow_exception(error_);
}

void Server::start_and_stop() {
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    if (running_ && wanted_.contains(it->first)) {
      ++it;
      continue;
    }
    stop(*it->second);
    it = listeners_.erase(it);
  }
  if (!running_) return;
  for (const Place& place : wanted_) {
    if (listeners_.contains(place)) continue;
    const auto listener = std::make_shared<Listener>(executor_);
    listener->place = place;
    listeners_.emplace(place, listener);
    tasks_.spawn(serve(listener));
  }
}

void Server::stop(Listener& listener) {
  listener.is_stopped = true;
  error_code ignored;
  listener.datagrams.socket().close(ignored);
  listener.acceptor.close(ignored);
  listener.pause.cancel();
  report_bind(listener, "");
}

void Server::report_bind(Listener& listener, const std::string& fault) {
  const bool has_fault = !fault.empty();
  if (has_fault == listener.is_reported) return;
  listener.is_reported = has_fault;
  options_.on_bind(text_of(listener.place), fault);
}

// Both, at one port.
bool Server::open(Listener& listener) {
  error_code error = listener.datagrams.open(listener.place);
  error_code ignored;
  if (!error) {
    const Place bound = listener.datagrams.socket().local_endpoint(ignored);
    error = listen(listener.acceptor, tcp::endpoint(bound.address(), bound.port()));
  }
  if (error) listener.datagrams.socket().close(ignored);
  report_bind(listener, error ? error.message() : "");
  return !error;
}

asio::awaitable<void> Server::serve(std::shared_ptr<Listener> listener) {
  while (!listener->is_stopped) {
    if (open(*listener)) {
      tasks_.spawn(serve_udp(listener));
      co_await serve_tcp(listener);
      co_return;
    }
    listener->pause.expires_after(options_.retry);
    co_await listener->pause.async_wait(kTuple);
  }
}

bool Server::may_ask(const asio::ip::address& client) const {
  return !upstream_.empty() && options_.may_ask(client);
}

asio::awaitable<void> Server::serve_udp(std::shared_ptr<Listener> listener) {
  while (!listener->is_stopped) {
    const auto [error] =
        co_await listener->datagrams.socket().async_wait(udp::socket::wait_read, kTuple);
    if (listener->is_stopped || error == asio::error::operation_aborted) co_return;
    if (!error) {
      answer_batch(listener);
      continue;
    }
    asio::steady_timer pause(executor_, kPause);
    co_await pause.async_wait(kTuple);
  }
}

void Server::answer_batch(const std::shared_ptr<Listener>& listener) {
  Datagrams& datagrams = listener->datagrams;
  const std::size_t count = datagrams.receive();
  for (std::size_t i = 0; i < count; ++i) {
    Onward onward;
    const auto verdict = responder_.answer(
        datagrams.message(i), Transport::kUdp, [&] { return may_ask(datagrams.peer(i).client()); },
        datagrams.answer(i), onward);
    if (verdict == Responder::Verdict::kAsk) {
      tasks_.spawn(ask_for(listener, std::move(onward), datagrams.peer(i)));
    }
  }
  datagrams.send_answers(count);
}

asio::awaitable<void> Server::ask_for(std::shared_ptr<Listener> listener, Onward onward,
                                      Peer peer) {
  const std::string reply = co_await upstream_.ask(onward, Transport::kUdp);
  std::string answer;
  responder_.conclude(onward, Transport::kUdp, bytes_of(reply), answer);
  if (!listener->is_stopped) listener->datagrams.send(peer, answer);
}

asio::awaitable<void> Server::serve_tcp(std::shared_ptr<Listener> listener) {
  while (!listener->is_stopped) {
    auto [error, socket] = co_await listener->acceptor.async_accept(kTuple);
    if (listener->is_stopped || error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of descriptors, or the client has already gone: neither may make this spin.
      connections_.make_room(this);
      listener->pause.expires_after(kPause);
      co_await listener->pause.async_wait(kTuple);
      continue;
    }
    tasks_.spawn(converse(std::move(socket)));
  }
}

// Queries may come one after the other without waiting (RFC 7766); they are answered in their order.
asio::awaitable<void> Server::converse(tcp::socket socket) {
  error_code ignored;
  const asio::ip::address client = socket.remote_endpoint(ignored).address();
  boost::beast::tcp_stream stream(std::move(socket));
  stream.socket().set_option(tcp::no_delay(true), ignored);
  HttpConnections::Place place(connections_, this, client, [&stream] { stream.close(); });
  std::array<std::uint8_t, 2> length{};
  std::string query;
  std::string answer;
  while (running_) {
    place.waits_for_request();
    stream.expires_after(options_.idle);
    const auto [ended, got] = co_await asio::async_read(stream, asio::buffer(length), kTuple);
    const std::size_t size = (std::size_t{length[0]} << 8) | length[1];
    if (ended || size < kHeaderSize || size > kLongestQuery) break;
    query.resize(size);
    const auto [cut, read] = co_await asio::async_read(stream, asio::buffer(query), kTuple);
    if (cut) break;
    place.is_answered();
    Onward onward;
    const auto verdict = responder_.answer(
        bytes_of(query), Transport::kTcp, [&] { return may_ask(client); }, answer, onward);
    if (verdict == Responder::Verdict::kDrop) break;
    if (verdict == Responder::Verdict::kAsk) {
      const std::string reply = co_await upstream_.ask(onward, Transport::kTcp);
      responder_.conclude(onward, Transport::kTcp, bytes_of(reply), answer);
    }
    stream.expires_after(options_.idle);
    const std::string frame = framed(answer);
    const auto [unsent, sent] = co_await asio::async_write(stream, asio::buffer(frame), kTuple);
    if (unsent) break;
  }
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

}  // namespace agent::dns
