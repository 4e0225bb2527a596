// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/client_state.hpp"

#include <optional>
#include <string>
#include <vector>

#include "config/printable.hpp"
#include "k8s/client/url.hpp"

namespace k8s {

namespace asio = boost::asio;

ApiClient::Impl::Impl(asio::any_io_executor executor_in, ApiAccess access_in, ApiOptions options_in)
    : executor(std::move(executor_in)),
      access(std::move(access_in)),
      server(host_and_port(access.host, access.port)),
      options(std::move(options_in)),
      credentials(executor, access, {.token_file_age = options.token_file_age, .wall_clock = {}}),
      limit(options.requests_per_second, options.burst) {
  if (options.user_agent.empty()) options.user_agent = "kube-ipvs/" KUBE_IPVS_VERSION;
  addresses.configured(access.host);
  if (access.proxy) addresses.configured(access.proxy->host);
}

asio::awaitable<DialResult<Endpoints>> ApiClient::Impl::resolve() {
  const std::string& host = access.proxy ? access.proxy->host : access.host;
  const std::uint16_t port = access.proxy ? access.proxy->port : access.port;
  DialResult<Endpoints> endpoints = Endpoints();
  if (options.lookup) {
    for (const Address& address : options.lookup(host)) endpoints->emplace_back(address, port);
  } else {
    endpoints = co_await resolve_host(executor, host, port, options.resolve);
  }
  if (endpoints) {
    std::vector<Address> found;
    for (const auto& endpoint : *endpoints) found.push_back(endpoint.address());
    addresses.resolved(host, found);
    several_addresses = found.size() > 1;
  }
  co_return endpoints;
}

DialResult<TlsContexts> ApiClient::Impl::contexts_for(const Identity& identity) {
  TlsContexts contexts;
  const bool proxy_tls = access.proxy && access.proxy->tls;
  if (!access.tls && !proxy_tls) return contexts;
  auto authority = credentials.certificate_authority();
  if (!authority) return DialError{.code = {}, .what = authority.error().text};
  if (access.tls) {
    auto made = server_context.get({.certificate_authority = *authority,
                                    .client_certificate = identity.client_certificate,
                                    .client_key = identity.client_key});
    if (!made) return made.error();
    contexts.server = *made;
  }
  if (proxy_tls) {
    auto made =
        proxy_context.get({.certificate_authority = std::move(*authority), .system_too = true});
    if (!made) return made.error();
    contexts.proxy = *made;
  }
  return contexts;
}

std::optional<std::string> find_identity_fault(const ApiAccess& access) {
  if (!access.tls) return std::nullopt;
  TlsMaterial material;
  const auto read = [&](const Secret& secret, std::string& text) -> std::optional<std::string> {
    auto found = read_secret(secret);
    if (!found) return found.error().text;
    text = std::move(*found);
    return std::nullopt;
  };
  auto fault = read(access.certificate_authority, material.certificate_authority);
  if (!fault) fault = read(access.client_certificate, material.client_certificate);
  if (!fault) fault = read(access.client_key, material.client_key);
  if (fault) return fault;
  const auto context = make_tls_context(material);
  if (context) return std::nullopt;
  constexpr std::size_t kMaxFault = 2000;
  return config::printable(access.origin + ": " + context.error().what, kMaxFault);
}

ApiClient::ApiClient(asio::any_io_executor executor, ApiAccess access, ApiOptions options)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(access), std::move(options))) {}
ApiClient::~ApiClient() = default;

const ApiAccess& ApiClient::access() const { return impl_->access; }

ServerAddresses& ApiClient::addresses() { return impl_->addresses; }
const ServerAddresses& ApiClient::addresses() const { return impl_->addresses; }

std::unique_ptr<ApiConnection> ApiClient::connection() {
  return std::make_unique<ApiConnection>(*impl_);
}

asio::awaitable<Response> ApiClient::post(std::string path, std::string json) {
  ApiConnection connection(*impl_);
  co_return co_await connection.post(std::move(path), std::move(json));
}

asio::awaitable<std::vector<Address>> ApiClient::resolve() {
  std::vector<Address> addresses;
  const auto endpoints = co_await impl_->resolve();
  if (!endpoints) co_return addresses;
  for (const auto& endpoint : *endpoints) addresses.push_back(endpoint.address());
  co_return addresses;
}

}  // namespace k8s
