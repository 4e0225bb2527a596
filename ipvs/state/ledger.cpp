// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/ledger.hpp"

#include <algorithm>
#include <utility>

namespace ipvs {
namespace {

auto place_of(std::vector<Destination>& destinations, const Endpoint& endpoint) {
  return std::lower_bound(destinations.begin(), destinations.end(), endpoint,
                          [](const Destination& d, const Endpoint& e) { return d.endpoint < e; });
}

}  // namespace

const Server* Ledger::server(const ServerKey& key) const {
  const auto entry = servers_.find(key);
  return entry == servers_.end() ? nullptr : &entry->second;
}

const Element* Ledger::element(const Element& key) const {
  const auto entry = elements_.find(key);
  return entry == elements_.end() ? nullptr : &*entry;
}

void Ledger::put_server(Server server) {
  const ServerKey key = server.settings.key;
  lost_.erase(key);
  if (const Server* old = this->server(key)) destination_count_ -= old->destinations.size();
  destination_count_ += server.destinations.size();
  const auto [entry, added] = servers_.insert_or_assign(key, std::move(server));
  if (added && key.address.is_v6()) ipv6_.insert(key);
  note_draining(entry->second);
}

std::optional<ServerKey> Ledger::next_ipv6_server(const ServerKey& key) const {
  if (ipv6_.empty()) return std::nullopt;
  const auto next = ipv6_.upper_bound(key);
  return next == ipv6_.end() ? *ipv6_.begin() : *next;
}

void Ledger::set_settings(const VirtualServer& settings) {
  servers_[settings.key].settings = settings;
}

void Ledger::lose_server(const ServerKey& key) {
  remove_server(key);
  lost_.insert(key);
}

void Ledger::remove_server(const ServerKey& key) {
  lost_.erase(key);
  const auto entry = servers_.find(key);
  if (entry == servers_.end()) return;
  destination_count_ -= entry->second.destinations.size();
  draining_.erase(key);
  ipv6_.erase(key);
  servers_.erase(entry);
}

void Ledger::put_destination(const ServerKey& key, const Destination& destination) {
  const auto entry = servers_.find(key);
  if (entry == servers_.end()) return;
  auto& destinations = entry->second.destinations;
  const auto place = place_of(destinations, destination.endpoint);
  bool was_draining = false;
  if (place != destinations.end() && place->endpoint == destination.endpoint) {
    was_draining = place->weight == 0;
    place->weight = destination.weight;
  } else {
    destinations.insert(place, destination);
    ++destination_count_;
  }
  // Looks at all destinations, of which there may be thousands: only if the answer may change.
  if (destination.weight == 0 || was_draining) note_draining(entry->second);
}

void Ledger::remove_destination(const ServerKey& key, const Endpoint& endpoint) {
  const auto entry = servers_.find(key);
  if (entry == servers_.end()) return;
  auto& destinations = entry->second.destinations;
  const auto place = place_of(destinations, endpoint);
  if (place == destinations.end() || place->endpoint != endpoint) return;
  const bool was_draining = place->weight == 0;
  destinations.erase(place);
  --destination_count_;
  if (was_draining) note_draining(entry->second);
}

void Ledger::put_element(const Element& element) {
  elements_.erase(element);
  elements_.insert(element);
}

DirtyKeys Ledger::all_keys() const {
  DirtyKeys keys;
  for (const auto& [key, server] : servers_) keys.servers.insert(key);
  keys.addresses = addresses_;
  keys.elements = elements_;
  return keys;
}

std::vector<ServerKey> Ledger::server_keys() const {
  std::vector<ServerKey> keys;
  keys.reserve(servers_.size());
  for (const auto& [key, server] : servers_) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

void Ledger::note_draining(const Server& server) {
  const bool drains = std::any_of(server.destinations.begin(), server.destinations.end(),
                                  [](const Destination& d) { return d.weight == 0; });
  if (drains) {
    draining_.insert(server.settings.key);
  } else {
    draining_.erase(server.settings.key);
  }
}

}  // namespace ipvs
