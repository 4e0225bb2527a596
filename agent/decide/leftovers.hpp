// SPDX-License-Identifier: Apache-2.0
//
// What an earlier run, or another proxy, left in the kernel at an address that this node needs to
// reach the API server: released before the first connection, because nothing is heard of Services
// until then. Everything else that was left is adopted, and compared with what is wanted. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/decide/address_policy.hpp"
#include "ipvs/state/diff.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

struct Leftovers {
  ipvs::Changes release;
  std::vector<std::string> notes;  // for the log, one line each
};

// Virtual servers that would take our connections to an API server on this node.
std::vector<ipvs::ServerKey> servers_in_the_way(const AddressPolicy& policy);
// Our table says by which field of a Service an address was bound. Of one that it does not name we
// do not know more than that it was bound: it is released if no Service may have it. Elements stay:
// the sync loop deletes them, as they are not wanted.
Leftovers find_leftovers(const ipvs::Observed& observed, const AddressPolicy& policy);

}  // namespace agent
