// SPDX-License-Identifier: Apache-2.0
//
// Opens the stream to an API server: name resolution, TCP, TLS. Internal to the API client: it
// uses Beast and OpenSSL types, so no public header includes it.
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
#include <string>
#include <vector>

#include "k8s/client/credentials.hpp"
#include "k8s/client/kubeconfig.hpp"

namespace k8s {

using TcpStream = boost::beast::tcp_stream;
using TlsStream = boost::asio::ssl::stream<TcpStream>;
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
  std::string certificate_authority;  // "": the system's
  std::string client_certificate;
  std::string client_key;
  bool operator==(const TlsMaterial&) const = default;
};

DialResult<std::shared_ptr<TlsContext>> make_tls_context(const TlsMaterial& material);

// An IP address resolves to itself, a name through getaddrinfo on Asio's resolver thread.
boost::asio::awaitable<DialResult<Endpoints>> resolve_host(boost::asio::any_io_executor executor,
                                                           std::string host, std::uint16_t port,
                                                           std::chrono::milliseconds deadline);

// Tries the endpoints in order and returns the first that connects, with TCP_NODELAY, keep-alive
// and TCP_USER_TIMEOUT set. The error is that of the last one.
boost::asio::awaitable<DialResult<std::shared_ptr<TcpStream>>> connect_tcp(
    boost::asio::any_io_executor executor, Endpoints endpoints,
    std::chrono::milliseconds deadline_each);

// Checks the certificate for the name in `access`. `context` must outlive the stream.
boost::asio::awaitable<DialResult<std::shared_ptr<TlsStream>>> start_tls(
    TcpStream tcp, TlsContext& context, const ApiAccess& access,
    std::chrono::milliseconds deadline);

}  // namespace k8s
