// SPDX-License-Identifier: Apache-2.0
//
// The state of a virtual server and of a destination, as HistoryEntry has it.
#pragma once

#include <string>

#include "ipvs/state/model.hpp"

namespace agent {

std::string state_text(const ipvs::VirtualServer& server);     // "rr", "lc persistent 10800"
std::string state_text(const ipvs::Destination& destination);  // "weight 1"

}  // namespace agent
