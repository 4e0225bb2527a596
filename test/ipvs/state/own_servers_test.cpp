// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/own_servers.hpp"

#include <catch2/catch_test_macros.hpp>
#include <optional>

namespace {

using ipvs::Element;
using ipvs::ElementKind;
using ipvs::OwnServers;
using ipvs::Protocol;
using ipvs::ServerKey;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

// A Service at 192.0.2.30:443, bound on kube-ipvs0, and the node port 30080 at 203.0.113.3.
const ServerKey kVip{address("192.0.2.30"), 443};
const ServerKey kNodePort{address("203.0.113.3"), 30080};
// Of another program, on the same addresses and at the same port.
const ServerKey kOtherPort{address("192.0.2.30"), 80};
const ServerKey kOtherProtocol{address("192.0.2.30"), 443, Protocol::kUdp};
const ServerKey kOtherAddress{address("203.0.113.1"), 30080};
const ServerKey kMark{address("0.0.0.0"), 0, Protocol::kTcp, 5};

const Element kElements[] = {
    {.kind = ElementKind::kServiceIp,
     .address = kVip.address,
     .protocol = Protocol::kTcp,
     .port = 443},
    {.kind = ElementKind::kVirtualIp, .address = kVip.address},
    {.kind = ElementKind::kNodePort, .protocol = Protocol::kTcp, .port = 30080},
    {.kind = ElementKind::kNodeAddress, .address = kOtherAddress.address},
    {.kind = ElementKind::kNodeAddress, .address = kNodePort.address}};
const ServerKey kRecord[] = {kNodePort, kVip};
const ipvs::Address kAddresses[] = {kVip.address};

}  // namespace

TEST_CASE("only what the record names is ours, and nothing beside it (C4)") {
  const OwnServers own(kRecord, kElements, kAddresses);
  CHECK(own.contains(kVip));
  CHECK(own.contains(kNodePort));
  CHECK_FALSE(own.contains(kOtherPort));
  CHECK_FALSE(own.contains(kOtherProtocol));
  CHECK_FALSE(own.contains(kOtherAddress));
  CHECK_FALSE(own.contains(kMark));
}

TEST_CASE("the record alone says what is ours when the ruleset was flushed (C3)") {
  const OwnServers own(kRecord, {}, kAddresses);
  CHECK(own.contains(kVip));
  CHECK(own.contains(kNodePort));
  CHECK_FALSE(own.contains(kOtherPort));
  CHECK_FALSE(own.contains(kOtherAddress));
}

TEST_CASE("the sets of the table say what is ours when the record is lost (C3)") {
  const OwnServers own(std::nullopt, kElements, kAddresses);
  CHECK(own.contains(kVip));
  CHECK(own.contains(kNodePort));
  CHECK_FALSE(own.contains(kOtherPort));
  CHECK_FALSE(own.contains(kOtherProtocol));
  CHECK_FALSE(own.contains({kNodePort.address, 30080, Protocol::kUdp}));
  CHECK_FALSE(own.contains(kMark));
}

TEST_CASE("what is at an address of kube-ipvs0 is ours when record and table are lost (C3)") {
  const OwnServers own(std::nullopt, {}, kAddresses);
  CHECK(own.contains(kVip));
  CHECK_FALSE(own.contains(kNodePort));
  CHECK_FALSE(own.contains(kMark));
}

TEST_CASE("an empty record is a record: nothing is ours (C4)") {
  const OwnServers own(std::span<const ServerKey>{}, {}, kAddresses);
  CHECK_FALSE(own.contains(kVip));
}

TEST_CASE("in an excluded network only what the record names is ours, lost or not (17.6)") {
  const ipvs::Network excluded[] = {{address("192.0.2.0"), 24}};
  const ServerKey recorded[] = {kVip};
  CHECK(OwnServers(recorded, kElements, kAddresses, excluded).contains(kVip));
  CHECK_FALSE(
      OwnServers(std::span<const ServerKey>{}, kElements, kAddresses, excluded).contains(kVip));
  CHECK_FALSE(OwnServers(std::nullopt, kElements, kAddresses, excluded).contains(kVip));
  CHECK_FALSE(OwnServers(std::nullopt, {}, kAddresses, excluded).contains(kVip));
  CHECK(OwnServers(std::nullopt, kElements, kAddresses, excluded).contains(kNodePort));
}
