// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/networks.hpp"

#include <algorithm>
#include <array>

namespace ipvs {
namespace {

using Bits = std::array<std::uint8_t, 16>;

Bits bits_of(const Address& address) {
  Bits bits{};
  std::copy(address.bytes().begin(), address.bytes().end(), bits.begin());
  return bits;
}

std::uint16_t width(const Address& address) { return address.is_v4() ? 32 : 128; }

// The mask of a byte at `index` for a network of that prefix length.
std::uint8_t mask_at(std::size_t index, std::uint16_t prefix_length) {
  const auto covered = static_cast<int>(prefix_length) - static_cast<int>(index * 8);
  if (covered >= 8) return 0xff;
  return covered <= 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(0xff << (8 - covered));
}

bool has_no_host_bits(const Address& address, std::uint16_t prefix_length) {
  const Bits bits = bits_of(address);
  for (std::size_t i = 0; i < width(address) / 8u; ++i) {
    if ((bits[i] & ~mask_at(i, prefix_length)) != 0) return false;
  }
  return true;
}

}  // namespace

Address unspecified(Family family) {
  if (family == Family::kIpv6) return boost::asio::ip::address_v6();
  return boost::asio::ip::address_v4();
}

Address last_address(const Address& first, std::uint16_t prefix_length) {
  Bits bits = bits_of(first);
  for (std::size_t i = 0; i < width(first) / 8u; ++i) {
    bits[i] |= static_cast<std::uint8_t>(~mask_at(i, prefix_length));
  }
  if (first.is_v6()) return boost::asio::ip::address_v6(bits);
  return boost::asio::ip::address_v4({bits[0], bits[1], bits[2], bits[3]});
}

std::optional<std::uint16_t> prefix_length(const Address& first, const Address& last) {
  if (first.is_v4() != last.is_v4()) return std::nullopt;
  for (std::uint16_t length = 0; length <= width(first); ++length) {
    if (has_no_host_bits(first, length) && last_address(first, length) == last) return length;
  }
  return std::nullopt;
}

bool is_in(const Address& address, const Address& network, std::uint16_t prefix_length) {
  if (address.is_v4() != network.is_v4()) return false;
  const Bits a = bits_of(address);
  const Bits b = bits_of(network);
  for (std::size_t i = 0; i < width(network) / 8u; ++i) {
    if (((a[i] ^ b[i]) & mask_at(i, prefix_length)) != 0) return false;
  }
  return true;
}

bool is_in_any(const Address& address, std::span<const Network> networks) {
  return std::any_of(networks.begin(), networks.end(), [&](const Network& each) {
    return is_in(address, each.address, each.prefix_length);
  });
}

}  // namespace ipvs
