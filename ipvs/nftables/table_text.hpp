// SPDX-License-Identifier: Apache-2.0
//
// Our whole table as text for `nft -f -`, which makes the same table as NftClient::install_table()
// with the same arguments. Pure. The text has the form of `nft list`; rules are those of
// ipvs/nftables/rule_text.hpp. Those that stand only while a scheduler changes
// (TableRules::drops_refusals) are left out: nft prints them, and does not read them.
#pragma once

#include <span>
#include <string>

#include "ipvs/nftables/rules.hpp"
#include "ipvs/state/element.hpp"

namespace ipvs {

// Its first lines delete the table that is there. An element without a set is left out.
std::string table_text(const TableRules& rules, std::span<const Element> elements);

}  // namespace ipvs
