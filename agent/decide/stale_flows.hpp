// SPDX-License-Identifier: Apache-2.0
//
// Which UDP flows the kernel must forget when virtual servers change. Pure.
//
// A UDP client that keeps its port is one flow to connection tracking, and goes where its first
// packet went for as long as it goes on sending. So entries are deleted
//   - to an endpoint that is taken from a virtual server;
//   - to a virtual server that goes, all of them (a port that changes is one that goes);
//   - to a virtual server that comes, or gets its first endpoint: those begun before, which lead
//     nowhere.
// TCP and SCTP clients learn by themselves, and their connections drain.
#pragma once

#include <vector>

#include "ipvs/state/desired.hpp"
#include "ipvs/state/diff.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

// Precondition: `changes` are about to be made; `desired` asks for them, `ledger` does not know of
// them.
std::vector<ipvs::Kernel::StaleFlow> stale_flows(const ipvs::Changes& changes,
                                                 const ipvs::Desired& desired,
                                                 const ipvs::Ledger& ledger);

}  // namespace agent
