// SPDX-License-Identifier: Apache-2.0
//
// FlowCleaner against the real kernel; each test runs in a network namespace of its own.
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <algorithm>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <cstdio>

#include "ipvs/host/flows.hpp"
#include "own_namespace.hpp"

namespace {

using ipvs::Address;
using ipvs::Endpoint;
using ipvs::FlowCleaner;
using ipvs::Protocol;
using StaleFlow = ipvs::Kernel::StaleFlow;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

const Endpoint kClient{address("192.0.2.9"), 40000};
const Endpoint kServer{address("10.96.0.10"), 53};
const Endpoint kPod1{address("10.244.0.1"), 53};
const Endpoint kPod2{address("10.244.0.2"), 53};

ipvs::ServerKey server(const Endpoint& endpoint, Protocol protocol = Protocol::kUdp) {
  return {endpoint.address, endpoint.port, protocol};
}

void put_tuple(ipvs::MessageBatch& batch, std::uint16_t type, const Endpoint& source,
               const Endpoint& destination, int protocol) {
  const bool v4 = source.address.is_v4();
  const auto tuple = batch.begin_nest(type);
  const auto ip = batch.begin_nest(CTA_TUPLE_IP);
  batch.put_address(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, source.address);
  batch.put_address(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, destination.address);
  batch.end_nest(ip);
  const auto proto = batch.begin_nest(CTA_TUPLE_PROTO);
  batch.put_u8(CTA_PROTO_NUM, static_cast<std::uint8_t>(protocol));
  batch.put_be16(CTA_PROTO_SRC_PORT, source.port);
  batch.put_be16(CTA_PROTO_DST_PORT, destination.port);
  batch.end_nest(proto);
  batch.end_nest(tuple);
}

// Adds a conntrack entry from `client` to `destination` as if IPVS had sent it to `endpoint`.
void enter_flow(const Endpoint& client, const Endpoint& destination, const Endpoint& endpoint,
                int protocol = IPPROTO_UDP) {
  auto socket = ipvs::NetlinkSocket::open(NETLINK_NETFILTER).value();
  ipvs::MessageBatch batch;
  batch.begin_message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
  nfgenmsg header{};
  header.nfgen_family = client.address.is_v4() ? AF_INET : AF_INET6;
  batch.put_header(header);
  put_tuple(batch, CTA_TUPLE_ORIG, client, destination, protocol);
  put_tuple(batch, CTA_TUPLE_REPLY, endpoint, client, protocol);
  batch.put_be32(CTA_TIMEOUT, 600);
  if (protocol == IPPROTO_TCP) {
    const auto info = batch.begin_nest(CTA_PROTOINFO);
    const auto tcp = batch.begin_nest(CTA_PROTOINFO_TCP);
    batch.put_u8(CTA_PROTOINFO_TCP_STATE, 3);  // established
    batch.end_nest(tcp);
    batch.end_nest(info);
  }
  REQUIRE(socket.transact(batch) == std::vector<int>{0});
}

std::size_t count_flows(ipvs::Family family) {
  auto socket = ipvs::NetlinkSocket::open(NETLINK_NETFILTER).value();
  ipvs::MessageBatch request;
  ipvs::encode_dump_flows(request, family, std::nullopt);
  std::size_t count = 0;
  REQUIRE(socket
              .dump(
                  request, [&] { count = 0; }, [&](const auto&) { ++count; })
              .has_value());
  return count;
}

Endpoint with_port(Endpoint endpoint, std::uint16_t port) {
  endpoint.port = port;
  return endpoint;
}

}  // namespace

TEST_CASE("only UDP flows to the removed endpoint are deleted") {
  enter_own_namespace();
  auto cleaner = FlowCleaner::open().value();
  enter_flow(kClient, kServer, kPod1);
  enter_flow(with_port(kClient, 40001), kServer, kPod2);
  enter_flow(with_port(kClient, 40002), with_port(kServer, 54), kPod1);
  enter_flow(kClient, kServer, kPod1, IPPROTO_TCP);
  const StaleFlow gone[] = {{server(kServer), kPod1}};
  CHECK(cleaner.remove(gone).value() == 1);
  CHECK(cleaner.remove(gone).value() == 0);
  CHECK(count_flows(ipvs::Family::kIpv4) == 3);
}

