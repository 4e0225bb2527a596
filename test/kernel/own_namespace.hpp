// SPDX-License-Identifier: Apache-2.0
//
// A network namespace of its own for a test, so that it never touches the host's.
#pragma once

#include <linux/netlink.h>
#include <sched.h>

#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "ipvs/host/route_codec.hpp"
#include "ipvs/netlink/socket.hpp"

// The calling thread is in a new namespace from here on, where only lo is, and is up (without it
// there is no table local, and IPVS takes no destination). Sockets opened before stay where they
// are. The kernel removes the namespace when the last of its sockets is closed.
inline void enter_own_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) SKIP("needs CAP_SYS_ADMIN");
  auto socket = ipvs::NetlinkSocket::open(NETLINK_ROUTE).value();
  ipvs::MessageBatch batch;
  ipvs::encode_set_flags(batch, 1, true);
  REQUIRE(socket.transact(batch) == std::vector<int>{0});
}
