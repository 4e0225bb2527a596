// SPDX-License-Identifier: Apache-2.0
//
// NetlinkSocket against rtnetlink and generic netlink, which every kernel has. Needs no privilege
// and changes nothing.
#include "ipvs/netlink/socket.hpp"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

namespace {

using ipvs::MessageBatch;
using ipvs::NetlinkMessage;
using ipvs::NetlinkSocket;

constexpr int kLoopback = 1;  // the index of lo
constexpr int kNoDevice = 0x7ffffff0;

void append_get_link(MessageBatch& batch, int index) {
  batch.begin_message(RTM_GETLINK);
  ifinfomsg header{};
  header.ifi_index = index;
  batch.put_header(header);
}

// Sets a receive buffer that has space for very few replies.
void shrink_receive_buffer(const NetlinkSocket& socket) {
  const int bytes = 1;
  REQUIRE(::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
}

}  // namespace

TEST_CASE("outcomes and answers are matched to their requests across several sends") {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE).value();
  MessageBatch batch;
  for (int i = 0; i < 3000; ++i) append_get_link(batch, i % 3 == 0 ? kNoDevice : kLoopback);
  CHECK(batch.byte_size() > 64 * 1024);
  std::vector<int> answers(batch.size());
  const auto outcomes =
      socket.transact(batch, [&](std::size_t index, const NetlinkMessage&) { ++answers[index]; });
  REQUIRE(outcomes.size() == batch.size());
  int wrong = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const bool missing = i % 3 == 0;
    if (outcomes[i] != (missing ? ENODEV : 0) || answers[i] != (missing ? 0 : 1)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("requests with lost replies have an unknown outcome, and the socket still works") {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE).value();
  shrink_receive_buffer(socket);
  MessageBatch batch;
  for (int i = 0; i < 200; ++i) append_get_link(batch, kNoDevice);
  const auto outcomes = socket.transact(batch);
  const auto known = std::count(outcomes.begin(), outcomes.end(), ENODEV);
  const auto unknown = std::count(outcomes.begin(), outcomes.end(), ipvs::kUnknownOutcome);
  CHECK(unknown > 0);
  CHECK(known + unknown == 200);

  MessageBatch one;
  append_get_link(one, kNoDevice);
  CHECK(socket.transact(one) == std::vector<int>{ENODEV});
}

TEST_CASE("a batch can be sent again") {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE).value();
  MessageBatch batch;
  append_get_link(batch, kNoDevice);
  append_get_link(batch, kLoopback);
  CHECK(socket.transact(batch) == std::vector<int>{ENODEV, 0});
  CHECK(socket.transact(batch) == std::vector<int>{ENODEV, 0});
}

TEST_CASE("an empty batch succeeds") {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE).value();
  MessageBatch batch;
  CHECK(socket.transact(batch).empty());
  CHECK(socket.transact_atomically(batch) == 0);
}

TEST_CASE("a dump delivers every message, and a refused dump is an error") {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE).value();
  MessageBatch request;
  request.begin_message(RTM_GETLINK, NLM_F_DUMP);
  request.put_header(ifinfomsg{});
  int links = 0;
  const auto result = socket.dump(
      request, [&] { links = 0; },
      [&](const NetlinkMessage& message) {
        if (message.type == RTM_NEWLINK) ++links;
      });
  CHECK(result.has_value());
  CHECK(links >= 1);

  MessageBatch refused;
  refused.begin_message(RTM_GETADDR, NLM_F_DUMP);
  ifaddrmsg header{};
  header.ifa_index = kNoDevice;
  refused.put_header(header);
  const auto error = socket.dump(
      refused, [] {}, [](const NetlinkMessage&) {});
  REQUIRE_FALSE(error.has_value());
  CHECK(error.error().error_number == ENODEV);
}

TEST_CASE("generic netlink families are found by name") {
  auto socket = NetlinkSocket::open(NETLINK_GENERIC).value();
  CHECK(socket.resolve_family("nlctrl").value() == GENL_ID_CTRL);
  const auto missing = socket.resolve_family("no-such-family");
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().error_number == ENOENT);
}

TEST_CASE("two sockets of one process have different ports") {
  const auto a = NetlinkSocket::open(NETLINK_ROUTE).value();
  const auto b = NetlinkSocket::open(NETLINK_ROUTE).value();
  CHECK(a.port() != b.port());
}

TEST_CASE("no events are waiting on a newly opened socket") {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE, {RTNLGRP_LINK}).value();
  CHECK(socket.read_events([](const NetlinkMessage&) {}));
}
