// SPDX-License-Identifier: Apache-2.0
//
// Which proxy leads to an API server, as client-go chooses it: the kubeconfig's proxy-url, or else
// HTTPS_PROXY (for https servers) or HTTP_PROXY of the environment, unless NO_PROXY names the
// server. k8s/client/adr-proxy.md. Pure, but for from_environment().
//
// Sources: k8s.io/client-go/tools/clientcmd, golang.org/x/net/http/httpproxy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace k8s {

// http[s]://[user:password@]host[:port]
struct ProxyUrl {
  bool tls = false;  // to the proxy itself
  std::string host;  // a name, or an IP address without brackets
  std::uint16_t port = 0;
  std::string user_info;  // "user:password", decoded; "" without

  std::string url() const;  // without user and password, for messages
  // The value of the header Proxy-Authorization; "" without a user.
  std::string authorization() const;
  bool operator==(const ProxyUrl&) const = default;
};

struct ProxyOrFault {
  std::optional<ProxyUrl> proxy;
  std::string fault;  // empty: no fault. It does not contain a password
};
// `scheme_needed`: proxy-url needs one; in the environment, "proxy:3128" is http://proxy:3128.
ProxyOrFault parse_proxy_url(std::string_view text, bool scheme_needed);

// The variables in upper case, or else those in lower case.
struct ProxyEnvironment {
  std::string https_proxy;
  std::string http_proxy;
  std::string no_proxy;
  static ProxyEnvironment from_environment();
};

// Whether NO_PROXY excludes the server: by "*", address, network, domain (with its subdomains), or
// one of these with a port. "localhost" and loopback addresses are always excluded.
bool is_excluded(std::string_view no_proxy, const std::string& host, std::uint16_t port);

}  // namespace k8s
