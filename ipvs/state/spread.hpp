// SPDX-License-Identifier: Apache-2.0
//
// The order in which the destinations of a virtual server are added. Pure.
//
// The kernel adds a destination at the head of its virtual server's list (ip_vs_ctl.c,
// __ip_vs_update_dest(): list_add_rcu). Round robin begins there, and lc, wlc, sed and nq choose the
// one nearest to it among equals. If all nodes added in the order of addresses, the first connections
// of every node would go to the same endpoint. So each node has an order of its own for each of its
// virtual servers, by a hash of the node's name, the virtual server and the endpoint. It is the same
// after a restart.
//
// Not for the schedulers with which nodes are to agree: sh, dh and mh build their tables from the
// list, and fo and ovf take the first of equals.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ipvs/state/operations.hpp"

namespace ipvs {

class Spread {
 public:
  Spread() = default;  // all in the order of their addresses
  explicit Spread(std::string_view node);

  // Permutes the kNewDest operations among `fill`, all of which are of `server`; others stay where
  // they are.
  void arrange(const VirtualServer& server, std::span<ServerOp> fill) const;

 private:
  std::uint64_t seed_ = 0;  // 0: addresses decide
};

}  // namespace ipvs
