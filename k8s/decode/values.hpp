// SPDX-License-Identifier: Apache-2.0
//
// Parses the text forms of Kubernetes' scalar values.
//
// Errors: the reason as text, to be appended to the field's name:
// "\"10.0.0\" is not an IP address".
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "k8s/types.hpp"

namespace k8s {

// A value, or the reason why there is none.
template <typename T>
class Parsed {
 public:
  Parsed(T value) : value_(std::move(value)) {}
  static Parsed failed(std::string reason) { return Parsed(std::move(reason), 0); }

  explicit operator bool() const { return value_.has_value(); }
  const T& operator*() const { return *value_; }
  const T* operator->() const { return &*value_; }
  const std::string& reason() const { return reason_; }

 private:
  Parsed(std::string reason, int) : reason_(std::move(reason)) {}
  std::optional<T> value_;
  std::string reason_;
};

// The text in double quotes, for a message. Control characters, quotes and bytes that are not UTF-8
// are escaped; at most 80 bytes of the text are shown.
std::string quoted(std::string_view text);

// Whether the text is UTF-8 (config/utf8.hpp). Nearly all text is ASCII, which is checked inline,
// eight bytes at a time.
bool is_utf8_beyond_ascii(std::string_view text);
inline bool is_utf8(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080u;
  std::uint64_t seen = 0;
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= sizeof seen; left -= sizeof seen, at += sizeof seen) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, at, sizeof eight);
    seen |= eight;
  }
  for (; left > 0; --left, ++at) seen |= static_cast<unsigned char>(*at);
  return (seen & kHighBits) == 0 || is_utf8_beyond_ascii(text);
}

// An IPv4 or IPv6 address, as kube-proxy reads it (config/address.hpp): leading zeros are decimal,
// and an IPv4-mapped IPv6 address is IPv4. Scope ids are refused.
Parsed<Address> parse_address(std::string_view text);

// The same, but refuses the addresses that the API refuses for endpoints and external IPs
// (ValidateNonSpecialIP): unspecified, loopback, link-local (unicast and multicast).
Parsed<Address> parse_routable_address(std::string_view text);

// "10.0.0.0/8", with an address as above. White space around it is allowed, and host bits are
// cleared.
Parsed<Cidr> parse_cidr(std::string_view text);

// "TCP", "UDP", "SCTP".
Parsed<Protocol> parse_protocol(std::string_view text);

// lowest..65535.
Parsed<std::uint16_t> parse_port(std::int64_t value, std::int64_t lowest = 1);

// RFC 3339: "2026-11-22T10:00:00.5+01:00". The fraction is optional and dropped.
Parsed<UnixSeconds> parse_time(std::string_view text);

// RFC 1123 subdomain, the rule for object names: labels joined by dots, at most 253 bytes. A label
// is [a-z0-9]([-a-z0-9]*[a-z0-9])?; is_dns_label() requires at most 63 bytes, the API sets no limit
// for the labels of a subdomain.
bool is_dns_subdomain(std::string_view text);
bool is_dns_label(std::string_view text);
// A subdomain that is a name in DNS: no label has more than 63 bytes.
bool is_dns_name(std::string_view text);
// RFC 6335 service name, the rule for container port names: at most 15 bytes of [a-z0-9-], at least
// one letter, no "--", and no "-" at either end.
bool is_service_port_name(std::string_view text);

}  // namespace k8s
