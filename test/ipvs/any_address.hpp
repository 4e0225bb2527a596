// SPDX-License-Identifier: Apache-2.0
//
// Addresses of both families for property tests.
#pragma once

#include <rapidcheck.h>

#include <boost/asio/ip/address.hpp>
#include <cstdint>

namespace ipvs::test {

inline boost::asio::ip::address any_address() {
  if (*rc::gen::arbitrary<bool>())
    return boost::asio::ip::address_v4(*rc::gen::arbitrary<std::uint32_t>());
  boost::asio::ip::address_v6::bytes_type bytes;
  for (auto& byte : bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  return boost::asio::ip::address_v6(bytes);
}

}  // namespace ipvs::test
