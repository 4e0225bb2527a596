// SPDX-License-Identifier: Apache-2.0
//
// The chains and rules of our table, as values. Pure. test/kernel/nft_table_text.hpp shows them as
// `nft list` prints them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ipvs/nftables/expressions.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

struct Chain {
  // Of a base chain: its place in the path of a packet.
  struct Hook {
    std::string_view type;  // "filter", "nat"
    std::uint32_t number;   // NF_INET_*
    std::int32_t priority;
  };
  std::string_view name;
  std::optional<Hook> hook;
};

struct Rule {
  std::string_view chain;
  Expressions expressions;
  bool operator==(const Rule&) const = default;
};

std::span<const Chain> table_chains();
// Without those that do nothing while no other sets than TableRules::sets have elements.
std::vector<Rule> table_rules(const TableRules& rules);
// Whether a chain is postrouting's or one that it leads to, and whether these chains read the sets
// of a kind of elements. All the rest protects, refuses or redirects.
bool masquerades(const Chain& chain);
bool masquerades(ElementKind kind);

}  // namespace ipvs
