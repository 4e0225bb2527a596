// SPDX-License-Identifier: Apache-2.0
#include "agent/node_table.hpp"

#include <algorithm>

namespace agent {

void NodeTable::upsert(k8s::Node node) {
  node.meta.resource_version.clear();  // moves with every heartbeat
  auto [place, added] = nodes_.try_emplace(node.meta.key);
  place->second.mark = sweep_.mark();
  if (!added && place->second.node == node) return;
  place->second.node = std::move(node);
  if (place->first.name == own_name_) own_changed_();
}

void NodeTable::remove(const k8s::ObjectKey& key) {
  const bool own = key.name == own_name_;
  if (nodes_.erase(key) > 0 && own) own_changed_();
}

void NodeTable::keep(const k8s::ObjectKey& key) {
  const auto found = nodes_.find(key);
  if (found != nodes_.end()) found->second.mark = sweep_.mark();
}

void NodeTable::list_finished() {
  for (const auto& key : sweep_.unmentioned(nodes_, [](const Record& r) { return r.mark; })) {
    remove(key);
  }
}

const k8s::Node* NodeTable::own() const {
  const auto found = nodes_.find({.ns = "", .name = own_name_});
  return found == nodes_.end() ? nullptr : &found->second.node;
}

bool NodeTable::eligible() const {
  if (nodes_.empty()) return true;
  const k8s::Node* node = own();
  return node && !node->meta.deletion_timestamp &&
         std::find(node->taint_keys.begin(), node->taint_keys.end(),
                   "ToBeDeletedByClusterAutoscaler") == node->taint_keys.end();
}

}  // namespace agent
