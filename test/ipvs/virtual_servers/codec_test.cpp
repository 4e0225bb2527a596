// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/codec.hpp"

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <rapidcheck.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::Address;
using ipvs::Bytes;
using ipvs::Counters;
using ipvs::Destination;
using ipvs::Family;
using ipvs::MessageBatch;
using ipvs::Protocol;
using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;
using ipvs::VirtualServer;

constexpr std::uint16_t kFamily = 33;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

// The bytes after nlmsghdr in the only message of the batch.
std::vector<std::byte> payload_of(MessageBatch& batch) {
  REQUIRE(batch.size() == 1);
  const Bytes bytes = batch.message_bytes(0).subspan(sizeof(nlmsghdr));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> encoded(const ServerOp& op) {
  MessageBatch batch;
  ipvs::encode_op(batch, kFamily, op);
  return payload_of(batch);
}

rc::Gen<Address> any_address(bool v4) {
  using namespace boost::asio::ip;
  if (v4) {
    return rc::gen::map(rc::gen::arbitrary<std::uint32_t>(),
                        [](std::uint32_t value) { return Address(address_v4(value)); });
  }
  return rc::gen::map(rc::gen::arbitrary<std::array<std::uint8_t, 16>>(), [](const auto& bytes) {
    address_v6::bytes_type raw;
    std::copy(bytes.begin(), bytes.end(), raw.begin());
    return Address(address_v6(raw));
  });
}

VirtualServer any_server() {
  const bool v4 = *rc::gen::arbitrary<bool>();
  VirtualServer server;
  if (*rc::gen::arbitrary<bool>()) {
    server.key = {*any_address(v4), *rc::gen::arbitrary<std::uint16_t>(),
                  *rc::gen::element(Protocol::kTcp, Protocol::kUdp, Protocol::kSctp)};
  } else {
    if (!v4) server.key.address = boost::asio::ip::address_v6();
    server.key.fwmark = *rc::gen::inRange<std::uint32_t>(1, 0xffffffff);
  }
  server.scheduler = *rc::gen::element<std::string>("rr", "wlc", "mh", "lblcr");
  server.flags = *rc::gen::element(0U, ipvs::kFlagPersistent, ipvs::kFlagOnePacket,
                                   ipvs::kFlagSched1 | ipvs::kFlagSched2);
  if ((server.flags & ipvs::kFlagPersistent) != 0) {
    server.timeout_seconds = *rc::gen::inRange(1U, 86401U);
  }
  return server;
}

void put_counters(MessageBatch& batch, std::uint16_t type, const Counters& counters, bool wide) {
  const auto nest = batch.begin_nest(type);
  const auto put = [&](std::uint16_t attribute, std::uint64_t value) {
    if (wide) {
      batch.put_u64(attribute, value);
    } else {
      batch.put_u32(attribute, static_cast<std::uint32_t>(value));
    }
  };
  put(IPVS_STATS_ATTR_CONNS, counters.connections);
  put(IPVS_STATS_ATTR_INPKTS, counters.packets_in);
  put(IPVS_STATS_ATTR_OUTPKTS, counters.packets_out);
  batch.put_u64(IPVS_STATS_ATTR_INBYTES, counters.bytes_in);
  batch.put_u64(IPVS_STATS_ATTR_OUTBYTES, counters.bytes_out);
  batch.put_u32(IPVS_STATS_ATTR_CPS, 77);
  batch.end_nest(nest);
}

// A destination as the kernel sends it; `af` 0: without a family, as before Linux 3.18.
std::vector<std::byte> destination_reading(const Address& where, std::uint16_t af,
                                           const Counters* stats64, const Counters* stats) {
  MessageBatch batch;
  batch.begin_message(kFamily);
  batch.put_header(genlmsghdr{.cmd = IPVS_CMD_NEW_DEST, .version = 1, .reserved = 0});
  const auto nest = batch.begin_nest(IPVS_CMD_ATTR_DEST);
  std::array<std::byte, 16> bytes{};  // union nf_inet_addr
  std::memcpy(bytes.data(), where.bytes().data(), where.bytes().size());
  batch.put_bytes(IPVS_DEST_ATTR_ADDR, bytes);
  batch.put_be16(IPVS_DEST_ATTR_PORT, 8080);
  if (af != 0) batch.put_u16(IPVS_DEST_ATTR_ADDR_FAMILY, af);
  batch.put_u32(IPVS_DEST_ATTR_FWD_METHOD, 0);
  batch.put_u32(IPVS_DEST_ATTR_WEIGHT, 5);
  batch.put_u32(IPVS_DEST_ATTR_ACTIVE_CONNS, 1);
  batch.put_u32(IPVS_DEST_ATTR_INACT_CONNS, 2);
  batch.put_u32(IPVS_DEST_ATTR_PERSIST_CONNS, 3);
  if (stats != nullptr) put_counters(batch, IPVS_DEST_ATTR_STATS, *stats, false);
  if (stats64 != nullptr) put_counters(batch, IPVS_DEST_ATTR_STATS64, *stats64, true);
  batch.end_nest(nest);
  return payload_of(batch);
}

const Counters kCounters{1, 2, 3, 4, 5};

}  // namespace

