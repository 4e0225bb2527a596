// SPDX-License-Identifier: Apache-2.0
//
// Finds the objects that a full list no longer contains (k8s/sink.hpp): every object carries the
// number of the last list that contained it, and at the end of a list those with an older number
// are removed.
//
// The tables that use it are maps by ObjectKey, of records with a member `mark`.
#pragma once

#include <cstdint>
#include <vector>

#include "k8s/types.hpp"

namespace agent {

class MarkAndSweep {
 public:
  void list_started() { ++current_; }
  // The mark of an object that the current list contains.
  std::uint32_t mark() const { return current_; }
  // Marks the record of `key`, if there is one.
  template <typename Records>
  void keep(Records& records, const k8s::ObjectKey& key) const {
    const auto found = records.find(key);
    if (found != records.end()) found->second.mark = current_;
  }
  // At the end of a list: calls remove(key) for each record with an older mark. `remove` may change
  // `records`.
  template <typename Records, typename Remove>
  void sweep(const Records& records, Remove remove) const {
    std::vector<k8s::ObjectKey> old;
    for (const auto& [key, record] : records) {
      if (record.mark != current_) old.push_back(key);
    }
    for (const k8s::ObjectKey& key : old) remove(key);
  }

 private:
  std::uint32_t current_ = 0;
};

}  // namespace agent
