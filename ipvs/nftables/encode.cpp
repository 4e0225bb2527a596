// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/encode.hpp"
#include "ipvs/nftables/chain_messages.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <cstring>

#include "ipvs/nftables/message.hpp"
#include "ipvs/nftables/rules.hpp"
#include "ipvs/nftables/table.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {
namespace {

// enum udata_set_type and enum byteorder of nft.
constexpr std::uint8_t kUserDataKeyByteOrder = 0;
constexpr std::uint8_t kUserDataDataByteOrder = 1;
constexpr std::uint32_t kByteOrderUnspecified = 0;  // of a concatenation
constexpr std::uint32_t kByteOrderBigEndian = 2;

void begin(MessageBatch& batch, int command, int flags) {
  begin_nft_message(batch, NFPROTO_INET, command, flags);
}

void put_table(MessageBatch& batch, int command, int flags) {
  begin(batch, command, flags);
  batch.put_string(NFTA_TABLE_NAME, kTableName);
}

std::uint32_t flags_of(const TableSet& set) {
  std::uint32_t flags = 0;
  if (set.key.network) flags |= NFT_SET_INTERVAL | NFT_SET_CONCAT;
  if (set.data_length != 0) flags |= NFT_SET_MAP;
  return flags;
}

// The lengths of the components, which the kernel must know where ranges are matched.
void put_fields(MessageBatch& batch, const TableSet& set) {
  const std::uint32_t address = set.family == Family::kIpv4 ? 4 : 16;
  const std::size_t description = batch.begin_nest(NFTA_SET_DESC);
  const std::size_t list = batch.begin_nest(NFTA_SET_DESC_CONCAT);
  for (const std::uint32_t length : {address, std::uint32_t{1}, std::uint32_t{2}, address}) {
    const std::size_t field = batch.begin_nest(NFTA_LIST_ELEM);
    batch.put_be32(NFTA_SET_FIELD_LEN, length);
    batch.end_nest(field);
  }
  batch.end_nest(list);
  batch.end_nest(description);
}

void put_set(MessageBatch& batch, const TableSet& set, std::uint32_t id) {
  begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE);
  batch.put_string(NFTA_SET_TABLE, kTableName);
  batch.put_string(NFTA_SET_NAME, set.name);
  batch.put_be32(NFTA_SET_FLAGS, flags_of(set));
  batch.put_be32(NFTA_SET_KEY_TYPE, set.key_type);
  batch.put_be32(NFTA_SET_KEY_LEN, set.key_length);
  if (set.data_length != 0) {
    batch.put_be32(NFTA_SET_DATA_TYPE, set.data_type);
    batch.put_be32(NFTA_SET_DATA_LEN, set.data_length);
  }
  if (set.key.network) put_fields(batch, set);
  batch.put_be32(NFTA_SET_ID, id);
  const bool concatenation = set.key_type >= 1U << 6;
  struct Order {
    std::uint8_t type;
    std::uint8_t length = sizeof(std::uint32_t);
    std::array<std::byte, 4> value{};
  };
  std::array user_data{Order{kUserDataKeyByteOrder}, Order{kUserDataDataByteOrder}};
  const std::uint32_t order = concatenation ? kByteOrderUnspecified : kByteOrderBigEndian;
  std::memcpy(user_data[0].value.data(), &order, sizeof(order));
  if (set.data_length == 0) {
    batch.put_struct(NFTA_SET_USERDATA, user_data[0]);
  } else {
    batch.put_struct(NFTA_SET_USERDATA, user_data);
  }
}

// A key or value as in registers: components in network order, each padded to 4 bytes.
class Registers {
 public:
  void append(const Address& address) { append(address.bytes()); }
  void append(Protocol protocol) { append(std::array{static_cast<std::uint8_t>(protocol)}); }
  void append_port(std::uint16_t port) {
    append(std::array{static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)});
  }
  Bytes bytes() const { return Bytes(bytes_).first(size_); }

 private:
  void append(std::span<const std::uint8_t> component) {
    std::memcpy(bytes_.data() + size_, component.data(), component.size());
    size_ += (component.size() + 3) & ~std::size_t{3};
  }

  std::array<std::byte, 40> bytes_{};
  std::size_t size_ = 0;
};

