// SPDX-License-Identifier: Apache-2.0
//
// The messages that make chains and rules of a table of family inet.
#pragma once

#include <string_view>

#include "ipvs/netlink/message.hpp"
#include "ipvs/nftables/rules.hpp"

namespace ipvs {

// A base chain accepts what no rule decides.
void put_chain(MessageBatch& batch, std::string_view table, const Chain& chain);
// After the rules that its chain has.
void put_rule(MessageBatch& batch, std::string_view table, const Rule& rule);

}  // namespace ipvs