TEST_CASE("a virtual server is decoded as it was encoded") {
  REQUIRE(rc::check("decode(encode(server)) = server", [] {
    const VirtualServer server = any_server();
    const auto op = *rc::gen::element(ServerCommand::kNewService, ServerCommand::kSetService);
    const auto reading =
        ipvs::decode_service(encoded({.command = op, .server = server, .destination = {}}));
    RC_ASSERT(reading.has_value());
    RC_ASSERT(reading->settings == server);
  }));
}

TEST_CASE("a destination is decoded as it was encoded, whatever the virtual server's family") {
  REQUIRE(rc::check("decode(encode(destination)) = destination", [] {
    ServerOp op{.command = *rc::gen::element(ServerCommand::kNewDest, ServerCommand::kSetDest),
                .server = any_server(),
                .destination = {}};
    op.destination = {
        {*any_address(*rc::gen::arbitrary<bool>()), *rc::gen::arbitrary<std::uint16_t>()},
        *rc::gen::inRange(0U, 65536U)};
    const auto bytes = encoded(op);
    const auto family = *rc::gen::element(Family::kIpv4, Family::kIpv6);
    const auto reading = ipvs::decode_destination(bytes, family);
    RC_ASSERT(reading.has_value());
    RC_ASSERT(reading->destination == op.destination);
    RC_ASSERT(ipvs::decode_service(bytes)->settings.key == op.server.key);
  }));
}

TEST_CASE("a deletion contains the key of the object and nothing else") {
  const ServerKey key{address("10.96.0.1"), 80, Protocol::kTcp};
  const auto of_service = ipvs::decode_service(encoded({.command = ServerCommand::kDelService,
                                                        .server = {.key = key, .scheduler = "rr"},
                                                        .destination = {}}));
  CHECK(of_service->settings == VirtualServer{.key = key, .scheduler = ""});
  const auto of_destination =
      ipvs::decode_destination(encoded({.command = ServerCommand::kDelDest,
                                        .server = {.key = key, .scheduler = "rr"},
                                        .destination = {{address("10.244.0.7"), 8080}, 9}}),
                               Family::kIpv4);
  CHECK(of_destination->destination == Destination{{address("10.244.0.7"), 8080}, 0});
}

TEST_CASE("a new virtual server has the bytes that the kernel's parser expects") {
  const auto bytes =
      encoded({.command = ServerCommand::kNewService,
               .server = {.key = {address("10.96.0.1"), 80, Protocol::kTcp}, .scheduler = "rr"},
               .destination = {}});
  const std::uint8_t expected[] = {
      1,    1,    0,    0,                             // NEW_SERVICE, version 1
      72,   0,    1,    0x80,                          // SERVICE, nested
      6,    0,    1,    0,    2,    0,    0,    0,     // AF AF_INET
      6,    0,    2,    0,    6,    0,    0,    0,     // PROTOCOL
      8,    0,    3,    0,    10,   96,   0,    1,     // ADDR
      6,    0,    4,    0,    0,    80,   0,    0,     // PORT, big-endian
      7,    0,    6,    0,    'r',  'r',  0,    0,     // SCHED_NAME
      12,   0,    7,    0,    0,    0,    0,    0,     // FLAGS: flags,
      0xff, 0xff, 0xff, 0xff,                          //   mask
      8,    0,    8,    0,    0,    0,    0,    0,     // TIMEOUT
      8,    0,    9,    0,    0xff, 0xff, 0xff, 0xff,  // NETMASK
  };
  const Bytes wanted = std::as_bytes(std::span(expected));
  CHECK(bytes == std::vector<std::byte>(wanted.begin(), wanted.end()));
}