// `network`: the last component of an interval set's key, the first or the last address of the
// range.
Registers key_of(const Element& element, const TableSet& set, const Address& network) {
  Registers key;
  if (set.key.address) key.append(element.address);
  if (set.key.address_again) key.append(element.address);
  if (set.key.port) {
    key.append(element.protocol);
    key.append_port(element.port);
  }
  if (set.key.network) key.append(network);
  return key;
}

void put_registers(MessageBatch& batch, int type, const Registers& registers) {
  const std::size_t nest = batch.begin_nest(static_cast<std::uint16_t>(type));
  batch.put_bytes(NFTA_DATA_VALUE, registers.bytes());
  batch.end_nest(nest);
}

void put_element(MessageBatch& batch, int command, const Element& element, const TableSet& set) {
  const std::size_t item = batch.begin_nest(NFTA_LIST_ELEM);
  put_registers(batch, NFTA_SET_ELEM_KEY, key_of(element, set, element.source_network.address));
  if (set.key.network) {
    const Network& network = element.source_network;
    const Address last = last_address(network.address, network.prefix_length);
    put_registers(batch, NFTA_SET_ELEM_KEY_END, key_of(element, set, last));
  }
  if (set.data_length != 0 && command == NFT_MSG_NEWSETELEM) {
    Registers value;
    value.append(element.target.address);
    value.append_port(element.target.port);
    put_registers(batch, NFTA_SET_ELEM_DATA, value);
  }
  batch.end_nest(item);
}

// Writes elements into as few messages as their order allows: a new message begins when the command
// or the set changes, or after kElementsPerMessage.
class ElementWriter {
 public:
  explicit ElementWriter(MessageBatch& batch) : batch_(batch) {}
  // True: this began a message.
  bool write(int command, int flags, const Element& element, const TableSet& set) {
    const bool begins = command != command_ || &set != set_ || count_ == kElementsPerMessage;
    if (begins) {
      finish();
      command_ = command;
      set_ = &set;
      begin(batch_, command, flags);
      batch_.put_string(NFTA_SET_ELEM_LIST_TABLE, kTableName);
      batch_.put_string(NFTA_SET_ELEM_LIST_SET, set.name);
      list_ = batch_.begin_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
    }
    put_element(batch_, command, element, set);
    ++count_;
    return begins;
  }
  void finish() {
    if (count_ > 0) batch_.end_nest(list_);
    count_ = 0;
    set_ = nullptr;
  }

 private:
  MessageBatch& batch_;
  int command_ = 0;
  const TableSet* set_ = nullptr;
  std::size_t list_ = 0;
  std::size_t count_ = 0;
};

// Elements by set, so that the messages of a set are full; empty, with `misplaced`, if one has no
// set.
using ElementsBySet = std::vector<std::vector<const Element*>>;
ElementsBySet sort_by_set(std::span<const Element> elements,
                          std::optional<std::size_t>& misplaced) {
  ElementsBySet sorted(table_sets().size());
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const TableSet* set = set_of(elements[i]);
    if (!set) {
      misplaced = i;
      return {};
    }
    sorted[static_cast<std::size_t>(set - table_sets().data())].push_back(&elements[i]);
  }
  return sorted;
}

}  // namespace

