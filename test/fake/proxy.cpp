// SPDX-License-Identifier: Apache-2.0
#include "test/fake/proxy.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "test/fake/await.hpp"

namespace fake {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Pair {
  Pair(tcp::socket client_in, asio::ssl::context& context, const asio::any_io_executor& executor)
      : client(std::move(client_in), context), server(executor) {}
  asio::ssl::stream<tcp::socket> client;
  tcp::socket server;
  void close() {
    error_code ignored;
    client.next_layer().close(ignored);
    server.close(ignored);
  }
};

template <typename From, typename To>
asio::awaitable<void> relay(std::shared_ptr<Pair> pair, From& from, To& to) {
  std::array<char, 4096> buffer;
  for (;;) {
    const auto [error, size] = co_await from.async_read_some(asio::buffer(buffer), kAwait);
    if (error) break;
    const auto [write_error, written] =
        co_await asio::async_write(to, asio::buffer(buffer, size), kAwait);
    if (write_error) break;
  }
  pair->close();
}

}  // namespace

struct Proxy::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor executor_in, const std::optional<Certificate>& certificate)
      : executor(std::move(executor_in)), tls(certificate), acceptor(executor) {
    if (certificate) {
      context.use_certificate_chain(asio::buffer(certificate->certificate));
      context.use_private_key(asio::buffer(certificate->key), asio::ssl::context::pem);
    }
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    acceptor.listen();
  }

  static asio::awaitable<void> accept(std::shared_ptr<State> self) {
    for (;;) {
      auto [error, socket] = co_await self->acceptor.async_accept(kAwait);
      if (error) co_return;
      const auto pair = std::make_shared<Pair>(std::move(socket), self->context, self->executor);
      self->pairs.push_back(pair);
      asio::co_spawn(self->executor, talk(self, pair), asio::detached);
    }
  }

  static asio::awaitable<void> talk(std::shared_ptr<State> self, std::shared_ptr<Pair> pair) {
    if (!self->tls) {
      co_await serve(self, pair, pair->client.next_layer());
      co_return;
    }
    const auto [error] =
        co_await pair->client.async_handshake(asio::ssl::stream_base::server, kAwait);
    if (error) {
      pair->close();
      co_return;
    }
    co_await serve(self, pair, pair->client);
  }

  template <typename Client>
  static asio::awaitable<void> serve(std::shared_ptr<State> self, std::shared_ptr<Pair> pair,
                                     Client& client) {
    std::string head;
    std::array<char, 1> byte;
    while (!head.ends_with("\r\n\r\n")) {
      const auto [error, size] = co_await client.async_read_some(asio::buffer(byte), kAwait);
      if (error) co_return;
      head += byte[0];
    }
    self->heads.push_back(head);
    const bool tunnel = head.starts_with("CONNECT ");
    const std::string reply =
        self->answer.empty() ? "HTTP/1.1 200 Connection established\r\n\r\n" : self->answer;
    if (tunnel) {
      co_await asio::async_write(client, asio::buffer(reply), kAwait);
      if (!self->answer.empty()) {
        pair->close();
        co_return;
      }
    }
    const tcp::endpoint server(asio::ip::address_v4::loopback(), self->server_port);
    const auto [error] = co_await pair->server.async_connect(server, kAwait);
    if (error) {
      pair->close();
      co_return;
    }
    if (!tunnel) {
      // "GET http://host:port/path" becomes "GET /path".
      const std::size_t begin = head.find("http://");
      head.erase(begin, head.find('/', begin + 7) - begin);
      co_await asio::async_write(pair->server, asio::buffer(head), kAwait);
    }
    asio::co_spawn(self->executor, relay(pair, pair->server, client), asio::detached);
    co_await relay(pair, client, pair->server);
  }

  asio::any_io_executor executor;
  bool tls;
  asio::ssl::context context{asio::ssl::context::tls_server};
  tcp::acceptor acceptor;
  std::vector<std::string> heads;
  std::string answer;
  std::uint16_t server_port = 0;
  std::vector<std::weak_ptr<Pair>> pairs;
};

Proxy::Proxy(asio::any_io_executor executor, const std::optional<Certificate>& certificate)
    : state_(std::make_shared<State>(executor, certificate)) {
  asio::co_spawn(executor, State::accept(state_), asio::detached);
}

Proxy::~Proxy() {
  error_code ignored;
  state_->acceptor.close(ignored);
  for (const auto& weak : state_->pairs) {
    if (const auto pair = weak.lock()) pair->close();
  }
}

std::uint16_t Proxy::port() const { return state_->acceptor.local_endpoint().port(); }
const std::vector<std::string>& Proxy::heads() const { return state_->heads; }
void Proxy::answer(std::string text) { state_->answer = std::move(text); }
void Proxy::lead_to(std::uint16_t port) { state_->server_port = port; }

}  // namespace fake
