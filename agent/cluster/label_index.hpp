// SPDX-License-Identifier: Apache-2.0
//
// Which Services select a Pod, and which Pods a Service selects, without visiting the others.
//
// Every (namespace, label key, label value) in use has one entry, shared by all Pods and Services
// that have it. A Service is anchored at one entry of its selector: the one with the fewest
// anchored Services, then the fewest Pods. So a Pod event visits only the Services anchored at the
// Pod's labels, and a Service event only the Pods with the Service's rarest label. Each visit
// compares two sorted lists of entry pointers.
//
//   Pod event      costs its labels, and the Services anchored there
//   Service event  costs the Pods with its rarest label
//
// Invariants:
//   1. An entry exists exactly as long as some Pod or Service refers to it.
//   2. A Service with a selector is in exactly one entry's `anchored` list.
//   3. Result equals naive matching of spec.selector against metadata.labels (a property test).
//
// Threading: none of its own; the agent's io_context thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
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
    std::uint32_t place = 0;  // of a Pod in the entry's `pods`, to remove it in constant time
  };
  // The labels of a Pod or the selector of a Service, ordered by the entries' addresses.
  using Set = std::vector<Label>;

  // A Pod or Service in the index. `id` is the caller's. Members must not move while they are in
  // it.
  struct Member {
    const void* id = nullptr;
    Set labels{};
  };

  LabelIndex();
  ~LabelIndex();

  void add_pod(Member& pod, const std::string& ns, const k8s::Labels& labels);
  void remove_pod(Member& pod);
  // Whether `pod` has exactly these labels. Precondition: it was added with this namespace.
  bool carries(const Member& pod, const std::string& ns, const k8s::Labels& labels);
  // An empty selector selects nothing.
  void add_service(Member& service, const std::string& ns, const k8s::Labels& selector);
  void remove_service(Member& service);

  // Calls visit(const Member&) for each match; order unspecified.
  template <typename Visit>
  void services_of(const Member& pod, Visit visit) const;
  template <typename Visit>
  void pods_of(const Member& service, Visit visit) const {
    pods_of(service, 0, std::numeric_limits<std::size_t>::max(), visit);
  }
  // In steps: looks at up to `most` Pods after the first `seen`, and returns how many it has seen
  // then; 0: there are no more. Precondition: the index has not changed between two steps.
  template <typename Visit>
  std::size_t pods_of(const Member& service, std::size_t seen, std::size_t most, Visit visit) const;

  std::size_t entry_count() const { return entries_.size(); }

 private:
  Set acquire(const std::string& ns, const k8s::Labels& labels);
  // The name of the entry, in name_: valid until the next call.
  const std::string& name_of(const std::string& ns, const k8s::Labels::value_type& label);
  void release(Set& labels);

  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
  std::string name_;  // a buffer, kept to save allocations
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
std::size_t LabelIndex::pods_of(const Member& service, std::size_t seen, std::size_t most,
                                Visit visit) const {
  const Entry* rarest = nullptr;
  for (const Label& label : service.labels) {
    if (!rarest || label.entry->pods.size() < rarest->pods.size()) rarest = label.entry;
  }
  if (!rarest) return 0;
  const std::size_t end = seen + std::min(most, rarest->pods.size() - seen);
  for (std::size_t i = seen; i < end; ++i) {
    const Member& pod = *rarest->pods[i];
    if (selects(service.labels, pod.labels)) visit(pod);
  }
  return end == rarest->pods.size() ? 0 : end;
}

}  // namespace agent
