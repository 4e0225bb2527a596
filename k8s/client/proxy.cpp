// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/proxy.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <cstdlib>
#include <utility>

#include "k8s/client/base64.hpp"
#include "k8s/client/url.hpp"

namespace k8s {
namespace {

namespace ip = boost::asio::ip;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

std::optional<ip::address> address_of(const std::string& text) {
  boost::system::error_code error;
  const auto address = ip::make_address(text, error);
  if (error) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

bool is_in_network(const std::string& network, const ip::address& address) {
  boost::system::error_code error;
  if (address.is_v4()) {
    const auto v4 = ip::make_network_v4(network, error);
    return !error && ip::network_v4(address.to_v4(), 32).is_subnet_of(v4.canonical());
  }
  const auto v6 = ip::make_network_v6(network, error);
  return !error && ip::network_v6(address.to_v6(), 128).is_subnet_of(v6.canonical());
}

// "example.com" matches itself and its subdomains, ".example.com" and "*.example.com" only those.
bool is_in_domain(std::string domain, const std::string& host) {
  if (domain.starts_with("*.")) domain.erase(0, 1);
  if (domain.starts_with('.')) return host.ends_with(domain);
  return host == domain || host.ends_with("." + domain);
}

bool excludes(const std::string& entry, const std::string& host, std::uint16_t port) {
  if (entry.empty()) return false;
  if (entry == "*") return true;
  const auto address = address_of(host);
  if (entry.find('/') != std::string::npos) return address && is_in_network(entry, *address);
  // An IPv6 address without brackets has no port.
  if (const auto wanted = address_of(entry)) return address == wanted;
  const auto parsed = parse_authority(entry.starts_with("*.") ? entry.substr(1) : entry);
  if (!parsed.fault.empty()) return false;
  if (parsed.authority.port != 0 && parsed.authority.port != port) return false;
  if (const auto wanted = address_of(parsed.authority.host)) return address == wanted;
  return !address &&
         is_in_domain((entry.starts_with("*.") ? "*" : "") + parsed.authority.host, host);
}

std::string variable(const char* upper, const char* lower_case) {
  for (const char* name : {upper, lower_case}) {
    const char* value = std::getenv(name);
    if (value && *value) return value;
  }
  return {};
}

}  // namespace

std::string ProxyUrl::url() const {
  return (tls ? "https://" : "http://") + host_and_port(host, port);
}

std::string ProxyUrl::authorization() const {
  return user_info.empty() ? "" : "Basic " + base64_encode(user_info);
}

ProxyOrFault parse_proxy_url(std::string_view text, bool scheme_needed) {
  const auto refuse = [](std::string why) {
    return ProxyOrFault{.proxy = {}, .fault = std::move(why)};
  };
  const std::string scheme = take_scheme(text);
  if (scheme.starts_with("socks")) {
    return refuse("is a SOCKS proxy, which is not supported: use one with http:// or https://");
  }
  if (scheme.empty() ? scheme_needed : scheme != "http" && scheme != "https") {
    return refuse("must start with http:// or https://");
  }
  ProxyUrl proxy;
  proxy.tls = scheme == "https";
  // A path means nothing to a proxy, and client-go ignores it.
  AuthorityOrFault parsed = parse_authority(text.substr(0, text.find_first_of("/?#")));
  if (!parsed.fault.empty()) return refuse(std::move(parsed.fault));
  proxy.host = std::move(parsed.authority.host);
  proxy.port = parsed.authority.port != 0 ? parsed.authority.port : proxy.tls ? 443 : 80;
  if (parsed.authority.user_info) {
    proxy.user_info = percent_decode(*parsed.authority.user_info);
    if (proxy.user_info.find(':') == std::string::npos) proxy.user_info += ':';
  }
  return {.proxy = std::move(proxy), .fault = {}};
}

ProxyEnvironment ProxyEnvironment::from_environment() {
  return {.https_proxy = variable("HTTPS_PROXY", "https_proxy"),
          .http_proxy = variable("HTTP_PROXY", "http_proxy"),
          .no_proxy = variable("NO_PROXY", "no_proxy")};
}

bool is_excluded(std::string_view no_proxy, const std::string& host_in, std::uint16_t port) {
  std::string host = lower(host_in);
  if (host.ends_with('.')) host.pop_back();
  const auto address = address_of(host);
  if (host == "localhost" || (address && address->is_loopback())) return true;
  while (!no_proxy.empty()) {
    const auto end = std::min(no_proxy.find(','), no_proxy.size());
    if (excludes(lower(trimmed(no_proxy.substr(0, end))), host, port)) return true;
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
  }
  return false;
}

}  // namespace k8s
