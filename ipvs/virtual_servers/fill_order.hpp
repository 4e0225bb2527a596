// SPDX-License-Identifier: Apache-2.0
//
// The order in which many destinations are added. Pure.
//
// The kernel keeps a deleted destination for two minutes, in a list with the last one first, and
// searches that list for each one that is added (ip_vs_trash_get_dest(), ip_vs_ctl.c); one that it
// finds it takes out. After `ipvsadm -C` of 100,000 that is 5,000 million steps, in an order that
// does not fit, and a few for each in the order opposite to that of the deletion. `ipvsadm -C`
// deletes in the order of the kernel's hash table, which is the order of a dump of virtual servers.
#pragma once

#include <cstddef>
#include <span>
#include <unordered_map>
#include <vector>

#include "ipvs/state/operations.hpp"

namespace ipvs {

// 1,000 or more additions of destinations and nothing else.
bool is_large_fill(std::span<const ServerOp> ops);
// The places of virtual servers in a dump, from 1 on.
using FillRanks = std::unordered_map<ServerKey, std::size_t>;
// The places of `ops`, in the order in which they are cheap: those of the virtual server that was
// dumped last come first. Those of one virtual server stay in their order. `ranks`: of the virtual
// servers that there are; others come last.
std::vector<std::size_t> fill_order(std::span<const ServerOp> ops, const FillRanks& ranks);

}  // namespace ipvs
