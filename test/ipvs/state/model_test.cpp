// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/model.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::Protocol;
using ipvs::ServerKey;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("virtual servers and endpoints are written as ipvsadm does") {
  CHECK(ServerKey{address("10.96.0.10"), 80, Protocol::kTcp}.text() == "TCP 10.96.0.10:80");
  CHECK(ServerKey{address("fd00::1"), 53, Protocol::kUdp}.text() == "UDP [fd00::1]:53");
  CHECK(ServerKey{address("::"), 0, Protocol::kTcp, 0x1a}.text() == "FWM 0x1a IPv6");
  CHECK(ipvs::Endpoint{address("10.244.1.7"), 8080}.text() == "10.244.1.7:8080");
  CHECK(ipvs::Endpoint{address("fd00::7"), 8080}.text() == "[fd00::7]:8080");
}

TEST_CASE("different keys have different hashes and equal keys the same") {
  const ServerKey key{address("10.96.0.10"), 80, Protocol::kTcp};
  ServerKey other = key;
  CHECK(hash_value(key) == hash_value(other));
  other.protocol = Protocol::kUdp;
  CHECK(hash_value(key) != hash_value(other));
}
