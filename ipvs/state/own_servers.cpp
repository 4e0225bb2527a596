// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/own_servers.hpp"

#include <algorithm>

namespace ipvs {

OwnServers::OwnServers(std::optional<std::span<const ServerKey>> record,
                       std::span<const Element> elements, std::span<const Address> addresses,
                       std::span<const Network> excluded)
    : has_record_(record.has_value()),
      elements_(elements.begin(), elements.end()),
      addresses_(addresses.begin(), addresses.end()),
      excluded_(excluded.begin(), excluded.end()) {
  if (record) record_.assign(record->begin(), record->end());
  std::sort(record_.begin(), record_.end());
  std::sort(elements_.begin(), elements_.end(), ElementKeyLess());
  std::sort(addresses_.begin(), addresses_.end());
}

bool OwnServers::names(const Element& element) const {
  return std::binary_search(elements_.begin(), elements_.end(), element, ElementKeyLess());
}

bool OwnServers::contains(const ServerKey& key) const {
  if (key.fwmark != 0) return false;
  if (std::binary_search(record_.begin(), record_.end(), key)) return true;
  if (is_in_any(key.address, excluded_)) return false;
  if (names({.kind = ElementKind::kServiceIp,
             .address = key.address,
             .protocol = key.protocol,
             .port = key.port})) {
    return true;
  }
  if (has_record_) return false;
  if (elements_.empty()) {
    return std::binary_search(addresses_.begin(), addresses_.end(), key.address);
  }
  return names({.kind = ElementKind::kNodePort, .protocol = key.protocol, .port = key.port}) &&
         names({.kind = ElementKind::kNodeAddress, .address = key.address});
}

std::set<Address> bound_by_us(const std::optional<std::vector<ServerKey>>& record,
                              std::span<const Element> elements) {
  std::set<Address> addresses;
  for (const Element& each : elements) {
    if (each.kind == ElementKind::kVirtualIp) addresses.insert(each.address);
  }
  if (record) {
    for (const ServerKey& key : *record) addresses.insert(key.address);
  }
  return addresses;
}

}  // namespace ipvs
