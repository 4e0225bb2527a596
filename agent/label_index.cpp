// SPDX-License-Identifier: Apache-2.0
#include "agent/label_index.hpp"

#include <algorithm>
#include <functional>

namespace agent {
namespace {

// Order among pointers of different objects needs std::less.
constexpr std::less<LabelIndex::Entry*> kByAddress;

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

LabelIndex::Set LabelIndex::acquire(const std::string& ns, const k8s::Labels& labels) {
  Set set;
  set.reserve(labels.size());
  std::string name;
  for (const auto& [key, value] : labels) {
    // No namespace, key or value can contain a NUL, so the name is unambiguous.
    name.assign(ns).append(1, '\0').append(key).append(1, '\0').append(value);
    auto [place, added] = entries_.try_emplace(name);
    if (added) {
      place->second = std::make_unique<Entry>();
      place->second->name = &place->first;
    }
    ++place->second->users;
    set.push_back(place->second.get());
  }
  std::sort(set.begin(), set.end(), kByAddress);
  return set;
}

void LabelIndex::release(Set& labels) {
  for (Entry* entry : labels) {
    if (--entry->users == 0) entries_.erase(entries_.find(*entry->name));
  }
  labels.clear();
}

void LabelIndex::add_pod(Member& pod, const std::string& ns, const k8s::Labels& labels) {
  pod.labels = acquire(ns, labels);
  pod.places.reserve(pod.labels.size());
  for (Entry* entry : pod.labels) {
    pod.places.push_back(static_cast<std::uint32_t>(entry->pods.size()));
    entry->pods.push_back(&pod);
  }
}

void LabelIndex::remove_pod(Member& pod) {
  for (std::size_t i = 0; i < pod.labels.size(); ++i) {
    Entry* entry = pod.labels[i];
    // The last one takes the place of the one that leaves.
    Member* moved = entry->pods.back();
    const auto at = std::lower_bound(moved->labels.begin(), moved->labels.end(), entry, kByAddress);
    moved->places[static_cast<std::size_t>(at - moved->labels.begin())] = pod.places[i];
    entry->pods[pod.places[i]] = moved;
    entry->pods.pop_back();
  }
  pod.places.clear();
  release(pod.labels);
}

void LabelIndex::add_service(Member& service, const std::string& ns, const k8s::Labels& selector) {
  service.labels = acquire(ns, selector);
  if (service.labels.empty()) return;
  const auto crowd = [](const Entry* entry) {
    return std::pair(entry->anchored.size(), entry->pods.size());
  };
  Entry* anchor =
      *std::min_element(service.labels.begin(), service.labels.end(),
                        [&](const Entry* a, const Entry* b) { return crowd(a) < crowd(b); });
  anchor->anchored.push_back(&service);
}

void LabelIndex::remove_service(Member& service) {
  for (Entry* entry : service.labels) erase_unordered(entry->anchored, &service);
  release(service.labels);
}

}  // namespace agent
