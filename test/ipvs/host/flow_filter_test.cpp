// SPDX-License-Identifier: Apache-2.0
//
// The program is run here as the kernel would: it has loads, comparisons, jumps and returns only.
#include "ipvs/host/flow_filter.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <rapidcheck.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "ipvs/netlink/message.hpp"

namespace {

using ipvs::Endpoint;
using ipvs::MessageBatch;
using ipvs::Protocol;
using ipvs::ServerKey;

ServerKey server(const char* address, std::uint16_t port) {
  return {boost::asio::ip::make_address(address), port, Protocol::kTcp};
}

bool passes(const std::vector<sock_filter>& program, ipvs::Bytes message) {
  std::uint32_t value = 0;
  const auto byte = [&](std::size_t at) { return std::to_integer<std::uint32_t>(message[at]); };
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& one = program[at];
    const std::size_t size = BPF_SIZE(one.code) == BPF_W ? 4 : BPF_SIZE(one.code) == BPF_H ? 2 : 1;
    switch (BPF_CLASS(one.code)) {
      case BPF_LD:
        if (one.k + size > message.size()) return false;
        value = 0;
        for (std::size_t i = 0; i < size; ++i) value = value << 8 | byte(one.k + i);
        break;
      case BPF_JMP:
        at += BPF_OP(one.code) == BPF_JA ? one.k : value == one.k ? one.jt : one.jf;
        break;
      default:
        return one.k != 0;
    }
  }
  FAIL("the program has no end");
  return false;
}

// As ctnetlink_conntrack_event() begins a message.
std::vector<std::byte> event(const char* destination, std::uint16_t port,
                             std::uint16_t first = CTA_TUPLE_ORIG) {
  const auto to = boost::asio::ip::make_address(destination);
  const bool v4 = to.is_v4();
  MessageBatch batch;
  batch.begin_message(NFNL_SUBSYS_CTNETLINK << 8);
  nfgenmsg header{};
  header.nfgen_family = v4 ? AF_INET : AF_INET6;
  batch.put_header(header);
  if (first != CTA_TUPLE_ORIG) batch.put_be32(first, 1);
  const auto tuple = batch.begin_nest(CTA_TUPLE_ORIG);
  const auto ip = batch.begin_nest(CTA_TUPLE_IP);
  batch.put_address(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC,
                    boost::asio::ip::make_address(v4 ? "192.0.2.9" : "2001:db8::9"));
  batch.put_address(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, to);
  batch.end_nest(ip);
  const auto proto = batch.begin_nest(CTA_TUPLE_PROTO);
  batch.put_u8(CTA_PROTO_NUM, 6);
  batch.put_be16(CTA_PROTO_SRC_PORT, 40000);
  batch.put_be16(CTA_PROTO_DST_PORT, port);
  batch.end_nest(proto);
  batch.end_nest(tuple);
  const ipvs::Bytes bytes = batch.message_bytes(0);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("events of the named virtual servers pass, and those of others are dropped") {
  const std::vector<ServerKey> servers{server("10.96.0.1", 80), server("10.96.0.1", 443),
                                       server("fd00:1::1", 80), server("192.0.2.1", 30080)};
  const auto program = ipvs::filter_of_events(servers);
  REQUIRE_FALSE(program.empty());
  for (const ServerKey& each : servers) {
    CHECK(passes(program, event(each.address.to_string().c_str(), each.port)));
    CHECK_FALSE(passes(program, event(each.address.to_string().c_str(), 8443)));
  }
  CHECK_FALSE(passes(program, event("10.96.0.2", 80)));
  CHECK_FALSE(passes(program, event("192.0.2.1", 80)));
  CHECK_FALSE(passes(program, event("fd00:1::2", 80)));
  CHECK_FALSE(passes(program, event("fd00:2::1", 80)));
}

TEST_CASE("a message with another layout passes: whoever reads it compares again") {
  const auto program = ipvs::filter_of_events(std::vector{server("10.96.0.1", 80)});
  CHECK(passes(program, event("10.96.0.9", 1, CTA_ID)));
  auto other = event("10.96.0.9", 1);
  other[16] = std::byte{AF_UNIX};
  CHECK(passes(program, other));
}

TEST_CASE("no jump leaves the program, however many virtual servers there are") {
  rc::check([] {
    std::vector<ServerKey> servers;
    const auto count = *rc::gen::inRange(0, 600);
    for (int i = 0; i < count; ++i) {
      const auto number = static_cast<std::uint32_t>(i);
      const bool v4 = i % 3 != 0;
      servers.push_back(
          server(v4 ? ("10.96." + std::to_string(number / 256) + "." + std::to_string(number % 256))
                          .c_str()
                    : ("fd00::" + std::to_string(i)).c_str(),
                 static_cast<std::uint16_t>(number + 1)));
    }
    const auto program = ipvs::filter_of_events(servers);
    RC_ASSERT(program.size() <= std::size_t{BPF_MAXINSNS});
    for (std::size_t at = 0; at < program.size(); ++at) {
      const sock_filter& one = program[at];
      if (BPF_CLASS(one.code) != BPF_JMP) continue;
      const std::size_t far =
          BPF_OP(one.code) == BPF_JA ? one.k : std::size_t{std::max(one.jt, one.jf)};
      RC_ASSERT(at + 1 + far < program.size());
    }
    if (!servers.empty() && !program.empty()) {
      const ServerKey& last = servers.back();
      RC_ASSERT(passes(program, event(last.address.to_string().c_str(), last.port)));
    }
  });
}

TEST_CASE("more virtual servers than a program of the kernel can name have no filter") {
  const std::vector<ServerKey> many(1000, server("10.96.0.1", 80));
  CHECK(ipvs::filter_of_events(many).empty());
}
