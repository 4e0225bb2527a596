// SPDX-License-Identifier: Apache-2.0
//
// The plan of a Service that was deleted before this process began and still lingers: nothing is left
// of the Service but which virtual servers it had, and the kernel has the rest. All of it stays but
// the destinations, which then drain, and new clients are refused, as of a lingering Service that this
// process saw deleted. Pure.
#pragma once

#include <span>

#include "ipvs/state/desired.hpp"
#include "ipvs/state/ledger.hpp"

namespace agent {

ipvs::ServicePlan held_plan(const ipvs::Ledger& ledger, std::span<const ipvs::ServerKey> servers);

}  // namespace agent
