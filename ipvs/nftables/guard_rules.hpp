// SPDX-License-Identifier: Apache-2.0
//
// The rules of our table that refuse or drop: clients outside the source ranges, Services without
// endpoints, ports of virtual IPs without a Service, packets that connection tracking calls
// invalid. Pure.
#pragma once

#include <vector>

#include "ipvs/nftables/rules.hpp"

namespace ipvs {

void add_guard_rules(const TableRules& rules, std::vector<Rule>& out);

}  // namespace ipvs
