// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/route_codec.hpp"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <vector>

namespace {

using ipvs::Bytes;
using ipvs::MessageBatch;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

Bytes payload_of(MessageBatch& batch) { return batch.message_bytes(0).subspan(sizeof(nlmsghdr)); }

}  // namespace

TEST_CASE("a VIP address is decoded as it was encoded") {
  for (const char* text : {"10.96.0.1", "fd00:1::1"}) {
    MessageBatch batch;
    ipvs::encode_address(batch, true, address(text), 7);
    const auto reading = ipvs::decode_address(payload_of(batch));
    REQUIRE(reading.has_value());
    CHECK(reading->address == address(text));
    CHECK(reading->index == 7);
    CHECK(reading->prefix_length == (address(text).is_v4() ? 32 : 128));
    CHECK(reading->flags == (address(text).is_v4() ? 0U : IFA_F_NOPREFIXROUTE | IFA_F_NODAD));
  }
}

TEST_CASE("the local end of a point-to-point link is the node's address") {
  MessageBatch batch;
  batch.begin_message(RTM_NEWADDR);
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  batch.put_header(header);
  batch.put_address(IFA_ADDRESS, address("192.0.2.2"));
  batch.put_address(IFA_LOCAL, address("192.0.2.1"));
  CHECK(ipvs::decode_address(payload_of(batch))->address == address("192.0.2.1"));
}

TEST_CASE("a VIP route is decoded as it was encoded") {
  MessageBatch batch;
  ipvs::encode_route(batch, true, address("fd00:1::1"), 7, address("2001:db8::1"));
  const auto route = ipvs::decode_route(payload_of(batch));
  REQUIRE(route.has_value());
  CHECK(route->address == address("fd00:1::1"));
  CHECK(route->index == 7);
  CHECK(route->source == address("2001:db8::1"));
}

TEST_CASE("the source of an answer is read, unless packets would not be sent (D6)") {
  for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
    const ipvs::Address source = address(text);
    const auto reading = [&](unsigned char type, const ipvs::Address& preferred) {
      MessageBatch batch;
      batch.begin_message(RTM_NEWROUTE);
      rtmsg header{};
      header.rtm_family = source.is_v4() ? AF_INET : AF_INET6;
      header.rtm_type = type;
      batch.put_header(header);
      batch.put_address(RTA_PREFSRC, preferred);
      return ipvs::decode_chosen_source(payload_of(batch));
    };
    CHECK(reading(RTN_UNICAST, source) == source);
    CHECK_FALSE(reading(RTN_UNREACHABLE, source));
    CHECK_FALSE(reading(RTN_BLACKHOLE, source));
    CHECK_FALSE(reading(RTN_UNICAST, address(source.is_v4() ? "fd00::1" : "10.0.0.1")));
  }
  CHECK_FALSE(ipvs::decode_chosen_source({}));
}

TEST_CASE("every next hop of a default route is a gateway (B)") {
  MessageBatch batch;
  batch.begin_message(RTM_NEWROUTE);
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_table = RT_TABLE_MAIN;
  SECTION("by its address") {
    batch.put_header(header);
    batch.put_address(RTA_GATEWAY, address("192.0.2.1"));
    CHECK(ipvs::decode_default_gateways(payload_of(batch)) == std::vector{address("192.0.2.1")});
  }
  SECTION("of a route to a network: none") {
    header.rtm_dst_len = 24;
    batch.put_header(header);
    batch.put_address(RTA_GATEWAY, address("192.0.2.1"));
    CHECK(ipvs::decode_default_gateways(payload_of(batch)).empty());
  }
  // As `ip route` 6.1 dumps them: two next hops, the second by an IPv6 address (RTA_VIA).
  const unsigned char hops[] = {
      16,   0,    0, 0, 2, 0, 0, 0, 8,  0, RTA_GATEWAY, 0, 192,      0, 2, 1,  //
      32,   0,    0, 0, 3, 0, 0, 0, 22, 0, RTA_VIA,     0, AF_INET6, 0,        //
      0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0,  0, 0,           0, 0,        0, 0, 9, 0, 0};
  const auto decode = [&](std::size_t size) {
    std::vector<std::byte> message(sizeof(header));
    std::memcpy(message.data(), &header, sizeof(header));
    const std::uint16_t prefix[] = {static_cast<std::uint16_t>(4 + size), RTA_MULTIPATH};
    const auto add = [&](const void* bytes, std::size_t count) {
      const auto* first = static_cast<const std::byte*>(bytes);
      message.insert(message.end(), first, first + count);
    };
    add(prefix, sizeof(prefix));
    add(hops, size);
    return ipvs::decode_default_gateways(message);
  };
  SECTION("of several") {
    CHECK(decode(sizeof(hops)) == std::vector{address("192.0.2.1"), address("fe80::9")});
  }
  SECTION("cut anywhere: what was whole") {
    for (std::size_t size = 0; size < sizeof(hops); ++size) CHECK(decode(size).size() <= 2);
    CHECK(decode(16) == std::vector{address("192.0.2.1")});
  }
}

TEST_CASE("routes of others are ignored") {
  MessageBatch batch;
  batch.begin_message(RTM_NEWROUTE);
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  header.rtm_table = RT_TABLE_LOCAL;
  header.rtm_type = RTN_LOCAL;
  header.rtm_protocol = RTPROT_KERNEL;
  batch.put_header(header);
  batch.put_address(RTA_DST, address("10.96.0.1"));
  CHECK_FALSE(ipvs::decode_route(payload_of(batch)).has_value());
}

TEST_CASE("an address with a length that does not fit its family is ignored") {
  MessageBatch batch;
  batch.begin_message(RTM_NEWADDR);
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  batch.put_header(header);
  batch.put_address(IFA_LOCAL, address("fd00:1::1"));
  CHECK_FALSE(ipvs::decode_address(payload_of(batch)).has_value());
}

TEST_CASE("links, addresses and routes are decoded from any bytes without a crash") {
  REQUIRE(rc::check("any bytes", [](const std::vector<std::uint8_t>& input) {
    const Bytes bytes = std::as_bytes(std::span(input));
    (void)ipvs::decode_link(bytes);
    (void)ipvs::decode_address(bytes);
    (void)ipvs::decode_route(bytes);
  }));
}
