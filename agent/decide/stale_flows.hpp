// SPDX-License-Identifier: Apache-2.0
//
// Which flows connection tracking must forget when virtual servers or their source ranges change.
// Pure.
//
// A UDP client that keeps its port is one flow for connection tracking: all its packets follow the
// first, as long as it keeps sending. So entries are deleted
//   - to an endpoint that is removed from a virtual server;
//   - to a virtual server that is deleted, all of them (a changed port is a deletion);
//   - to a virtual server that is created or gets its first endpoint: flows that began before it
//     lead nowhere.
// TCP and SCTP clients notice by themselves, and their connections drain.
//
// Source ranges are compared for new flows only. So when a virtual server gets ranges, or loses
// one, the entries of all clients outside the ranges are deleted, whatever the protocol: their next
// packet is a new flow, and is dropped (ipvs/nftables/rules.cpp, add_limits()).
#pragma once

#include <vector>

#include "ipvs/state/desired.hpp"
#include "ipvs/state/diff.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/ledger.hpp"

namespace agent {

// Precondition: `changes` are the next to be applied: `desired` wants them, and they are not in
// `ledger` yet.
std::vector<ipvs::Kernel::StaleFlow> stale_flows(const ipvs::Changes& changes,
                                                 const ipvs::Desired& desired,
                                                 const ipvs::Ledger& ledger);

// The same of source ranges that changed while no agent ran: when the table is about to be
// installed with all that `desired` wants, `ledger` being what the kernel was found to hold.
std::vector<ipvs::Kernel::StaleFlow> flows_forbidden_at_start(const ipvs::Desired& desired,
                                                              const ipvs::Ledger& ledger);

}  // namespace agent
