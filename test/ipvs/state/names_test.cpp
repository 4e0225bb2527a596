// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "ipvs/state/kernel.hpp"
#include "ipvs/state/own_servers.hpp"

namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::Protocol;
using ipvs::ServerKey;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("Virtual servers and endpoints are written as ipvsadm does") {
  CHECK(ServerKey{address("10.96.0.10"), 80, Protocol::kTcp}.text() == "TCP 10.96.0.10:80");
  CHECK(ServerKey{address("fd00::1"), 53, Protocol::kUdp}.text() == "UDP [fd00::1]:53");
  CHECK(ServerKey{address("::"), 0, Protocol::kTcp, 0x1a}.text() == "FWM 0x1a IPv6");
  CHECK(ipvs::Endpoint{address("10.244.1.7"), 8080}.text() == "10.244.1.7:8080");
  CHECK(ipvs::Endpoint{address("fd00::7"), 8080}.text() == "[fd00::7]:8080");
}

TEST_CASE("Elements are written as nft does") {
  CHECK(Element{.kind = ElementKind::kServiceIp,
                .address = address("10.96.0.10"),
                .protocol = Protocol::kTcp,
                .port = 80}
            .text() == "cluster-ips-4 10.96.0.10 . tcp . 80");
  CHECK(Element{.kind = ElementKind::kVirtualIp, .address = address("fd00::1")}.text() ==
        "virtual-ips-6 fd00::1");
}

TEST_CASE("Elements are ordered by what they are, not by their class") {
  Element a{.kind = ElementKind::kServiceIp, .address = address("10.96.0.10"), .port = 80};
  Element b = a;
  b.traffic_class = ipvs::TrafficClass::kExternal;
  const ipvs::ElementKeyLess less;
  CHECK_FALSE(less(a, b));
  CHECK_FALSE(less(b, a));
  b.port = 81;
  CHECK(less(a, b));
}

TEST_CASE("Keys that differ hash differently, equal ones alike") {
  const ServerKey key{address("10.96.0.10"), 80, Protocol::kTcp};
  ServerKey other = key;
  CHECK(hash_value(key) == hash_value(other));
  other.protocol = Protocol::kUdp;
  CHECK(hash_value(key) != hash_value(other));
}

TEST_CASE("Errors say what was being done and why it failed") {
  CHECK(ipvs::KernelError{ENOENT, "reading"}.text() == "reading: No such file or directory");
  CHECK(ipvs::KernelError{ipvs::kUnknownOutcome, "reading"}.text() ==
        "reading: the kernel's reply was lost");
}

TEST_CASE("Virtual servers are ours by the elements and addresses that name them, and no others") {
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
