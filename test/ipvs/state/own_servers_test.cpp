// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/own_servers.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Protocol;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("virtual servers are ours by the elements and addresses that name them, and no others") {
  const Element elements[] = {
      {.kind = ElementKind::kServiceIp,
       .address = address("203.0.113.1"),
       .protocol = Protocol::kTcp,
       .port = 443},
      {.kind = ElementKind::kNodePort, .protocol = Protocol::kUdp, .port = 30053},
      {.kind = ElementKind::kNodeAddress, .address = address("192.0.2.1")}};
  const ipvs::Address addresses[] = {address("10.96.0.10")};
  const ipvs::OwnServers own(elements, addresses);
  CHECK(own.contains({address("10.96.0.10"), 53, Protocol::kUdp}));
  CHECK(own.contains({address("203.0.113.1"), 443, Protocol::kTcp}));
  CHECK(own.contains({address("192.0.2.1"), 30053, Protocol::kUdp}));
  CHECK_FALSE(own.contains({address("203.0.113.1"), 444, Protocol::kTcp}));
  CHECK_FALSE(own.contains({address("192.0.2.1"), 30053, Protocol::kTcp}));
  CHECK_FALSE(own.contains({address("192.0.2.2"), 30053, Protocol::kUdp}));
  CHECK_FALSE(own.contains({address("0.0.0.0"), 0, Protocol::kTcp, 5}));
}
