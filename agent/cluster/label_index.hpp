// SPDX-License-Identifier: Apache-2.0
//
// Which Services select a Pod, and which Pods a Service selects, without visiting the others.
//
// Every (namespace, label key, label value) in use has one entry, shared by all who carry it. A
// Service is anchored at one entry of its selector, the least crowded; a Pod then meets only the
// Services anchored at its own labels, and a Service only the Pods at its rarest label. Whether a
// Service really selects a Pod is one comparison of two sorted lists of entry pointers.
//
//   pod event:      cost of its labels, and the Services anchored there
//   service event:  cost of the Pods that carry its rarest label
//
// Invariants:
//   1. An entry exists exactly as long as some Pod or Service refers to it.
//   2. A Service with a selector is in exactly one entry's `anchored` list.
//   3. Result equals naive matching of spec.selector against metadata.labels (a property test).
//
// Threading: none of its own; the agent's io_context thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "k8s/types.hpp"

namespace agent {

class LabelIndex {
 public:
  struct Entry;
  struct Label {
    Entry* entry = nullptr;
    std::uint32_t place = 0;  // of a Pod, in the entry's `pods`: it leaves in constant time
  };
  // The labels of a Pod or the selector of a Service, ordered by the entries' addresses.
  using Set = std::vector<Label>;

  // A Pod or Service as the index sees it; `id` is the caller's, stable while it is in the index.
  struct Member {
    const void* id = nullptr;
    Set labels{};
  };

  LabelIndex();
  ~LabelIndex();

  void add_pod(Member& pod, const std::string& ns, const k8s::Labels& labels);
  void remove_pod(Member& pod);
  // Whether `pod`, which was added with this namespace, has these labels and no others.
  bool carries(const Member& pod, const std::string& ns, const k8s::Labels& labels);
  // An empty selector selects nothing.
  void add_service(Member& service, const std::string& ns, const k8s::Labels& selector);
  void remove_service(Member& service);

  // Calls visit(const Member&) for each match; order unspecified.
  template <typename Visit>
  void services_of(const Member& pod, Visit visit) const;
  template <typename Visit>
  void pods_of(const Member& service, Visit visit) const;

  std::size_t entry_count() const { return entries_.size(); }

 private:
  Set acquire(const std::string& ns, const k8s::Labels& labels);
  // The entry's name, in name_.
  const std::string& name_of(const std::string& ns, const k8s::Labels::value_type& label);
  void release(Set& labels);

  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
  std::string name_;  // used again and again
};

struct LabelIndex::Entry {
  const std::string* name = nullptr;  // key in entries_
  std::size_t users = 0;
  std::vector<Member*> pods;
  std::vector<Member*> anchored;
};

// True when every entry of `selector` is in `labels`; both ordered.
bool selects(const LabelIndex::Set& selector, const LabelIndex::Set& labels);

template <typename Visit>
void LabelIndex::services_of(const Member& pod, Visit visit) const {
  for (const Label& label : pod.labels) {
    for (const Member* service : label.entry->anchored) {
      if (selects(service->labels, pod.labels)) visit(*service);
    }
  }
}

template <typename Visit>
void LabelIndex::pods_of(const Member& service, Visit visit) const {
  const Entry* rarest = nullptr;
  for (const Label& label : service.labels) {
    if (!rarest || label.entry->pods.size() < rarest->pods.size()) rarest = label.entry;
  }
  if (!rarest) return;
  for (const Member* pod : rarest->pods) {
    if (selects(service.labels, pod->labels)) visit(*pod);
  }
}

}  // namespace agent