TEST_CASE("without an endpoint all UDP flows to the server are deleted") {
  enter_own_namespace();
  auto cleaner = FlowCleaner::open().value();
  enter_flow(kClient, kServer, kPod1);
  enter_flow(with_port(kClient, 40001), kServer, kPod2);
  enter_flow(with_port(kClient, 40002), with_port(kServer, 54), kPod1);
  const StaleFlow gone[] = {{server(kServer), std::nullopt}};
  CHECK(cleaner.remove(gone).value() == 2);
  CHECK(count_flows(ipvs::Family::kIpv4) == 1);
}

TEST_CASE("one batch deletes thousands of flows of many servers in both families") {
  enter_own_namespace();
  auto cleaner = FlowCleaner::open().value();
  const Endpoint client6{address("2001:db8::9"), 40000};
  const Endpoint server6{address("fd00:1::1"), 53};
  const Endpoint pod6{address("fd00::7"), 53};
  for (std::uint16_t i = 0; i < 1500; ++i) {
    enter_flow(with_port(kClient, static_cast<std::uint16_t>(20000 + i)), kServer, kPod1);
  }
  enter_flow(kClient, with_port(kServer, 54), kPod2);
  enter_flow(client6, server6, pod6);
  enter_flow(with_port(client6, 40001), with_port(server6, 54), pod6);
  const StaleFlow gone[] = {{server(kServer), kPod1},
                            {server(with_port(kServer, 54)), kPod1},
                            {server(server6), pod6},
                            {server(kServer, Protocol::kTcp), kPod1}};
  CHECK(cleaner.remove(gone).value() == 1501);
  CHECK(count_flows(ipvs::Family::kIpv4) == 1);
  CHECK(count_flows(ipvs::Family::kIpv6) == 1);
}

TEST_CASE("without stale flows nothing is deleted") {
  enter_own_namespace();
  auto cleaner = FlowCleaner::open().value();
  CHECK(cleaner.remove(std::span<const StaleFlow>()).value() == 0);
}

TEST_CASE(
    "of a server whose source ranges shrank, the flows of all other clients are deleted (E7)") {
  enter_own_namespace();
  auto cleaner = FlowCleaner::open().value();
  const int protocol = GENERATE(int{IPPROTO_TCP}, int{IPPROTO_UDP});
  const Endpoint allowed{address("192.0.2.200"), 40000};
  enter_flow(kClient, kServer, kPod1, protocol);
  enter_flow(with_port(kClient, 40001), kServer, kPod2, protocol);
  enter_flow(allowed, kServer, kPod1, protocol);
  enter_flow(with_port(kClient, 40002), with_port(kServer, 54), kPod1, protocol);
  enter_flow(kClient, kServer, kPod1, protocol == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP);
  const Endpoint client6{address("2001:db8::9"), 40000};
  const Endpoint server6{address("fd00:1::1"), 53};
  enter_flow(client6, server6, {address("fd00::7"), 53}, protocol);
  enter_flow({address("2001:db8:1::9"), 40000}, server6, {address("fd00::7"), 53}, protocol);
  const Protocol of_service = protocol == IPPROTO_TCP ? Protocol::kTcp : Protocol::kUdp;
  const StaleFlow shrunk[] = {
      {server(kServer, of_service), std::nullopt, {{{address("192.0.2.128"), 25}}}},
      {server(server6, of_service), std::nullopt, {{{address("2001:db8:1::"), 48}}}}};
  CHECK(cleaner.remove(shrunk).value() == 3);
  CHECK(count_flows(ipvs::Family::kIpv4) == 3);
  CHECK(count_flows(ipvs::Family::kIpv6) == 1);
}

// A measurement; `[.bench]` keeps it out of ordinary runs.
TEST_CASE("the cost of deleting 100 flows of a removed endpoint among 10000 UDP flows",
          "[.bench]") {
  enter_own_namespace();
  auto cleaner = FlowCleaner::open().value();
  const bool one_server = GENERATE(true, false);
  for (std::uint16_t i = 0; i < 10'000; ++i) {
    const auto client_port = static_cast<std::uint16_t>(20'000 + i);
    const auto server_port = static_cast<std::uint16_t>(one_server ? 53 : 1'000 + i % 100);
    enter_flow(with_port(kClient, client_port), with_port(kServer, server_port),
               i % 100 == 0 ? kPod1 : kPod2);
  }
  const StaleFlow gone[] = {{server(with_port(kServer, one_server ? 53 : 1'000)), kPod1}};
  const auto begin = std::chrono::steady_clock::now();
  CHECK(cleaner.remove(gone).value() == 100);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  std::printf("%s: %.1f ms\n", one_server ? "all of one server" : "of a hundred servers",
              took.count());
}
