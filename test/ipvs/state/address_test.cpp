// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/address.hpp"

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <sstream>

#include "ipvs/state/model.hpp"
#include "test/ipvs/any_address.hpp"

namespace {

using boost::asio::ip::make_address;
using ipvs::Address;
using BoostAddress = boost::asio::ip::address;

// The same one, another, or one that differs in a single byte.
BoostAddress any_neighbour(const BoostAddress& address) {
  const auto with_a_new_byte = [](auto bytes) {
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<std::uint8_t>();
    return bytes;
  };
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return address;
    case 1:
      return ipvs::test::any_address();
  }
  using namespace boost::asio::ip;
  if (address.is_v6()) return address_v6(with_a_new_byte(address.to_v6().to_bytes()));
  return address_v4(with_a_new_byte(address.to_v4().to_bytes()));
}

}  // namespace

TEST_CASE("an address equals Boost's in every answer and converts back to it") {
  REQUIRE(rc::check("address", [] {
    const BoostAddress one = ipvs::test::any_address();
    const BoostAddress other = any_neighbour(one);
    const Address a = one;
    const Address b = other;
    RC_ASSERT(BoostAddress(a) == one);
    RC_ASSERT(a.to_string() == one.to_string());
    RC_ASSERT(a.is_v4() == one.is_v4());
    RC_ASSERT(a.is_v6() == one.is_v6());
    RC_ASSERT((a == b) == (one == other));
    RC_ASSERT((a < b) == (one < other));
    RC_ASSERT((a > b) == (one > other));
    if (a == b) RC_ASSERT(hash_value(a) == hash_value(b));
  }));
}

TEST_CASE("an address has the bytes of its family in network order") {
  const Address four = make_address("10.96.0.1");
  const Address six = make_address("fd00:96::1");
  CHECK(std::vector(four.bytes().begin(), four.bytes().end()) ==
        std::vector<std::uint8_t>{10, 96, 0, 1});
  CHECK(std::vector(six.bytes().begin(), six.bytes().end()) ==
        std::vector<std::uint8_t>{0xfd, 0, 0, 0x96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  CHECK(Address() == Address(make_address("0.0.0.0")));
  CHECK(Address() != Address(make_address("::")));
}

TEST_CASE("an address knows its scope and kind") {
  const auto is = [](const char* text) {
    const Address address = make_address(text);
    std::string what;
    if (address.is_unspecified()) what += "unspecified ";
    if (address.is_loopback()) what += "loopback ";
    if (address.is_link_local()) what += "link-local ";
    if (address.is_multicast()) what += "multicast ";
    return what;
  };
  CHECK(is("0.0.0.0") == "unspecified ");
  CHECK(is("::") == "unspecified ");
  CHECK(is("127.0.0.53") == "loopback ");
  CHECK(is("::1") == "loopback ");
  CHECK(is("169.254.1.2") == "link-local ");
  CHECK(is("fe80::1") == "link-local ");
  CHECK(is("224.0.0.1") == "multicast ");
  CHECK(is("ff02::1") == "multicast ");
  CHECK(is("10.96.0.1").empty());
  CHECK(is("fd00::1").empty());
}

TEST_CASE("the scope of an address is dropped") {
  CHECK(Address(make_address("fe80::1%7")) == Address(make_address("fe80::1")));
}

TEST_CASE("neighbouring addresses with neighbouring ports have different hashes") {
  std::set<std::size_t> addresses;
  std::set<std::size_t> keys;
  for (std::uint32_t n = 0; n < 256; ++n) {
    const Address address = boost::asio::ip::address_v4(0x0AF40000 + n);
    addresses.insert(hash_value(address));
    for (std::uint16_t port = 8000; port < 8016; ++port) {
      keys.insert(hash_value(ipvs::ServerKey{address, port, ipvs::Protocol::kTcp}));
    }
  }
  CHECK(addresses.size() == 256);
  CHECK(keys.size() == 256 * 16);
  // The second bytes differ by 117, the ports by 117 * 256.
  CHECK(hash_value(ipvs::ServerKey{make_address("10.118.0.1"), 80, ipvs::Protocol::kTcp}) !=
        hash_value(ipvs::ServerKey{make_address("10.1.0.1"), 30032, ipvs::Protocol::kTcp}));
}

TEST_CASE("an address is written as its text") {
  std::ostringstream text;
  text << Address(make_address("fd00:96::1"));
  CHECK(text.str() == "fd00:96::1");
}
