// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flow_codec.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::Bytes;
using ipvs::Endpoint;
using ipvs::MessageBatch;

Endpoint endpoint(const char* host, std::uint16_t port) {
  return {boost::asio::ip::make_address(host), port};
}

void put_tuple(MessageBatch& batch, std::uint16_t type, const Endpoint& source,
               const Endpoint& destination, std::uint8_t protocol) {
  const auto tuple = batch.begin_nest(type);
  const auto ip = batch.begin_nest(CTA_TUPLE_IP);
  batch.put_address(source.address.is_v4() ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, source.address);
  batch.put_address(source.address.is_v4() ? CTA_IP_V4_DST : CTA_IP_V6_DST, destination.address);
  batch.end_nest(ip);
  const auto proto = batch.begin_nest(CTA_TUPLE_PROTO);
  batch.put_u8(CTA_PROTO_NUM, protocol);
  batch.put_be16(CTA_PROTO_SRC_PORT, source.port);
  batch.put_be16(CTA_PROTO_DST_PORT, destination.port);
  batch.end_nest(proto);
  batch.end_nest(tuple);
}

std::vector<std::byte> entry(std::uint8_t protocol, const char* client, const char* vip,
                             const char* pod) {
  MessageBatch batch;
  batch.begin_message(0);
  batch.put_header(nfgenmsg{});
  put_tuple(batch, CTA_TUPLE_ORIG, endpoint(client, 40000), endpoint(vip, 53), protocol);
  put_tuple(batch, CTA_TUPLE_REPLY, endpoint(pod, 5353), endpoint(client, 40000), protocol);
  batch.put_be16(CTA_ZONE, 3);
  batch.put_be32(CTA_ID, 0x12345678);
  const Bytes bytes = batch.message_bytes(0).subspan(sizeof(nlmsghdr));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("a UDP entry is read with its original destination and the source of its replies") {
  const auto flow = ipvs::decode_flow(entry(IPPROTO_UDP, "192.0.2.9", "10.96.0.10", "10.244.0.1"));
  REQUIRE(flow.has_value());
  CHECK(flow->original_destination == endpoint("10.96.0.10", 53));
  CHECK(flow->reply_source == endpoint("10.244.0.1", 5353));
  const auto v6 = ipvs::decode_flow(entry(IPPROTO_UDP, "2001:db8::9", "fd00:1::1", "fd00::7"));
  REQUIRE(v6.has_value());
  CHECK(v6->original_destination == endpoint("fd00:1::1", 53));
}

TEST_CASE("an entry is read with its protocol and client; other protocols are ignored") {
  const auto read = [](std::uint8_t protocol) {
    return ipvs::decode_flow(entry(protocol, "192.0.2.9", "10.96.0.10", "10.244.0.1"));
  };
  CHECK(read(IPPROTO_UDP)->protocol == ipvs::Protocol::kUdp);
  CHECK(read(IPPROTO_TCP)->protocol == ipvs::Protocol::kTcp);
  CHECK(read(IPPROTO_SCTP)->protocol == ipvs::Protocol::kSctp);
  CHECK(read(IPPROTO_TCP)->client == boost::asio::ip::make_address("192.0.2.9"));
  CHECK_FALSE(read(IPPROTO_ICMP));
}

TEST_CASE("an entry is deleted by the tuple, zone and id that it was read with") {
  const auto flow = ipvs::decode_flow(entry(IPPROTO_UDP, "192.0.2.9", "10.96.0.10", "10.244.0.1"));
  MessageBatch batch;
  ipvs::encode_delete_flow(batch, *flow);
  CHECK(batch.message_type(0) == ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE));
  ipvs::AttributeReader reader(batch.message_bytes(0).subspan(sizeof(nlmsghdr)), sizeof(nfgenmsg));
  const auto tuple = reader.next();
  CHECK(tuple->type == CTA_TUPLE_ORIG);
  CHECK(std::equal(tuple->payload.begin(), tuple->payload.end(), flow->original_tuple.begin(),
                   flow->original_tuple.end()));
  CHECK(reader.next()->be16() == 3);
  CHECK(reader.next()->be32() == 0x12345678);
}

TEST_CASE("an IPv6 address is left out of the filter of a dump") {
  MessageBatch batch;
  ipvs::encode_dump_flows(
      batch, ipvs::Family::kIpv6,
      ipvs::FlowFilter{.destination = endpoint("fd00:1::1", 53), .reply_source = {}});
  ipvs::AttributeReader reader(batch.message_bytes(0).subspan(sizeof(nlmsghdr)), sizeof(nfgenmsg));
  reader.next();  // the tuple
  const auto filter = reader.next();
  REQUIRE(filter->type == CTA_FILTER);
  const std::uint32_t flags = *ipvs::AttributeReader(filter->payload).next()->u32();
  CHECK(flags == ((1U << 3) | (1U << 5)));  // protocol and destination port
}

TEST_CASE("a truncated or changed conntrack entry is decoded without a crash") {
  REQUIRE(rc::check("truncated and changed", [] {
    auto bytes = entry(IPPROTO_UDP, "2001:db8::9", "fd00:1::1", "fd00::7");
    bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] =
        static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size()));
    bytes.shrink_to_fit();
    (void)ipvs::decode_flow(bytes);
  }));
}
