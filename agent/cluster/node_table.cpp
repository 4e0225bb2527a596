// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/node_table.hpp"

#include <algorithm>
#include <utility>

namespace agent {
namespace {

std::vector<k8s::Address> internal_ips_of(const k8s::Node& node) {
  std::vector<k8s::Address> addresses;
  for (const k8s::NodeAddress& each : node.addresses) {
    if (each.type == k8s::NodeAddressType::kInternalIp) addresses.push_back(each.address);
  }
  return addresses;
}

}  // namespace

bool NodeTable::Part::has(const k8s::ObjectKey& key) const {
  const auto found = table_.nodes_.find(key);
  return found != table_.nodes_.end() && found->second.part == this;
}

void NodeTable::Part::list_started() {
  sweep_.list_started();
  in_list_ = true;
}

void NodeTable::Part::keep(const k8s::ObjectKey& key) {
  if (has(key)) sweep_.keep(table_.nodes_, key);
}

void NodeTable::Part::list_finished() {
  sweep_.sweep(table_.nodes_, [this](const k8s::ObjectKey& key) {
    if (has(key)) table_.remove(key, *this);
  });
  in_list_ = false;
  table_.tell_changes();
}

void NodeTable::upsert(k8s::Node&& node, const Part& part) {
  const bool own = node.meta.key.name == own_name_;
  Record& record = nodes_[node.meta.key];
  record.mark = part.mark();
  record.part = &part;
  const std::string* zone = shared_zone(node);
  const bool moved = std::exchange(record.zone, zone) != zone;
  if (own) {
    node.meta.resource_version.clear();  // changes with every heartbeat
    if (own_ != node) {
      own_ = std::move(node);
      events_.own_changed();
    }
  } else {
    events_.internal_ips(node.meta.key.name, internal_ips_of(node));
  }
  if (moved) note_zone_change(own, part);
}

void NodeTable::remove(const k8s::ObjectKey& key, const Part& part) {
  const auto found = nodes_.find(key);
  if (found == nodes_.end()) return;
  const bool own = key.name == own_name_;
  const bool had_zone = found->second.zone != nullptr;
  const std::string name = key.name;  // `key` may point into the record
  nodes_.erase(found);
  if (own) {
    own_.reset();
    events_.own_changed();
  } else {
    events_.internal_ips(name, {});
  }
  if (had_zone) note_zone_change(own, part);
}

const std::string* NodeTable::shared_zone(const k8s::Node& node) {
  const auto label = node.meta.labels.find("topology.kubernetes.io/zone");
  if (label == node.meta.labels.end() || label->second.empty()) return nullptr;
  return &*zones_.insert(label->second).first;
}

void NodeTable::note_zone_change(bool own, const Part& part) {
  zones_changed_ = true;
  own_zone_changed_ = own_zone_changed_ || own;
  if (!part.in_list()) tell_changes();
}

void NodeTable::tell_changes() {
  const bool own = std::exchange(own_zone_changed_, false);
  if (std::exchange(zones_changed_, false)) events_.zones_changed(own);
}

std::string_view NodeTable::zone_of(const std::string& name) const {
  const auto found = nodes_.find({.ns = "", .name = name});
  if (found == nodes_.end() || !found->second.zone) return {};
  return *found->second.zone;
}

bool NodeTable::eligible() const {
  if (nodes_.empty()) return !expects_own_;
  return own_ && !own_->meta.deletion_timestamp &&
         std::find(own_->taint_keys.begin(), own_->taint_keys.end(),
                   "ToBeDeletedByClusterAutoscaler") == own_->taint_keys.end();
}

}  // namespace agent
