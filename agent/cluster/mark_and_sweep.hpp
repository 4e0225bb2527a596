// SPDX-License-Identifier: Apache-2.0
//
// Finds what a full list no longer mentions (see k8s/sink.hpp): every object carries the number of
// the list that mentioned it last, and at the end of a list those with an older number are gone.
#pragma once

#include <cstdint>
#include <vector>

#include "k8s/types.hpp"

namespace agent {

class MarkAndSweep {
 public:
  void list_started() { ++current_; }
  // The mark to store in an object that was just mentioned.
  std::uint32_t mark() const { return current_; }

  // The keys in `objects` (a map by ObjectKey) whose mark is old; mark_of(value) gives an object's
  // mark.
  template <typename Map, typename MarkOf>
  std::vector<k8s::ObjectKey> unmentioned(const Map& objects, MarkOf mark_of) const {
    std::vector<k8s::ObjectKey> keys;
    for (const auto& [key, value] : objects) {
      if (mark_of(value) != current_) keys.push_back(key);
    }
    return keys;
  }

 private:
  std::uint32_t current_ = 0;
};

}  // namespace agent
