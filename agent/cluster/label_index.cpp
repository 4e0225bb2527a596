// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/label_index.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace agent {
namespace {

// Order among pointers of different objects needs std::less.
constexpr auto kByAddress = [](const LabelIndex::Label& a, const LabelIndex::Label& b) {
  return std::less<LabelIndex::Entry*>()(a.entry, b.entry);
};

template <typename T>
void erase_unordered(std::vector<T*>& items, const T* item) {
  const auto found = std::find(items.begin(), items.end(), item);
  if (found == items.end()) return;
  *found = items.back();
  items.pop_back();
}

}  // namespace

LabelIndex::LabelIndex() = default;
LabelIndex::~LabelIndex() = default;

bool selects(const LabelIndex::Set& selector, const LabelIndex::Set& labels) {
  return std::includes(labels.begin(), labels.end(), selector.begin(), selector.end(), kByAddress);
}

const std::string& LabelIndex::name_of(const std::string& ns,
                                       const k8s::Labels::value_type& label) {
  // No namespace, key or value can contain a NUL, so the name is unambiguous.
  name_.assign(ns).append(1, '\0').append(label.first).append(1, '\0').append(label.second);
  return name_;
}

LabelIndex::Set LabelIndex::acquire(const std::string& ns, const k8s::Labels& labels) {
  Set set;
  set.reserve(labels.size());
  for (const auto& label : labels) {
    auto [place, added] = entries_.try_emplace(name_of(ns, label));
    if (added) {
      place->second = std::make_unique<Entry>();
      place->second->name = &place->first;
    }
    ++place->second->users;
    set.push_back({.entry = place->second.get()});
  }
  std::sort(set.begin(), set.end(), kByAddress);
  return set;
}

void LabelIndex::release(Set& labels) {
  for (const Label& label : labels) {
    if (--label.entry->users == 0) entries_.erase(entries_.find(*label.entry->name));
  }
  labels.clear();
}

void LabelIndex::add_pod(Member& pod, const std::string& ns, const k8s::Labels& labels) {
  pod.labels = acquire(ns, labels);
  for (Label& label : pod.labels) {
    label.place = static_cast<std::uint32_t>(label.entry->pods.size());
    label.entry->pods.push_back(&pod);
  }
}

bool LabelIndex::carries(const Member& pod, const std::string& ns, const k8s::Labels& labels) {
  if (pod.labels.size() != labels.size()) return false;
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto entry = entries_.find(name_of(ns, label));
    if (entry == entries_.end()) return false;
    return std::binary_search(pod.labels.begin(), pod.labels.end(),
                              Label{.entry = entry->second.get()}, kByAddress);
  });
}

void LabelIndex::remove_pod(Member& pod) {
  for (const Label& label : pod.labels) {
    std::vector<Member*>& pods = label.entry->pods;
    // The last Pod takes the place of the removed one.
    Member* moved = pods.back();
    std::lower_bound(moved->labels.begin(), moved->labels.end(), label, kByAddress)->place =
        label.place;
    pods[label.place] = moved;
    pods.pop_back();
  }
  release(pod.labels);
}

void LabelIndex::add_service(Member& service, const std::string& ns, const k8s::Labels& selector) {
  service.labels = acquire(ns, selector);
  if (service.labels.empty()) return;
  const auto crowd = [](const Label& label) {
    return std::pair(label.entry->anchored.size(), label.entry->pods.size());
  };
  const Label& anchor =
      *std::min_element(service.labels.begin(), service.labels.end(),
                        [&](const Label& a, const Label& b) { return crowd(a) < crowd(b); });
  anchor.entry->anchored.push_back(&service);
}

void LabelIndex::remove_service(Member& service) {
  for (const Label& label : service.labels) erase_unordered(label.entry->anchored, &service);
  release(service.labels);
}

}  // namespace agent
