// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/zone.hpp"

#include <algorithm>
#include <utility>

namespace agent::dns {

std::vector<const Record*> Zone::Node::of(Type type) const {
  std::vector<const Record*> found;
  for (const auto& [service, records] : parts_) {
    for (const Record& record : records) {
      if (record.type == type) found.push_back(&record);
    }
  }
  return found;
}

bool Zone::Node::has(Type type) const {
  return std::any_of(parts_.begin(), parts_.end(), [type](const auto& part) {
    return std::any_of(part.second.begin(), part.second.end(),
                       [type](const Record& record) { return record.type == type; });
  });
}

Type Zone::Node::first_type() const {
  return parts_.empty() ? Type::kAny : parts_.begin()->second.front().type;
}

// Ordered by owner, so that those of one name are together.
template <typename Visit>
void Zone::for_each_name(const std::vector<Record>& records, Visit visit) {
  for (auto first = records.begin(); first != records.end();) {
    const auto last = std::find_if(
        first, records.end(), [&](const Record& record) { return record.owner != first->owner; });
    visit(std::span<const Record>(first, last));
    first = last;
  }
}

// From the parent up to the apex; a name outside of the zone has none.
template <typename Visit>
void Zone::for_each_ancestor(const Name& name, Visit visit) {
  if (!is_within(name, apex_)) return;
  for (std::string_view at = name; at.size() > apex_.size();) {
    at = parent_of(at);
    visit(at);
  }
}

void Zone::add(const std::vector<Record>& records) {
  for_each_name(records, [&](std::span<const Record> part) {
    const Name& name = part.front().owner;
    Node& node = nodes_[name];
    if (node.parts_.empty()) {
      for_each_ancestor(name, [this](std::string_view each) { ++nodes_[Name(each)].below_; });
    }
    node.parts_[&records] = part;
    node.kept_.clear();
  });
}

void Zone::remove(const std::vector<Record>& records) {
  for_each_name(records, [&](std::span<const Record> part) {
    const Name& name = part.front().owner;
    const auto found = nodes_.find(name);
    Node& node = found->second;
    node.parts_.erase(&records);
    node.kept_.clear();
    if (!node.parts_.empty()) return;
    if (node.below_ == 0) nodes_.erase(found);
    for_each_ancestor(name, [this](std::string_view each) {
      const auto above = nodes_.find(each);
      if (--above->second.below_ == 0 && above->second.parts_.empty()) nodes_.erase(above);
    });
  });
}

void Zone::set(const std::string& service, std::vector<Record> records) {
  const auto found = services_.find(service);
  if (found == services_.end() ? records.empty() : found->second == records) return;
  ++serial_;
  if (serial_ == 0) ++serial_;  // Kept has a meaning for 0
  if (found != services_.end()) {
    remove(found->second);
    services_.erase(found);
  }
  if (records.empty()) return;
  add(services_.emplace(service, std::move(records)).first->second);
}

Zone::Node* Zone::find(std::string_view name) {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second;
}

}  // namespace agent::dns
