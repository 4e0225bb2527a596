// SPDX-License-Identifier: Apache-2.0
//
// The steps to a stream to an API server: name resolution, TCP, TLS. Internal to the API client: it
// uses Beast and OpenSSL types, so no public header includes it. k8s/client/transport.hpp takes the
// steps in order.
//
// Errors: DialError. A TLS failure names what is wrong with the certificate.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "k8s/client/credentials.hpp"
#include "k8s/client/kubeconfig.hpp"

namespace k8s {

using TcpStream = boost::beast::tcp_stream;
using TlsStream = boost::asio::ssl::stream<TcpStream>;
using NestedTlsStream = boost::asio::ssl::stream<TlsStream&>;  // through a proxy's TLS
using TlsContext = boost::asio::ssl::context;
using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

struct DialError {
  boost::system::error_code code;  // not set if no system call or library failed
  std::string what;
};

template <typename T>
using DialResult = boost::system::result<T, DialError>;

// PEM texts that determine a TLS context: equal texts make equal contexts.
struct TlsMaterial {
  std::string certificate_authority = {};  // "": the system's
  bool system_too = false;                 // trust the system's authorities as well
  std::string client_certificate = {};
  std::string client_key = {};
  bool operator==(const TlsMaterial&) const = default;
};

DialResult<std::shared_ptr<TlsContext>> make_tls_context(const TlsMaterial& material);

// An IP address resolves to itself, a name through getaddrinfo on Asio's resolver thread.
boost::asio::awaitable<DialResult<Endpoints>> resolve_host(boost::asio::any_io_executor executor,
                                                           std::string host, std::uint16_t port,
                                                           std::chrono::milliseconds deadline);

// With TCP_NODELAY, keep-alive and TCP_USER_TIMEOUT set.
boost::asio::awaitable<DialResult<std::shared_ptr<TcpStream>>> connect_tcp(
    boost::asio::any_io_executor executor, boost::asio::ip::tcp::endpoint endpoint,
    std::chrono::milliseconds deadline);

// Whom the certificate has to be for.
struct TlsPeer {
  std::string host;  // for messages
  std::string name;  // sent (SNI) unless it is an address, and checked
  bool check = true;
};

// `stream` is an asio::ssl::stream over `lowest`. Without a value: it is open.
boost::asio::awaitable<std::optional<DialError>> shake_hands(TlsStream& stream,
                                                             std::shared_ptr<TcpStream> lowest,
                                                             TlsPeer peer,
                                                             std::chrono::milliseconds deadline);
boost::asio::awaitable<std::optional<DialError>> shake_hands(NestedTlsStream& stream,
                                                             std::shared_ptr<TcpStream> lowest,
                                                             TlsPeer peer,
                                                             std::chrono::milliseconds deadline);

}  // namespace k8s
