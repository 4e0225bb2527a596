// SPDX-License-Identifier: Apache-2.0
//
// An API server in the test's process: HTTP/1.1, plain or TLS, on a loopback port chosen by the
// kernel. Supports lists (limit, continue, NotOlderThan, label and field selectors), watches
// (history, bookmarks, initial events), and deliberate faults.
//
// Threading: the test's io_context, shared with the client under test. There are no timers: a watch
// delivers a change when the io_context next runs. Destroying the server closes its connections.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/client/kubeconfig.hpp"
#include "test/fake/api_store.hpp"
#include "test/fake/certificate.hpp"
#include "test/fake/http_text.hpp"

namespace fake {

// A fault in the response to a request. Fields combine.
struct Misbehaviour {
  std::string on = {};  // for requests whose target contains this; "": any
  int times = 1;        // for how many of them; -1: all
  unsigned status = 0;  // respond with this status, and a metav1.Status of `reason` if no `body`
  std::string reason = {};
  std::string body = {};    // this body; with status 200 on a watch, sent before the events
  std::string header = {};  // an additional header line: "Retry-After: 7"
  std::optional<std::size_t> drop_after = {};   // close the connection after this many bytes
  std::optional<std::size_t> stall_after = {};  // send nothing more after this many bytes
  bool reset = false;                           // close it with a TCP reset
  std::string raw = {};                         // these bytes are the whole answer
  bool then_close = false;                      // close the connection after the answer
  // Compress a list even if the request does not accept it.
  bool gzip = false;
  // Flip one bit of this byte of a compressed body; no effect beyond its end.
  std::optional<std::size_t> corrupt_at = {};
  // Truncate a compressed body to this many bytes, with a matching Content-Length.
  std::optional<std::size_t> cut_body_at = {};
};

class ApiServer {
 public:
  struct Options {
    bool tls = false;
    std::string address = "127.0.0.1";            // to listen on
    std::uint16_t port = 0;                       // 0: any that is free
    std::optional<Certificate> certificate = {};  // instead of one for 127.0.0.1 and localhost
    bool require_client_certificate = false;      // issued by authority()
    std::string token = {};                       // requests without it get 401
    std::size_t piece = 0;                        // bytes per write; 0: no limit
    bool gzip = false;                            // compress lists for clients that accept it
    bool protobuf = false;                        // use it for clients that accept it
    bool watch_cache = false;                     // no pages for lists from resourceVersion=0
    bool watch_list = false;                      // allow sendInitialEvents
  };
  explicit ApiServer(boost::asio::any_io_executor executor) : ApiServer(executor, Options{}) {}
  ApiServer(boost::asio::any_io_executor executor, Options options);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  std::uint16_t port() const;
  const Certificate& authority() const;
  // How to connect: 127.0.0.1, the authority and the token.
  k8s::ApiAccess access() const;

  void serve(const std::string& path, const std::string& kind) { store().serve(path, kind); }
  void put(const std::string& path, std::string_view json);
  void remove(const std::string& path, const std::string& key);
  void bookmark(const std::string& path);
  ApiStore& store();

  void misbehave(Misbehaviour misbehaviour);
  void forget_misbehaviours();
  // Closes one connection, once: the one that sends the byte of this number, counted from now.
  void cut_once_after(std::size_t bytes);
  // Sends the bytes, unchanged, to every open watch of the path.
  void send_raw(const std::string& path, std::string_view bytes);
  void send_error(const std::string& path, unsigned code, std::string_view reason);
  // Ends the open watches of the path: as at timeoutSeconds, or by closing the connection.
  void end_watches(const std::string& path, bool gracefully);
  void set_token(std::string token);
  // What GET /apis returns; "": 404.
  void set_discovery(std::string body);
  // Stops listening and closes all connections; start() listens on the same port again.
  void stop();
  void start();

  const std::vector<SeenRequest>& requests() const;
  std::size_t count(std::string_view target_part) const;  // requests whose target contains it
  std::size_t open_watches() const;
  std::size_t bytes_sent() const;
  int connections() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace fake
