// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/decode.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <boost/endian/conversion.hpp>
#include <cstring>
#include <optional>

#include "ipvs/nftables/table.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {
namespace {

bool is_inet(Bytes payload) {
  nfgenmsg header;
  if (payload.size() < sizeof(header)) return false;
  std::memcpy(&header, payload.data(), sizeof(header));
  return header.nfgen_family == NFPROTO_INET;
}

std::optional<Bytes> attribute(Bytes nest, std::uint16_t type) {
  for (AttributeReader reader(nest); const auto found = reader.next();) {
    if (found->type == type) return found->payload;
  }
  return std::nullopt;
}

// Reads a key component by component; each takes a multiple of 4 bytes.
class KeyReader {
 public:
  explicit KeyReader(Bytes key) : rest_(key) {}
  Address address(Family family) {
    if (family == Family::kIpv4)
      return boost::asio::ip::address_v4(take<boost::asio::ip::address_v4::bytes_type>());
    return boost::asio::ip::address_v6(take<boost::asio::ip::address_v6::bytes_type>());
  }
  std::uint8_t protocol() { return take<std::uint8_t>(); }
  std::uint16_t port() { return boost::endian::big_to_native(take<std::uint16_t>()); }

 private:
  // The caller has made sure that the key is as long as its set's keys are.
  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, rest_.data(), sizeof(value));
    rest_ = rest_.subspan((sizeof(value) + 3) & ~std::size_t{3});
    return value;
  }
  Bytes rest_;
};

bool is_known(std::uint8_t protocol) {
  return protocol == static_cast<std::uint8_t>(Protocol::kTcp) ||
         protocol == static_cast<std::uint8_t>(Protocol::kUdp) ||
         protocol == static_cast<std::uint8_t>(Protocol::kSctp);
}

std::optional<Element> element_of(Bytes key, const TableSet& set) {
  if (key.size() != set.key_length) return std::nullopt;
  KeyReader reader(key);
  Element element{.kind = set.kind};
  if (set.family) element.address = unspecified(*set.family);
  if (set.key.address) element.address = reader.address(*set.family);
  if (set.key.address_again && reader.address(*set.family) != element.address) return std::nullopt;
  if (set.key.port) {
    const std::uint8_t protocol = reader.protocol();
    if (!is_known(protocol)) return std::nullopt;
    element.protocol = static_cast<Protocol>(protocol);
    element.port = reader.port();
    element.traffic_class = set.traffic_class;
  }
  if (set.key.network) element.source_network = {.address = reader.address(*set.family)};
  return element;
}

bool add_target(Element& element, const std::optional<Bytes>& data, const TableSet& set) {
  if (!data || data->size() != set.data_length) return false;
  KeyReader reader(*data);
  element.target.address = reader.address(*set.family);
  element.target.port = reader.port();
  return true;
}

// Both ends of a range differ in their last component only, and that is a network.
bool add_prefix(Element& element, const std::optional<Bytes>& end, const TableSet& set) {
  if (!end) return false;
  const auto last = element_of(*end, set);
  if (!last) return false;
  const auto prefix = prefix_length(element.source_network.address, last->source_network.address);
  if (!prefix || last->address != element.address || last->protocol != element.protocol ||
      last->port != element.port) {
    return false;
  }
  element.source_network.prefix_length = *prefix;
  return true;
}

// One NFTA_LIST_ELEM.
std::optional<Element> decode_element(Bytes item, const TableSet& set) {
  std::optional<Bytes> key;
  std::optional<Bytes> end;
  std::optional<Bytes> data;
  for (AttributeReader reader(item); const auto found = reader.next();) {
    if (found->type == NFTA_SET_ELEM_KEY) key = attribute(found->payload, NFTA_DATA_VALUE);
    if (found->type == NFTA_SET_ELEM_KEY_END) end = attribute(found->payload, NFTA_DATA_VALUE);
    if (found->type == NFTA_SET_ELEM_DATA) data = attribute(found->payload, NFTA_DATA_VALUE);
    if (found->type == NFTA_SET_ELEM_FLAGS && found->be32().value_or(0) != 0) return std::nullopt;
  }
  if (!key || (end && !set.key.network)) return std::nullopt;
  auto element = element_of(*key, set);
  if (!element) return std::nullopt;
  if (set.key.network && !add_prefix(*element, end, set)) return std::nullopt;
  if (set.data_length != 0 && !add_target(*element, data, set)) return std::nullopt;
  return element;
}

}  // namespace

void decode_elements(Bytes payload, std::vector<Element>& elements) {
  if (!is_inet(payload)) return;
  std::string_view table;
  const TableSet* set = nullptr;
  Bytes list;
  for (AttributeReader reader(payload, sizeof(nfgenmsg)); const auto found = reader.next();) {
    if (found->type == NFTA_SET_ELEM_LIST_TABLE) table = found->string();
    if (found->type == NFTA_SET_ELEM_LIST_SET) set = set_named(found->string());
    if (found->type == NFTA_SET_ELEM_LIST_ELEMENTS) list = found->payload;
  }
  if (table != kTableName || !set) return;
  for (AttributeReader reader(list); const auto item = reader.next();) {
    if (item->type != NFTA_LIST_ELEM) continue;
    if (const auto element = decode_element(item->payload, *set)) elements.push_back(*element);
  }
}

bool concerns_our_table(std::uint16_t message_type, Bytes payload) {
  if (NFNL_SUBSYS_ID(message_type) != NFNL_SUBSYS_NFTABLES || !is_inet(payload)) return false;
  switch (NFNL_MSG_TYPE(message_type)) {
    case NFT_MSG_NEWTABLE:
    case NFT_MSG_DELTABLE:
    case NFT_MSG_NEWCHAIN:
    case NFT_MSG_DELCHAIN:
    case NFT_MSG_NEWRULE:
    case NFT_MSG_DELRULE:
    case NFT_MSG_NEWSET:
    case NFT_MSG_DELSET:
    case NFT_MSG_NEWSETELEM:
    case NFT_MSG_DELSETELEM:
      break;
    default:
      return false;
  }
  // In each of these messages the table's name is attribute 1.
  static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
                NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1);
  for (AttributeReader reader(payload, sizeof(nfgenmsg)); const auto found = reader.next();) {
    if (found->type == NFTA_TABLE_NAME) return found->string() == kTableName;
  }
  return false;
}

}  // namespace ipvs
