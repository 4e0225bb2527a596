// SPDX-License-Identifier: Apache-2.0
//
// Calls to the API server: HTTP/1.1 over TLS, bodies handed on in pieces as they arrive. Why
// HTTP/1.1 and one connection per watch: k8s/client/adr-http.md.
//
// Every step has a deadline: name resolution, connecting (per address), the TLS handshake, sending,
// the wait for the response's head, and each wait for more of its body. A half-open connection is
// found by TCP keep-alive and TCP_USER_TIMEOUT within 45 s, whatever those deadlines say.
//
// Credentials and certificates are read again for every new connection (tokens: at most once a
// minute, and after a 401), so rotation needs no restart.
//
// Threading: one io_context thread. An ApiConnection carries one call at a time and must not
// outlive its ApiClient. Cancellation (terminal) of the awaiting coroutine closes the connection.
// Errors: in the Response; nothing is thrown for what a peer does.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/client/kubeconfig.hpp"
#include "k8s/decode/media_type.hpp"
#include "k8s/types.hpp"

namespace k8s {

struct Response {
  enum class End : std::uint8_t {
    kComplete,   // the whole response arrived
    kClosed,     // the peer closed, the connection broke, or gzip data ended, within the body
    kTimedOut,   // a deadline passed
    kStopped,    // on_chunk asked to stop
    kCancelled,  // the coroutine was cancelled
    kFailed,     // no answer: credentials, resolve, connect, TLS, or what came was not HTTP; or a
                 // body that is corrupt gzip, or has an encoding that was not asked for
  };
  End end = End::kFailed;
  boost::system::error_code
      error;            // what lay behind kClosed, kTimedOut and kFailed, where there is a code
  std::string what;     // the same in words: "connect to 10.0.0.1:6443: Connection refused"
  unsigned status = 0;  // 0: no head arrived
  std::string reason;   // of the status line
  MediaType type = MediaType::kJson;  // of the body
  std::optional<std::chrono::seconds> retry_after;
  std::string body;  // of any status but 2xx, at most 64 KiB of it: a metav1.Status as a rule

  bool succeeded() const { return end == End::kComplete && status >= 200 && status < 300; }
  // One line for a log: what, or "403 Forbidden".
  std::string text() const;
};

// Takes a piece of a 2xx body, inflated and at most 64 KiB long; false stops the call and closes
// the connection.
using OnChunk = std::function<bool(std::string_view)>;

struct GetRequest {
  std::string path = {};  // "/api/v1/services?limit=500": what follows the base path, query encoded
  // Accept a body compressed with gzip, and inflate it. Not for a watch: its events would lie in
  // the server's compressor until there are enough of them.
  bool gzip = false;
  // Accept a body in protobuf before one in JSON; the answer says which it is.
  bool protobuf = false;
  std::chrono::milliseconds head{60'000};  // from sending the request to the response's head
  std::chrono::milliseconds idle{30'000};  // between two pieces of the body; 0: no limit
  std::chrono::milliseconds total{0};      // for the whole body; 0: no limit
  // Where set: told of a 2xx head, before the body; and asked before each wait for the body, in
  // place of `idle`.
  std::function<void(MediaType)> on_head = {};
  std::function<std::chrono::milliseconds()> idle_now = {};
};

struct ApiOptions {
  std::string user_agent = {};  // empty: kube-ipvs/VERSION
  std::chrono::milliseconds resolve{10'000};
  std::chrono::milliseconds connect{5'000};  // per address
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds write{10'000};
  std::chrono::milliseconds token_file_age{60'000};
};

class ApiConnection;

class ApiClient {
 public:
  ApiClient(boost::asio::any_io_executor executor, ApiAccess access, ApiOptions options = {});
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  const ApiAccess& access() const;

  // Not connected yet: that happens with its first call.
  std::unique_ptr<ApiConnection> connection();

  // One call on a connection of its own. `json` is sent as application/json. The body of the answer
  // is in Response::body whatever the status, at most 64 KiB of it.
  boost::asio::awaitable<Response> post(std::string path, std::string json);

  // The addresses of the API server as the resolver gives them now; empty where it gives none in
  // time.
  boost::asio::awaitable<std::vector<Address>> resolve();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Kept alive between calls where the server allows it: the pages of a list go over one connection.
class ApiConnection {
 public:
  explicit ApiConnection(ApiClient::Impl& client);
  ~ApiConnection();
  ApiConnection(const ApiConnection&) = delete;
  ApiConnection& operator=(const ApiConnection&) = delete;

  boost::asio::awaitable<Response> get(GetRequest request, OnChunk on_chunk);
  boost::asio::awaitable<Response> post(std::string path, std::string json);
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k8s
