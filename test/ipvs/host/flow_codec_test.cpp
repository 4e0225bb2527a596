// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flow_codec.hpp"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <utility>

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

namespace {

using Kind = ipvs::FlowEvent::Kind;

constexpr std::uint16_t kChanged = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
constexpr std::uint16_t kDeleted = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;

// An entry with more of what an event may have.
struct Extras {
  std::optional<std::uint8_t> tcp_state{};
  std::optional<std::pair<std::uint64_t, std::uint64_t>> bytes{};
  std::optional<std::pair<std::uint64_t, std::uint64_t>> times{};
};

std::vector<std::byte> event_of(std::uint8_t protocol, const Extras& extras) {
  MessageBatch batch;
  batch.begin_message(0);
  batch.put_header(nfgenmsg{});
  put_tuple(batch, CTA_TUPLE_ORIG, endpoint("192.0.2.9", 40000), endpoint("10.96.0.1", 80),
            protocol);
  put_tuple(batch, CTA_TUPLE_REPLY, endpoint("10.244.0.1", 8080), endpoint("192.0.2.9", 40000),
            protocol);
  const auto counters = [&](std::uint16_t type, std::uint64_t bytes) {
    const auto nest = batch.begin_nest(type);
    batch.put_be64(CTA_COUNTERS_PACKETS, 3);
    batch.put_be64(CTA_COUNTERS_BYTES, bytes);
    batch.end_nest(nest);
  };
  if (extras.bytes) {
    counters(CTA_COUNTERS_ORIG, extras.bytes->first);
    counters(CTA_COUNTERS_REPLY, extras.bytes->second);
  }
  if (extras.times) {
    const auto nest = batch.begin_nest(CTA_TIMESTAMP);
    batch.put_be64(CTA_TIMESTAMP_START, extras.times->first);
    batch.put_be64(CTA_TIMESTAMP_STOP, extras.times->second);
    batch.end_nest(nest);
  }
  if (extras.tcp_state) {
    const auto info = batch.begin_nest(CTA_PROTOINFO);
    const auto tcp = batch.begin_nest(CTA_PROTOINFO_TCP);
    batch.put_u8(CTA_PROTOINFO_TCP_STATE, *extras.tcp_state);
    batch.end_nest(tcp);
    batch.end_nest(info);
  }
  const Bytes bytes = batch.message_bytes(0).subspan(sizeof(nlmsghdr));
  return {bytes.begin(), bytes.end()};
}

std::optional<ipvs::FlowEvent> decode(std::uint16_t type, std::uint16_t flags,
                                      const std::vector<std::byte>& payload) {
  return ipvs::decode_flow_event({.type = type, .flags = flags, .payload = payload});
}

}  // namespace

TEST_CASE("an event of a new connection says who called what, and where it went") {
  const auto event = decode(kChanged, NLM_F_CREATE | NLM_F_EXCL, event_of(IPPROTO_TCP, {}));
  REQUIRE(event.has_value());
  CHECK(event->kind == Kind::kNew);
  CHECK(event->key.client == endpoint("192.0.2.9", 40000));
  CHECK(event->key.entrance == endpoint("10.96.0.1", 80));
  CHECK(event->endpoint == endpoint("10.244.0.1", 8080));
  CHECK(event->key.protocol == ipvs::Protocol::kTcp);
}

TEST_CASE("a TCP connection ends when both sides have closed it, or one has reset it") {
  const auto of_state = [](std::uint8_t state) {
    return decode(kChanged, 0, event_of(IPPROTO_TCP, {.tcp_state = state}));
  };
  for (const std::uint8_t open : {TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_ESTABLISHED,
                                  TCP_CONNTRACK_FIN_WAIT, TCP_CONNTRACK_LAST_ACK}) {
    CHECK_FALSE(of_state(open).has_value());
  }
  CHECK(of_state(TCP_CONNTRACK_TIME_WAIT)->kind == Kind::kClosed);
  CHECK_FALSE(of_state(TCP_CONNTRACK_TIME_WAIT)->is_reset);
  CHECK(of_state(TCP_CONNTRACK_CLOSE)->kind == Kind::kClosed);
  CHECK(of_state(TCP_CONNTRACK_CLOSE)->is_reset);
}

TEST_CASE("a deletion has bytes and times where the kernel keeps them, and the last state of TCP") {
  const auto plain = decode(kDeleted, 0, event_of(IPPROTO_UDP, {}));
  REQUIRE(plain.has_value());
  CHECK(plain->kind == Kind::kDeleted);
  CHECK_FALSE(plain->bytes.has_value());
  CHECK_FALSE(plain->seconds.has_value());
  CHECK_FALSE(plain->was_closed);
  const auto full = decode(kDeleted, 0,
                           event_of(IPPROTO_TCP, {.tcp_state = TCP_CONNTRACK_TIME_WAIT,
                                                  .bytes = {{420, 9000}},
                                                  .times = {{1'000'000'000, 3'500'000'000}}}));
  CHECK(full->bytes == ipvs::FlowBytes{.in = 420, .out = 9000});
  CHECK(full->seconds == 2.5);
  CHECK(full->was_closed);
  // Where the kernel does not say it, it is what most were.
  CHECK(decode(kDeleted, 0, event_of(IPPROTO_TCP, {}))->was_closed);
  CHECK_FALSE(decode(kDeleted, 0, event_of(IPPROTO_TCP, {.tcp_state = TCP_CONNTRACK_ESTABLISHED}))
                  ->was_closed);
  // A clock that was set back says nothing.
  const auto back = decode(kDeleted, 0, event_of(IPPROTO_UDP, {.times = {{5, 4}}}));
  CHECK_FALSE(back->seconds.has_value());
}

TEST_CASE("what is no event of a connection is ignored, however it ends") {
  CHECK_FALSE(decode(kChanged, 0, event_of(IPPROTO_UDP, {})).has_value());
  CHECK_FALSE(decode(kChanged, NLM_F_CREATE, event_of(IPPROTO_ICMP, {})).has_value());
  CHECK_FALSE(decode(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS, NLM_F_CREATE,
                     event_of(IPPROTO_TCP, {}))
                  .has_value());
  CHECK_FALSE(
      decode(NFNL_SUBSYS_CTNETLINK_EXP << 8, NLM_F_CREATE, event_of(IPPROTO_TCP, {})).has_value());
  const auto whole = event_of(IPPROTO_TCP, {.tcp_state = TCP_CONNTRACK_CLOSE, .bytes = {{1, 2}}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    decode(kDeleted, 0, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
  }
}

TEST_CASE("one entry is asked for by its addresses, ports and zone") {
  MessageBatch batch;
  ipvs::encode_get_flow(batch,
                        {.protocol = ipvs::Protocol::kTcp,
                         .client = endpoint("fd00::9", 40000),
                         .entrance = endpoint("fd00:1::1", 80)},
                        7);
  CHECK(batch.message_type(0) == ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET));
  MessageBatch expected;
  expected.begin_message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET);
  nfgenmsg header{};
  header.nfgen_family = AF_INET6;
  expected.put_header(header);
  put_tuple(expected, CTA_TUPLE_ORIG, endpoint("fd00::9", 40000), endpoint("fd00:1::1", 80),
            IPPROTO_TCP);
  expected.put_be16(CTA_ZONE, 7);
  const Bytes bytes = batch.message_bytes(0), wanted = expected.message_bytes(0);
  CHECK(std::equal(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()));
}
