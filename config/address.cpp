// SPDX-License-Identifier: Apache-2.0
//
// Source: k8s.io/utils/net (ParseIPSloppy, ParseCIDRSloppy), which keeps the rules of Go before
// 1.17.
#include "config/address.hpp"

#include <array>
#include <cstddef>

namespace config {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t kMaxText = 64;  // longer than any address

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// An address as written, without the leading zeros of its groups, for inet_pton.
std::array<char, kMaxText> without_leading_zeros(std::string_view text) {
  std::array<char, kMaxText> out{};
  std::size_t size = 0;
  bool at_start = true;  // of a group
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool more = i + 1 < text.size() && is_hex_digit(text[i + 1]);
    if (at_start && text[i] == '0' && more) continue;
    out[size++] = text[i];
    at_start = !is_hex_digit(text[i]);
  }
  return out;
}

std::optional<ip::address> read_whole(std::string_view text) {
  if (text.empty() || text.size() >= kMaxText) return std::nullopt;
  // Asio would look for a scope among this host's interfaces; text after a NUL would be dropped.
  if (text.find('%') != text.npos || text.find('\0') != text.npos) return std::nullopt;
  const std::array<char, kMaxText> plain = without_leading_zeros(text);
  boost::system::error_code error;
  if (text.find(':') == text.npos) {
    const auto v4 = ip::make_address_v4(plain.data(), error);
    return error ? std::nullopt : std::optional<ip::address>(v4);
  }
  const auto v6 = ip::make_address_v6(plain.data(), error);
  return error ? std::nullopt : std::optional<ip::address>(v6);
}

bool is_mapped(const ip::address& address) {
  return address.is_v6() && address.to_v6().is_v4_mapped();
}

ip::address unmapped(const ip::address& address) {
  if (!is_mapped(address)) return address;
  return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

// Decimal, at most `most`.
std::optional<unsigned> read_length(std::string_view digits, unsigned most) {
  if (digits.empty()) return std::nullopt;
  unsigned value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(digit - '0');
    if (value > most) return std::nullopt;
  }
  return value;
}

}  // namespace

std::optional<ip::address> read_address(std::string_view text) {
  const auto address = read_whole(text);
  return address ? std::optional(unmapped(*address)) : std::nullopt;
}

std::optional<AddressAndLength> read_network(std::string_view text) {
  constexpr unsigned kMappedBits = 96;  // of ::ffff:0:0/96
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto address = read_whole(text.substr(0, slash));
  if (!address) return std::nullopt;
  auto length = read_length(text.substr(slash + 1), address->is_v4() ? 32 : 128);
  if (!length) return std::nullopt;
  if (is_mapped(*address)) {
    if (*length < kMappedBits) return std::nullopt;
    *length -= kMappedBits;
  }
  return AddressAndLength{unmapped(*address), static_cast<std::uint8_t>(*length)};
}

}  // namespace config
