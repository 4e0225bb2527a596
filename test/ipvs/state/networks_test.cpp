// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/networks.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

// The address without that bit; 1 is the highest.
Address without_bit(const Address& from, std::uint16_t bit) {
  boost::asio::ip::address_v6::bytes_type bytes{};
  std::copy(from.bytes().begin(), from.bytes().end(), bytes.begin());
  bytes[(bit - 1u) / 8] &= static_cast<unsigned char>(~(0x80 >> (bit - 1u) % 8));
  if (from.is_v6()) return boost::asio::ip::address_v6(bytes);
  return boost::asio::ip::address_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

std::optional<std::uint16_t> length_of(const char* first, const char* last) {
  return prefix_length(address(first), address(last));
}

}  // namespace

TEST_CASE("every network is what its range of addresses says, whatever its number") {
  // Each prefix of an address with all bits set, the last network of that length.
  for (const Address& ones :
       {address("255.255.255.255"), address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}) {
    const std::uint16_t width = ones.is_v4() ? 32 : 128;
    Address first = ones;
    for (std::uint16_t length = width; length > 0; --length) {
      CAPTURE(first.to_string(), length);
      CHECK(prefix_length(first, ones) == length);
      first = without_bit(first, length);
    }
  }
  CHECK(length_of("203.0.113.0", "203.0.113.255") == 24);
  CHECK(length_of("203.0.112.0", "203.0.113.255") == 23);
  CHECK(length_of("192.0.2.41", "192.0.2.41") == 32);
  CHECK(length_of("192.0.2.40", "192.0.2.41") == 31);
  CHECK(length_of("255.255.255.255", "255.255.255.255") == 32);
  CHECK(length_of("128.0.0.0", "255.255.255.255") == 1);
  CHECK(length_of("0.0.0.0", "255.255.255.255") == 0);
  CHECK(length_of("fd00:192::41", "fd00:192::41") == 128);
  CHECK(length_of("fd00:203::", "fd00:203::ffff:ffff:ffff:ffff") == 64);
  CHECK(length_of("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") == 0);
}

TEST_CASE("a range that is no network has no prefix length") {
  CHECK_FALSE(length_of("10.0.0.1", "10.0.0.3"));
  CHECK_FALSE(length_of("10.0.0.1", "10.0.0.2"));
  CHECK_FALSE(length_of("10.0.0.9", "10.0.0.1"));
  CHECK_FALSE(length_of("10.0.0.0", "::1"));
  CHECK_FALSE(length_of("0.0.0.1", "255.255.255.255"));
}
