// SPDX-License-Identifier: Apache-2.0
//
// The table of the kernel as it was at a time: what is now, except where something was done since then;
// there it is what the first such entry says of before. Pure.
//
// An entry belongs to the Service that had the object then. So where a Service has taken over another's
// virtual server since, it seems to have had it before, too.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "agent/history/entry.hpp"

namespace agent {

class PastTable {
 public:
  // Object and endpoint, as in HistoryEntry.
  using Key = std::pair<std::string, std::string>;

  // An entry of after that time; the oldest comes first. False, and it is not kept: there are too many
  // keys.
  bool note(HistoryEntry&& entry);
  // What is there now. Precondition: all entries have been noted.
  void add(Key key, const std::string& state);

  // Takes out the next `most` keys, in their order, and calls take(key, state) for those that were
  // there; false: there are no more. Precondition: all that is there now was added.
  template <typename Take>
  bool take_some(std::size_t most, Take take);

 private:
  bool is_present(const Key& key, const std::string& state);

  // With their objects' and endpoints' texts, some 10 MB.
  static constexpr std::size_t kMostKeys = 50'000;
  std::map<Key, std::string> states_;  // "": absent
  std::string present_;                // the last object that was there, of those taken out
};

template <typename Take>
bool PastTable::take_some(std::size_t most, Take take) {
  for (; most > 0 && !states_.empty(); --most) {
    auto node = states_.extract(states_.begin());
    if (is_present(node.key(), node.mapped())) take(node.key(), node.mapped());
  }
  return !states_.empty();
}

}  // namespace agent
