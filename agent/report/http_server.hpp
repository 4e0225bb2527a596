// SPDX-License-Identifier: Apache-2.0
//
// A small HTTP/1.1 server for /metrics, /healthz, /livez, /proxyMode and health check node ports, and
// for questions on a unix socket: GET and HEAD, and PUT where a path takes it; keep-alive, chunked
// bodies that are sent while they are produced, compressed with gzip if the client asks for it. No
// Beast types here.
//
// Can be opened and closed while others serve: a server with another address can take over without a
// moment in which nothing listens.
//
// Threading: the io_context thread. Handlers are coroutines of that thread.
// Errors: a port in use is not fatal: serve() retries every 5 s and reports each try through
// on_bind;
//         with hard_fail it throws at the first failure.
// Limits: connections as HttpConnections says; request headers of 8 KiB, a body of 1 KiB, 10 s to
//         send a request, 60 s to receive the whole answer, or each piece of an open-ended one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/report/http_connections.hpp"

namespace agent {

// Sends the next piece of a body, and returns when it is sent.
using BodyWriter = std::function<boost::asio::awaitable<void>(std::string_view)>;

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::map<std::string, std::string> headers{};
  std::string body{};
  // If set, it writes the body instead, in pieces, which are sent in chunked encoding, and compressed
  // if the client prefers that.
  std::function<boost::asio::awaitable<void>(BodyWriter)> stream{};
  // The stream has no end of its own: it is cancelled when the client closes the connection, and the
  // server does not wait for it to close. It is not compressed; a piece that cannot be sent within
  // the time for an answer ends it.
  bool is_open_ended = false;
  // A client that does not accept text/plain gets 406 instead.
  bool is_text_only = false;
};

// Where a unix socket is, and who may connect to it.
struct LocalSocket {
  std::string path{};  // at most 107 bytes; what a killed process has left there is replaced
  std::string
      group{};  // whose members may connect, besides root and this process's user; "": nobody
};

// Gets the body of a PUT.
using HttpPutHandler = std::function<HttpAnswer(std::string_view body)>;
using HttpHandler = std::function<boost::asio::awaitable<HttpAnswer>(std::string_view target)>;

class HttpServer {
 public:
  struct Options {
    std::string name;                       // "metrics", "healthz": for messages
    boost::asio::ip::tcp::endpoint bind{};  // port 0: chosen by the kernel
    // If set, in place of `bind`. A PUT is then for root and this process's user only: 403 for others.
    std::optional<LocalSocket> local{};
    bool bind_any = false;  // even to an address that this host does not have (yet)
    bool hard_fail = false;
    std::chrono::milliseconds retry{5000};
    // Those of all servers, which must outlive this one; nullptr: its own alone.
    HttpConnections* connections = nullptr;
    // Exact path to what answers a PUT; any other method is 406 there, as in kube-proxy.
    std::map<std::string, HttpPutHandler> puts{};
    // Called after each try; "": listening, else why not.
    std::function<void(const std::string& fault)> on_bind;
  };
  // `routes`: exact path (without query) to handler; "*": every other path.
  HttpServer(boost::asio::any_io_executor executor, Options options,
             std::map<std::string, HttpHandler> routes);
  ~HttpServer();

  // Tries to listen, before serve(), which then begins with it. "": it does, else why not.
  std::string open();
  // Listens and answers until cancelled or closed; ends its connections before it returns.
  boost::asio::awaitable<void> serve();
  // Stops to listen at once. serve() ends soon: what is being answered has 10 s.
  void close();
  // The port on which it listens; 0: it does not, or on a unix socket.
  std::uint16_t port() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agent
