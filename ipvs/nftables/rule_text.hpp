// SPDX-License-Identifier: Apache-2.0
//
// A rule of our table as `nft list table inet kube-ipvs` prints it, without asking the kernel. Pure.
// A test compares every chain with test/kernel/nft_table_text.hpp, which another compares with the
// kernel's.
#pragma once

#include <string>

#include "ipvs/nftables/rules.hpp"

namespace ipvs {

// "ip daddr . meta l4proto . th dport @refused-ips-4 goto refuse"
std::string text_of(const Rule& rule);

}  // namespace ipvs
