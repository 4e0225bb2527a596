// SPDX-License-Identifier: Apache-2.0
//
// Changes and reads our nftables table in the kernel. The table's sets are in
// ipvs/nftables/table.hpp, its rules in ipvs/nftables/rules.hpp, the messages in
// ipvs/nftables/encode.hpp.
//
// Threading: not thread-safe; calls block. The port of own_port() may be read on any thread.
//
// Errors: positive errno values as the kernel gave them, 0 for done, kUnknownOutcome if the reply
// was lost. Whatever the error, the transaction was carried out as a whole or not at all. ENOENT
// from install_table() means that the kernel lacks an expression (the module nft_masq,
// nft_reject_inet, nft_nat or nft_ct).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/nftables/encode.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

// What became of a transaction.
struct NftOutcome {
  int error = 0;
  // The refused operation is one of [first_op, last_op); empty if the error is about none in
  // particular.
  std::size_t first_op = 0;
  std::size_t last_op = 0;
  // "NEWRULE: No such file or directory"; the kernel's own text if it gave one.
  std::string refused;
  std::size_t refused_message = 0;  // its index in the batch; beyond it: about none in particular
};

class NftClient {
 public:
  static Result<NftClient> open();

  // Replaces our table in one transaction: there is no moment without rules, and elements that stay
  // keep matching. Elements may name the same key twice.
  int install_table(const TableRules& rules, std::span<const Element> elements);

  // Replaces all rules of our table in one transaction. ENOENT: there is no table, or it lacks a
  // chain or a set.
  int replace_rules(const TableRules& rules);

  // One transaction, in this order. An element whose traffic class changes is deleted in the old
  // class and added in the new one. EEXIST: an element to add exists; ENOENT: one to delete does
  // not, or there is no table; EAGAIN: no rule that we have installed reads the set.
  int change_elements(std::span<const ElementOp> ops);

  // Also if it lacks sets.
  Result<bool> exists();
  // ENOENT if there is none.
  int delete_table();
  // For a handover: leaves of our table what masquerades, so that it lacks sets from now on. ENOENT
  // if it has not all of its chains and sets.
  int keep_masquerading();

  // Where there is no table of ours: installs it without elements, and deletes it. The error names
  // what the kernel lacks, and which kernel has it (ipvs/nftables/requirements.hpp).
  Result<void> try_table();

  // The elements of our table. `table_present`: it exists and has all its sets. Elements of an
  // incomplete table are read as well, since they name what is ours.
  Result<std::vector<Element>> read_elements(bool& table_present);

  // More about the last transaction.
  const NftOutcome& outcome() const { return outcome_; }

  // What a monitor has to know of us, and we of it (ipvs/nftables/monitor.hpp).
  struct Own {
    std::atomic<std::uint32_t> port = 0;  // the netlink port our changes come from
    std::atomic<int> monitor = -1;        // its socket; -1: there is none
  };
  using Port = std::shared_ptr<Own>;
  Port own_port() const { return port_; }

 private:
  explicit NftClient(NetlinkSocket socket);
  int send(Transaction transaction);
  int read_set(std::string_view name, std::vector<Element>& elements);

  NetlinkSocket socket_;
  SetsInUse read_sets_ = SetsInUse::all();  // by the rules that this client has installed
  Port port_;
  NftOutcome outcome_;
};

}  // namespace ipvs
