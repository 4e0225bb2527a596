// SPDX-License-Identifier: Apache-2.0
//
// From values to transactions for nf_tables. Pure; ipvs/nftables/client.hpp sends them.
//
// Layout (include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h); integers are big-endian:
//
//   NFNL_MSG_BATCH_BEGIN   nfgenmsg { u8 family AF_UNSPEC; u8 version 0;
//                                     be16 res_id NFNL_SUBSYS_NFTABLES }
//   NFT_MSG_*              nfgenmsg { NFPROTO_INET; 0; 0 }, attributes
//   ...
//   NFNL_MSG_BATCH_END     as BEGIN
//
// The kernel carries out what is between BEGIN and END as a whole or not at all, at one moment.
//
//   NEWTABLE, DELTABLE  NFTA_TABLE_NAME
//   NEWCHAIN            NFTA_CHAIN_TABLE, _NAME; base chains: _TYPE, _HOOK { HOOKNUM, PRIORITY },
//                       _POLICY
//   NEWRULE             NFTA_RULE_TABLE, _CHAIN, _EXPRESSIONS (ipvs/nftables/expressions.hpp)
//   NEWSET              NFTA_SET_TABLE, _NAME, _FLAGS, _KEY_TYPE, _KEY_LEN, _ID, _USERDATA; of maps
//                       _DATA_TYPE, _DATA_LEN; of interval sets _DESC { _CONCAT { field lengths } }
//   NEWSETELEM          NFTA_SET_ELEM_LIST_TABLE, _SET, _ELEMENTS
//   and DELSETELEM        NFTA_LIST_ELEM { NFTA_SET_ELEM_KEY { NFTA_DATA_VALUE } } ...
//                         also _KEY_END, the last key of a range, and _DATA, a map's value
//
// NFTA_SET_USERDATA is a format of nft: { u8 type; u8 length; value } ...; type 0 is the byte order
// of the key, without which `nft` could not print it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

// Elements in one message. A nest has at most 64 KiB, and our largest element takes 100 bytes. The
// fewer elements a message has, the more exactly an error says which one was refused.
inline constexpr std::size_t kElementsPerMessage = 500;

// A transaction, and which operations each of its messages carries.
struct Transaction {
  MessageBatch batch;
  // Parallel to the batch's messages: [first, last) of the given operations; empty for other
  // messages.
  struct Range {
    std::size_t first = 0;
    std::size_t last = 0;
    bool operator==(const Range&) const = default;
  };
  std::vector<Range> ranges;
  // The first element that has no set in the table (set_of()). Then the transaction must not be
  // sent.
  std::optional<std::size_t> misplaced;
};

// Replaces our table, whether there is one or not.
Transaction encode_install(const TableRules& rules, std::span<const Element> elements);
// Replaces all rules of our table.
Transaction encode_replace_rules(const TableRules& rules);
// In the order given. The kernel refuses to add an element that exists (EEXIST) and to delete one
// that does not (ENOENT).
Transaction encode_changes(std::span<const ElementOp> ops);
// ENOENT if there is no table of ours.
Transaction encode_delete_table();
// Deletes all chains and sets of our table but those that masquerade; ENOENT if it lacks one.
Transaction encode_keep_masquerading();

// Requests outside of transactions: does our table exist, and a dump of one of its sets.
void encode_get_table(MessageBatch& batch);
void encode_get_elements(MessageBatch& batch, std::string_view set);

}  // namespace ipvs