Transaction encode_install(const TableRules& rules, std::span<const Element> elements) {
  Transaction transaction;
  const ElementsBySet sorted = sort_by_set(elements, transaction.misplaced);
  if (transaction.misplaced) return transaction;

  MessageBatch& batch = transaction.batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  // Deletes the table if it exists: created first, it always does. (NFT_MSG_DESTROYTABLE needs
  // Linux 6.3.)
  put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  put_table(batch, NFT_MSG_DELTABLE, 0);
  put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  std::uint32_t id = 0;
  for (const TableSet& set : table_sets()) put_set(batch, set, ++id);
  for (const Chain& chain : table_chains()) put_chain(batch, kTableName, chain);
  for (const Rule& rule : table_rules(rules)) put_rule(batch, kTableName, rule);
  ElementWriter writer(batch);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (const Element* element : sorted[i]) {
      writer.write(NFT_MSG_NEWSETELEM, NLM_F_CREATE, *element, table_sets()[i]);
    }
  }
  writer.finish();
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  transaction.ranges.resize(batch.size());
  return transaction;
}

Transaction encode_changes(std::span<const ElementOp> ops) {
  Transaction transaction;
  MessageBatch& batch = transaction.batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  transaction.ranges.emplace_back();
  ElementWriter writer(batch);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const TableSet* set = set_of(ops[i].element);
    if (!set) {
      transaction.misplaced = i;
      return transaction;
    }
    const bool begins = ops[i].add ? writer.write(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL,
                                                  ops[i].element, *set)
                                   : writer.write(NFT_MSG_DELSETELEM, 0, ops[i].element, *set);
    if (begins) transaction.ranges.push_back({i, i});
    transaction.ranges.back().last = i + 1;
  }
  writer.finish();
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  transaction.ranges.emplace_back();
  return transaction;
}

namespace {

void put_flush(MessageBatch& batch, const Chain& chain) {
  begin(batch, NFT_MSG_DELRULE, 0);
  batch.put_string(NFTA_RULE_TABLE, kTableName);
  batch.put_string(NFTA_RULE_CHAIN, chain.name);
}

}  // namespace

Transaction encode_delete_table() {
  Transaction transaction;
  put_nft_boundary(transaction.batch, NFNL_MSG_BATCH_BEGIN);
  put_table(transaction.batch, NFT_MSG_DELTABLE, 0);
  put_nft_boundary(transaction.batch, NFNL_MSG_BATCH_END);
  transaction.ranges.resize(transaction.batch.size());
  return transaction;
}

Transaction encode_replace_rules(const TableRules& rules) {
  Transaction transaction;
  MessageBatch& batch = transaction.batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  for (const Chain& chain : table_chains()) put_flush(batch, chain);
  for (const Rule& rule : table_rules(rules)) put_rule(batch, kTableName, rule);
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  transaction.ranges.resize(batch.size());
  return transaction;
}

Transaction encode_keep_masquerading() {
  Transaction transaction;
  MessageBatch& batch = transaction.batch;
  put_nft_boundary(batch, NFNL_MSG_BATCH_BEGIN);
  // All rules first, because the chains lead to each other.
  for (const Chain& chain : table_chains()) {
    if (!masquerades(chain)) put_flush(batch, chain);
  }
  for (const Chain& chain : table_chains()) {
    if (masquerades(chain)) continue;
    begin(batch, NFT_MSG_DELCHAIN, 0);
    batch.put_string(NFTA_CHAIN_TABLE, kTableName);
    batch.put_string(NFTA_CHAIN_NAME, chain.name);
  }
  for (const TableSet& set : table_sets()) {
    if (masquerades(set.kind)) continue;
    begin(batch, NFT_MSG_DELSET, 0);
    batch.put_string(NFTA_SET_TABLE, kTableName);
    batch.put_string(NFTA_SET_NAME, set.name);
  }
  put_nft_boundary(batch, NFNL_MSG_BATCH_END);
  transaction.ranges.resize(batch.size());
  return transaction;
}

void encode_get_table(MessageBatch& batch) { put_table(batch, NFT_MSG_GETTABLE, 0); }

void encode_get_elements(MessageBatch& batch, std::string_view set) {
  begin(batch, NFT_MSG_GETSETELEM, NLM_F_DUMP);
  batch.put_string(NFTA_SET_ELEM_LIST_TABLE, kTableName);
  batch.put_string(NFTA_SET_ELEM_LIST_SET, set);
}

}  // namespace ipvs
