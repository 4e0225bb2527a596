// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/element.hpp"

#include <algorithm>
#include <cctype>

namespace ipvs {
namespace {

// As nftables writes it.
std::string lower_name(Protocol protocol) {
  std::string name(name_of(protocol));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

std::string_view family_suffix(const ElementKindRow& row, const Address& address) {
  if (row.shares_families) return "";
  return address.is_v4() ? "-4" : "-6";
}

}  // namespace

bool Element::same_key(const Element& other) const {
  const ElementKeyLess less;
  return !less(*this, other) && !less(other, *this);
}

std::string Element::text() const {
  const ElementKindRow& row = row_of(kind);
  const ElementKindRow::Set* set = set_of_class(*this);
  if (!set) return "element without a set";
  std::string text(set->name);
  text += family_suffix(row, address);
  const char* separator = " ";
  const auto append = [&](const std::string& component) {
    text += separator + component;
    separator = " . ";
  };
  if (row.key.address) append(address.to_string());
  if (row.key.address_again) append(address.to_string());
  if (row.key.port) {
    append(lower_name(protocol));
    append(std::to_string(port));
  }
  if (row.key.network) {
    append(source_network.address.to_string() + "/" + std::to_string(source_network.prefix_length));
  }
  if (row.has_target) {
    text += " : " + target.address.to_string() + " . " + std::to_string(target.port);
  }
  return text;
}

const ElementKindRow::Set* set_of_class(const Element& element) {
  const ElementKindRow& row = row_of(element.kind);
  if (!row.has_class()) return &row.sets[0];
  const auto set = std::find_if(row.sets.begin(), row.sets.end(), [&](const auto& s) {
    return !s.name.empty() && s.traffic_class == element.traffic_class;
  });
  return set == row.sets.end() ? nullptr : &*set;
}

bool depends_on(const ServerKey& server, const Element& element) {
  const ElementKindRow& row = row_of(element.kind);
  if (!row.outlives_servers) return false;
  switch (row.scope) {
    case ElementScope::kServer:
      return server.address == element.address && server.port == element.port &&
             server.protocol == element.protocol;
    case ElementScope::kNodePort:
      return server.port == element.port && server.protocol == element.protocol;
    case ElementScope::kAddress:
      return server.address == element.address;
    case ElementScope::kService:
      return false;
  }
  return false;
}

bool same_server(const Element& a, const Element& b) {
  return row_of(a.kind).key.network && b.kind == a.kind && a.address == b.address &&
         a.protocol == b.protocol && a.port == b.port;
}

// Networks overlap only by one holding the other.
bool overlap(const Element& a, const Element& b) {
  if (!same_server(a, b) || a.same_key(b)) return false;
  const Network& left = a.source_network;
  const Network& right = b.source_network;
  return is_in(left.address, right.address, right.prefix_length) ||
         is_in(right.address, left.address, left.prefix_length);
}

}  // namespace ipvs
