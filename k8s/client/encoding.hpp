// SPDX-License-Identifier: Apache-2.0
//
// Small encodings that the way to the API server needs: URLs, base64, timestamps. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "k8s/types.hpp"

namespace k8s {

// RFC 3986 percent-encoding of one query value: everything but unreserved characters.
std::string percent_encode(std::string_view text);

// Standard alphabet with padding; line breaks between characters are skipped, as Go does.
std::optional<std::string> base64_decode(std::string_view text);

// RFC 3339 ("2026-11-22T10:00:00Z", fractions and offsets allowed) to Unix seconds, rounded down.
std::optional<UnixSeconds> parse_timestamp(std::string_view text);

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
  std::string fault;  // empty: `url` is good
};
ServerUrlOrFault parse_server_url(std::string_view text);

}  // namespace k8s
