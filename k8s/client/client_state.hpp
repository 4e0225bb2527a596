// SPDX-License-Identifier: Apache-2.0
//
// What all connections of an ApiClient share. Internal to the API client.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <utility>

#include "k8s/client/address_order.hpp"
#include "k8s/client/api_client.hpp"
#include "k8s/client/credentials.hpp"
#include "k8s/client/rate_limit.hpp"
#include "k8s/client/server_addresses.hpp"
#include "k8s/client/transport.hpp"

namespace k8s {

// All connections share one context, because parsing a bundle of authorities costs time and
// memory. It is rebuilt when a certificate on disk has changed.
class CachedContext {
 public:
  DialResult<std::shared_ptr<TlsContext>> get(TlsMaterial material) {
    if (context_ && material == material_) return context_;
    auto made = make_tls_context(material);
    if (!made) return made;
    context_ = *made;
    material_ = std::move(material);
    return context_;
  }

 private:
  TlsMaterial material_;
  std::shared_ptr<TlsContext> context_;
};

struct ApiClient::Impl {
  Impl(boost::asio::any_io_executor executor_in, ApiAccess access_in, ApiOptions options_in);

  // The addresses of the proxy if there is one: it resolves the server's name.
  boost::asio::awaitable<DialResult<Endpoints>> resolve();
  DialResult<TlsContexts> contexts_for(const Identity& identity);

  boost::asio::any_io_executor executor;
  const ApiAccess access;
  const std::string server;  // host and port
  ServerAddresses addresses;
  ApiOptions options;
  Credentials credentials;
  CachedContext server_context;
  CachedContext proxy_context;
  AddressOrder order;
  RateLimit limit;
  bool several_addresses = false;  // at the last lookup
};

}  // namespace k8s
