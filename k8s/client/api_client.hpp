// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 client for the API server, over TLS. Response bodies are delivered in pieces as they
// arrive. k8s/client/adr-http.md explains HTTP/1.1 and the connection per watch.
//
// Every step has a deadline: name resolution, connecting (per address), the TLS handshake, sending,
// the response header (with the 1xx responses before it), and each read of the body. TCP keep-alive and TCP_USER_TIMEOUT detect a
// half-open connection within 45 s, independent of those deadlines.
//
// Every address of the server is tried, one that failed lately last (k8s/client/address_order.hpp).
// A connection is kept after every response that ended cleanly (429 included), but not after one of
// 500 and above if the server has another address, or after three of them. A GET is redirected
// within the same server only (k8s/client/redirect.hpp).
//
// Credentials and certificates are read again for every new connection (a token file at most once a
// minute, and after a 401), so rotation needs no restart.
//
// Threading: one io_context thread. An ApiConnection carries one call at a time and must not
// outlive its ApiClient. Terminal cancellation of the awaiting coroutine closes the connection.
// Errors: in the Response; no error of a peer is thrown.
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
#include "k8s/client/request_report.hpp"
#include "k8s/client/server_addresses.hpp"
#include "k8s/decode/media_type.hpp"
#include "k8s/types.hpp"

namespace k8s {

struct Response {
  enum class End : std::uint8_t {
    kComplete,   // the whole response arrived
    kClosed,     // the body is incomplete: the peer closed, or the connection or gzip data ended
    kTimedOut,   // a deadline passed
    kStopped,    // on_chunk returned false
    kCancelled,  // the coroutine was cancelled
    kFailed,     // no usable response: credentials, resolve, connect, TLS, not HTTP, corrupt gzip,
                 // or a Content-Encoding that was not requested
  };
  End end = End::kFailed;
  boost::system::error_code error;  // cause of kClosed, kTimedOut or kFailed, if there is a code
  std::string what;     // the cause in words: "connect to 10.0.0.1:6443: Connection refused"
  unsigned status = 0;  // 0: no response header arrived
  std::string reason;   // of the status line
  MediaType type = MediaType::kJson;                // of the body
  std::optional<std::chrono::seconds> retry_after;  // at most 300 s
  // The first 64 KiB of the body of a status other than 2xx, usually a metav1.Status.
  std::string body;

  bool succeeded() const { return end == End::kComplete && status >= 200 && status < 300; }
  // One line for a log: `what`, or else "403 Forbidden".
  std::string text() const;
};

// Called with each piece of a 2xx body, inflated and at most 64 KiB long. Returning false ends the
// call and closes the connection.
using OnChunk = std::function<bool(std::string_view)>;

struct GetRequest {
  std::string path = {};  // without the base path, query encoded: "/api/v1/services?limit=500"
  // Accept a body compressed with gzip, and inflate it. Not for a watch: the server's compressor
  // would hold its events back until it has enough of them.
  bool gzip = false;
  // Prefer protobuf to JSON; Response::type is what the server chose.
  bool protobuf = false;
  bool is_watch = false;                   // see RequestReport
  std::chrono::milliseconds head{60'000};  // from sending the request to the response header
  std::chrono::milliseconds idle{30'000};  // between two pieces of the body; 0: no limit
  std::chrono::milliseconds total{0};      // for the whole body; 0: no limit
  // Optional. Called after the header of a 2xx response, before its body.
  std::function<void(MediaType)> on_head = {};
  // Optional. Called before each read of a 2xx body; the result replaces `idle`.
  std::function<std::chrono::milliseconds()> idle_now = {};
};

struct ApiOptions {
  std::string user_agent = {};  // empty: kube-ipvs/VERSION
  std::chrono::milliseconds resolve{10'000};
  std::chrono::milliseconds connect{5'000};  // per address
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds write{10'000};
  std::chrono::milliseconds token_file_age{60'000};
  // The limit of requests, of all connections together (k8s/client/rate_limit.hpp); 0: none.
  double requests_per_second = 0;
  std::uint32_t burst = 10;
  OnRequest on_request = {};
  // For tests: the addresses of a host, in place of the resolver.
  std::function<std::vector<Address>(const std::string& host)> lookup = {};
};

// Reads the certificates and the key that `access` names, as a connection would. The fault is one
// line: a file that cannot be read, no PEM text, a key with a passphrase, a key of another
// certificate. Tokens and a credential plugin are left to the connections, which try them again.
std::optional<std::string> find_identity_fault(const ApiAccess& access);

class ApiConnection;

class ApiClient {
 public:
  ApiClient(boost::asio::any_io_executor executor, ApiAccess access, ApiOptions options = {});
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  const ApiAccess& access() const;

  // Connects at its first call.
  std::unique_ptr<ApiConnection> connection();

  // One call on a connection of its own. `json` is sent as application/json. Response::body has the
  // first 64 KiB of the body for every status.
  boost::asio::awaitable<Response> post(std::string path, std::string json);

  // The current addresses of the API server; empty if the resolver fails or is too slow.
  boost::asio::awaitable<std::vector<Address>> resolve();

  // Every address by which the API server is or was lately reached: configured, resolved,
  // connected (k8s/client/server_addresses.hpp). resolve() and each connection add to it.
  ServerAddresses& addresses();
  const ServerAddresses& addresses() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Stays open between calls if the server allows it, so the pages of a list share a connection.
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
