// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/node_table.hpp"

#include <algorithm>
#include <utility>

namespace agent {

void NodeTable::list_started() {
  sweep_.list_started();
  in_list_ = true;
}

void NodeTable::upsert(k8s::Node&& node) {
  const bool own = node.meta.key.name == own_name_;
  Record& record = nodes_[node.meta.key];
  record.mark = sweep_.mark();
  const std::string* zone = shared_zone(node);
  const bool moved = std::exchange(record.zone, zone) != zone;
  const bool readdressed = !own && index_addresses(node.meta.key, record, &node);
  if (own) {
    node.meta.resource_version.clear();  // changes with every heartbeat
    if (own_ != node) {
      own_ = std::move(node);
      events_.own_changed();
    }
  }
  if (moved) note_zone_change(own);
  if (readdressed && !in_list_) tell_changes();
}

void NodeTable::remove(const k8s::ObjectKey& key) {
  const auto found = nodes_.find(key);
  if (found == nodes_.end()) return;
  const bool own = key.name == own_name_;
  const bool had_zone = found->second.zone != nullptr;
  index_addresses(key, found->second, nullptr);
  nodes_.erase(found);
  if (own) {
    own_.reset();
    events_.own_changed();
  }
  if (had_zone) note_zone_change(own);
  if (!in_list_) tell_changes();
}

void NodeTable::list_finished() {
  sweep_.sweep(nodes_, [this](const k8s::ObjectKey& key) { remove(key); });
  in_list_ = false;
  tell_changes();
}

const std::string* NodeTable::shared_zone(const k8s::Node& node) {
  const auto label = node.meta.labels.find("topology.kubernetes.io/zone");
  if (label == node.meta.labels.end() || label->second.empty()) return nullptr;
  return &*zones_.insert(label->second).first;
}

void NodeTable::note_zone_change(bool own) {
  zones_changed_ = true;
  own_zone_changed_ = own_zone_changed_ || own;
  if (!in_list_) tell_changes();
}

void NodeTable::tell_changes() {
  if (std::exchange(addresses_changed_, false)) events_.addresses_changed();
  const bool own = std::exchange(own_zone_changed_, false);
  if (std::exchange(zones_changed_, false)) events_.zones_changed(own);
}

// Stores the addresses of `node` (nullptr: none) in the record and in by_address_. True if they
// changed.
bool NodeTable::index_addresses(const k8s::ObjectKey& key, Record& record, const k8s::Node* node) {
  std::vector<k8s::Address> next;
  if (node) {
    for (const k8s::NodeAddress& a : node->addresses) next.push_back(a.address);
  }
  if (next == record.addresses) return false;
  for (const k8s::Address& address : record.addresses) {
    const auto entry = by_address_.find(address);
    if (entry != by_address_.end() && entry->second == key.name) by_address_.erase(entry);
  }
  for (const k8s::Address& address : next) by_address_.insert_or_assign(address, key.name);
  record.addresses = std::move(next);
  addresses_changed_ = true;
  return true;
}

std::string_view NodeTable::other_with(const k8s::Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? std::string_view{} : found->second;
}

std::string_view NodeTable::zone_of(const std::string& name) const {
  const auto found = nodes_.find({.ns = "", .name = name});
  if (found == nodes_.end() || !found->second.zone) return {};
  return *found->second.zone;
}

bool NodeTable::eligible() const {
  if (nodes_.empty()) return true;
  return own_ && !own_->meta.deletion_timestamp &&
         std::find(own_->taint_keys.begin(), own_->taint_keys.end(),
                   "ToBeDeletedByClusterAutoscaler") == own_->taint_keys.end();
}

}  // namespace agent
