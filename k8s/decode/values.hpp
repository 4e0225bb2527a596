// SPDX-License-Identifier: Apache-2.0
//
// Kubernetes' scalar notations, parsed strictly (private to k8s/).
//
// Errors: every parser returns the reason as text, ready to follow the field's name:
// "\"10.0.0.010\" is not an IP address (leading zeros are ambiguous)".
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "k8s/types.hpp"

namespace k8s {

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

// The text in double quotes for a message: control characters, quotes and what is not UTF-8
// escaped, cut at 80 bytes.
std::string quoted(std::string_view text);

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8_beyond_ascii(std::string_view text);
// ASCII, eight bytes at a time, is what nearly all text is.
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

// An IPv4 or IPv6 address. Refused, unlike in Kubernetes' historical ParseIPSloppy: leading zeros
// in IPv4, which readers disagree about; IPv4-mapped IPv6 (::ffff:a.b.c.d), which would be two
// names for one address; and scope ids.
Parsed<Address> parse_address(std::string_view text);

// The same, without the addresses that ValidateNonSpecialIP of the API refuses for endpoints and
// external IPs: unspecified, loopback, link-local (unicast and multicast).
Parsed<Address> parse_routable_address(std::string_view text);

// "10.0.0.0/8"; white space around it is allowed, host bits are cleared.
Parsed<Cidr> parse_cidr(std::string_view text);

// "TCP", "UDP", "SCTP".
Parsed<Protocol> parse_protocol(std::string_view text);

// lowest..65535.
Parsed<std::uint16_t> parse_port(std::int64_t value, std::int64_t lowest = 1);

// RFC 3339 with an optional fraction (dropped) and any offset: "2026-11-22T10:00:00.5+01:00".
Parsed<UnixSeconds> parse_time(std::string_view text);

// RFC 1123 subdomain, the rule for object names: [a-z0-9]([-a-z0-9]*[a-z0-9])? joined by dots, at
// most 253 bytes; a label is one part of it of at most 63.
bool is_dns_subdomain(std::string_view text);
bool is_dns_label(std::string_view text);
// RFC 6335 service name, the rule for container port names: at most 15 bytes of [a-z0-9-], with a
// letter, no "--" and no "-" at an end.
bool is_service_port_name(std::string_view text);

}  // namespace k8s
