// SPDX-License-Identifier: Apache-2.0
//
// What our nftables table needs of the kernel, and which kernels have it. Pure.
//
// The oldest kernel is Linux 5.9: reject at the prerouting hook. Nothing newer is used.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "ipvs/nftables/rules.hpp"
#include "ipvs/nftables/table.hpp"

namespace ipvs {

// What a set, chain or rule needs that not every kernel has: "reject at the prerouting hook (Linux
// 5.9, module nft_reject_inet)"; "" if nothing.
std::string requirement_of(const TableSet& set);
std::string requirement_of(const Chain& chain);
std::string requirement_of(const Rule& rule);

// Why the kernel refuses the message `index` of encode_install(rules, {}), in words: "the set
// allowed-sources-4: ranges in concatenations (...)". An error that is about no message in
// particular is one of the whole: all requirements.
std::string refused_part(const TableRules& rules, std::size_t index);

}  // namespace ipvs