TEST_CASE("64-bit counters are preferred, and 32-bit counters are used without them") {
  const Counters narrow{11, 12, 13, 14, 15};
  const Counters wide{1ULL << 40, 2, 3, 1ULL << 50, 5};
  const auto v4 = address("10.244.0.7");
  CHECK(ipvs::decode_destination(destination_reading(v4, AF_INET, &wide, &narrow), Family::kIpv4)
            ->counters == wide);
  CHECK(ipvs::decode_destination(destination_reading(v4, AF_INET, nullptr, &narrow), Family::kIpv4)
            ->counters == narrow);
  CHECK(ipvs::decode_destination(destination_reading(v4, AF_INET, nullptr, nullptr), Family::kIpv4)
            ->counters == Counters{});
}

TEST_CASE("a destination without a family has its virtual server's (before Linux 3.18)") {
  for (const char* text : {"10.244.0.7", "fd00::7"}) {
    const auto where = address(text);
    const auto reading = ipvs::decode_destination(
        destination_reading(where, 0, &kCounters, nullptr), ipvs::family_of(where));
    REQUIRE(reading.has_value());
    CHECK(reading->destination.endpoint.address == where);
    CHECK(reading->active_connections == 1);
    CHECK(reading->inactive_connections == 2);
    CHECK(reading->persistent_connections == 3);
  }
}

TEST_CASE(
    "the kernel's own flag, and the timeout of a virtual server without affinity, are ignored") {
  auto bytes = encoded({.command = ServerCommand::kNewService,
                        .server = {.key = {address("10.96.0.1"), 80, Protocol::kTcp},
                                   .scheduler = "rr",
                                   .flags = ipvs::kFlagHashed,
                                   .timeout_seconds = 300},
                        .destination = {}});
  const auto reading = ipvs::decode_service(bytes);
  CHECK(reading->settings.flags == 0);
  CHECK(reading->settings.timeout_seconds == 0);
}

TEST_CASE("only timeouts that are not 0 are sent") {
  MessageBatch batch;
  ipvs::encode_set_timeouts(batch, kFamily, {.tcp = 900, .tcp_fin = 0, .udp = 30});
  const auto bytes = payload_of(batch);
  ipvs::AttributeReader reader(bytes, GENL_HDRLEN);
  auto attribute = reader.next();
  CHECK(attribute->type == IPVS_CMD_ATTR_TIMEOUT_TCP);
  CHECK(attribute->u32() == 900);
  attribute = reader.next();
  CHECK(attribute->type == IPVS_CMD_ATTR_TIMEOUT_UDP);
  CHECK(attribute->u32() == 30);
  CHECK_FALSE(reader.next().has_value());
}

TEST_CASE("an invalid reply is ignored") {
  const ServerKey key{address("10.96.0.1"), 80, Protocol::kTcp};
  const ServerOp op{.command = ServerCommand::kDelService,
                    .server = {.key = key, .scheduler = ""},
                    .destination = {}};
  auto unknown_protocol = encoded(op);
  unknown_protocol[4 + 4 + 8 + 4] = std::byte{50};  // ESP
  CHECK_FALSE(ipvs::decode_service(unknown_protocol).has_value());
  auto unknown_family = encoded(op);
  unknown_family[4 + 4 + 4] = std::byte{99};
  CHECK_FALSE(ipvs::decode_service(unknown_family).has_value());
  CHECK_FALSE(ipvs::decode_service({}).has_value());
  CHECK_FALSE(ipvs::decode_info({}).has_value());
}

TEST_CASE("a truncated or changed reply is decoded without a crash") {
  REQUIRE(rc::check("truncated and changed", [] {
    const Counters counters = kCounters;
    auto bytes = destination_reading(*any_address(*rc::gen::arbitrary<bool>()), AF_INET6, &counters,
                                     &counters);
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    bytes[at] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size()));
    bytes.shrink_to_fit();
    (void)ipvs::decode_destination(bytes, Family::kIpv4);
    (void)ipvs::decode_service(bytes);
    (void)ipvs::decode_info(bytes);
  }));
}
