// SPDX-License-Identifier: Apache-2.0
//
// Gives a test a network namespace of its own, so that it does not change the host's.
#pragma once

#include <linux/netlink.h>
#include <sched.h>

#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "ipvs/host/route_codec.hpp"
#include "ipvs/netlink/socket.hpp"

// Moves the calling thread into a new namespace that has only lo. lo is set up, because otherwise
// there is no table local, and IPVS accepts no destination. Sockets opened before stay in their
// namespace. The kernel removes the new one when its last socket is closed and the thread ends.
//
// Skips the test without CAP_SYS_ADMIN.
inline void enter_own_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) SKIP("needs CAP_SYS_ADMIN");
  auto socket = ipvs::NetlinkSocket::open(NETLINK_ROUTE).value();
  ipvs::MessageBatch batch;
  ipvs::encode_set_flags(batch, 1, true);
  REQUIRE(socket.transact(batch) == std::vector<int>{0});
}
