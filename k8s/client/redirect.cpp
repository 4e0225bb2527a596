// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/redirect.hpp"

#include <algorithm>

#include "k8s/client/url.hpp"

namespace k8s {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::optional<std::string> redirect_target(const ApiAccess& access, std::string_view location) {
  location = location.substr(0, location.find('#'));
  const bool harmless =
      std::all_of(location.begin(), location.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!harmless) return std::nullopt;
  const std::string scheme = take_scheme(location);
  if (scheme.empty()) {
    // A path of the server; "//host/path" has the authority of another one.
    const bool is_path = location.starts_with('/') && !location.starts_with("//");
    return is_path ? std::optional(std::string(location)) : std::nullopt;
  }
  if (scheme != (access.tls ? "https" : "http")) return std::nullopt;
  const auto end = std::min(location.find_first_of("/?"), location.size());
  const auto parsed = parse_authority(location.substr(0, end));
  if (!parsed.fault.empty() || parsed.authority.user_info) return std::nullopt;
  const std::uint16_t port = parsed.authority.port != 0 ? parsed.authority.port
                             : access.tls               ? 443
                                                        : 80;
  if (port != access.port || !is_same_name(parsed.authority.host, access.host)) {
    return std::nullopt;
  }
  std::string target(location.substr(end));
  if (!target.starts_with('/')) target.insert(0, "/");
  return target;
}

}  // namespace k8s
