// SPDX-License-Identifier: Apache-2.0
//
// Reads IP addresses as Kubernetes does (ParseIPSloppy), for flags, files and objects alike. Old
// clusters have stored addresses with leading zeros, which mean decimal: 10.96.011.012 is
// 10.96.11.12. An IPv4-mapped IPv6 address (::ffff:192.0.2.26) is the IPv4 address.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

namespace config {

// Nothing if it is no address, or has a scope id ("%eth0").
std::optional<boost::asio::ip::address> read_address(std::string_view text);

struct AddressAndLength {
  boost::asio::ip::address address;  // with its host bits
  std::uint8_t prefix_length = 0;
};

// "10.0.0.0/8"; the length may have leading zeros, too. A network of IPv4-mapped addresses
// (::ffff:10.0.0.0/104) is the IPv4 network. Nothing if it is no network.
std::optional<AddressAndLength> read_network(std::string_view text);

}  // namespace config
