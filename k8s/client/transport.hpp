// SPDX-License-Identifier: Apache-2.0
//
// Opens the stream to an API server, directly or by a proxy (k8s/client/adr-proxy.md):
//
//   https server                        TCP, TLS
//   http server                         TCP
//   https server, http proxy            TCP, CONNECT, TLS
//   https server, https proxy           TCP, TLS with the proxy, CONNECT, TLS
//   http server, http or https proxy    TCP, perhaps TLS with the proxy; requests have whole URLs
//
// Every address is tried, also where TLS or CONNECT fails. Internal to the API client.
//
// Errors: DialError; with several addresses it has what happened to each.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "k8s/client/address_order.hpp"
#include "k8s/client/dial.hpp"
#include "k8s/client/kubeconfig.hpp"

namespace k8s {

struct NestedTls {
  NestedTls(std::shared_ptr<TlsStream> outer_in, TlsContext& context)
      : outer(std::move(outer_in)), inner(*outer, context) {}
  std::shared_ptr<TlsStream> outer;
  NestedTlsStream inner;
};

struct TlsContexts {
  std::shared_ptr<TlsContext> server;  // set if the server has https
  std::shared_ptr<TlsContext> proxy;   // set if the proxy has https
};

// An open stream: one of plain, tls and nested is set.
struct Transport {
  TlsContexts contexts = {};  // used by the streams
  std::shared_ptr<TcpStream> plain = {};
  std::shared_ptr<TlsStream> tls = {};
  std::shared_ptr<NestedTls> nested = {};
  boost::asio::ip::tcp::endpoint endpoint = {};  // the server's or the proxy's
};

struct TransportOptions {
  std::string user_agent = {};
  std::chrono::milliseconds connect{5'000};     // per address
  std::chrono::milliseconds handshake{10'000};  // per address, for TLS and for CONNECT each
};

// `endpoints`: of the proxy if there is one. `access` and `order` must outlive the call.
boost::asio::awaitable<DialResult<Transport>> open_transport(
    boost::asio::any_io_executor executor, const ApiAccess& access, TlsContexts contexts,
    Endpoints endpoints, AddressOrder& order, TransportOptions options);

}  // namespace k8s
