// SPDX-License-Identifier: Apache-2.0
//
// An API server in this process: HTTP/1.1, plain or TLS, on a loopback port the kernel chooses. It
// lists (limit, continue, label and field selectors), watches (history, bookmarks), and misbehaves
// on request.
//
// A test runs it on its own io_context, beside the client it tests. Nothing is timed: a watch
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

// How a request is answered wrongly. Fields combine.
struct Misbehaviour {
  std::string on = {};  // for requests whose target contains this; "": any
  int times = 1;        // for so many of them; -1: for all
  unsigned status = 0;  // this status, with a metav1.Status of `reason` unless there is a `body`
  std::string reason = {};
  std::string body = {};    // this body; with status 200 on a watch, in front of the events
  std::string header = {};  // one more header line: "Retry-After: 7"
  std::optional<std::size_t> drop_after =
      {};  // the connection ends after so many bytes of the answer
  std::optional<std::size_t> stall_after =
      {};              // nothing more comes after so many bytes of the answer
  bool reset = false;  // a drop is a TCP reset
  // A list comes compressed although nobody asked, where it does not anyway.
  bool gzip = false;
  // One bit of this byte of a compressed body is wrong. Behind its end: nothing is.
  std::optional<std::size_t> corrupt_at = {};
  // A compressed body has only so many bytes, and the answer says that this is all.
  std::optional<std::size_t> cut_body_at = {};
};

class ApiServer {
 public:
  struct Options {
    bool tls = false;
    std::optional<Certificate> certificate = {};  // instead of one for 127.0.0.1 and localhost
    bool require_client_certificate = false;      // issued by authority()
    std::string token = {};                       // requests without it get 401
    std::size_t piece = 0;                        // write so many bytes at a time; 0: as they come
    bool gzip = false;                            // compress lists for those who accept it
    bool protobuf = false;                        // speak it to those who accept it
  };
  explicit ApiServer(boost::asio::any_io_executor executor) : ApiServer(executor, Options{}) {}
  ApiServer(boost::asio::any_io_executor executor, Options options);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  std::uint16_t port() const;
  const Certificate& authority() const;
  // How to get here: 127.0.0.1, the authority and the token.
  k8s::ApiAccess access() const;

  void serve(const std::string& path, const std::string& kind) { store().serve(path, kind); }
  void put(const std::string& path, std::string_view json);
  void remove(const std::string& path, const std::string& key);
  void bookmark(const std::string& path);
  ApiStore& store();

  void misbehave(Misbehaviour misbehaviour);
  void forget_misbehaviours();
  // Once, after so many bytes of answers in total from now, the connection that sent them ends.
  void cut_once_after(std::size_t bytes);
  // To every open watch of the path, as it is.
  void send_raw(const std::string& path, std::string_view bytes);
  void send_error(const std::string& path, unsigned code, std::string_view reason);
  // Ends the open watches of the path: as a server does at timeoutSeconds, or by closing.
  void end_watches(const std::string& path, bool gracefully);
  void set_token(std::string token);
  // Stops listening, and ends all connections; start() listens on the same port again.
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
