// SPDX-License-Identifier: Apache-2.0
//
// Deletes what is in the way of the first connection to the API server: see
// agent/decide/leftovers.hpp. Reads the kernel as a whole only if something is.
//
// Threading: the agent's io_context thread. The sync loop must not have read the kernel yet.
// Errors: what cannot be read or deleted is logged, and the start goes on.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "agent/decide/address_policy.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

boost::asio::awaitable<void> release_leftovers(ipvs::Kernel& kernel, KernelThread& thread,
                                               const AddressPolicy& policy);

}  // namespace agent
