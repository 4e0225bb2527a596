// SPDX-License-Identifier: Apache-2.0
//
// The URL of an API server, and percent-encoding for its queries. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace k8s {

// RFC 3986 percent-encoding of one query value: everything but unreserved characters.
std::string percent_encode(std::string_view text);

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
ServerUrlOrFault parse_server_url(std::string_view text);

}  // namespace k8s
