// SPDX-License-Identifier: Apache-2.0
//
// The URL of an API server, and percent-encoding for its queries. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace k8s {

// RFC 3986 percent-encoding of one query value: everything but unreserved characters.
std::string percent_encode(std::string_view text);
// "%41" is "A"; what is not such a triple stays.
std::string percent_decode(std::string_view text);

// "name:443", "192.0.2.1:443", "[fd00::1]:443".
std::string host_and_port(const std::string& host, std::uint16_t port);

// [user:password@]host[:port]
struct Authority {
  std::optional<std::string> user_info;  // as written, percent-encoded
  std::string host;                      // a name, or an IP address without brackets
  std::uint16_t port = 0;                // 0: none given
};
struct AuthorityOrFault {
  Authority authority;
  std::string fault;  // empty: `authority` is valid
};
AuthorityOrFault parse_authority(std::string_view text);

// The scheme of a URL in lower case, which is cut off `text` together with "://"; "" if there is
// none.
std::string take_scheme(std::string_view& text);

// scheme://host[:port][/path] of an API server.
struct ServerUrl {
  bool tls = true;
  std::string host;  // a name, or an IP address without brackets
  std::uint16_t port = 443;
  std::string path;  // "" or "/a/b": no slash at the end
  bool operator==(const ServerUrl&) const = default;
};

struct ServerUrlOrFault {
  ServerUrl url;
  std::string fault;  // empty: `url` is valid
};
// As client-go's DefaultServerURL: a host or host:port alone has the scheme https if
// `tls_by_default`, else http, and no path.
ServerUrlOrFault parse_server_url(std::string_view text, bool tls_by_default = false);

}  // namespace k8s
