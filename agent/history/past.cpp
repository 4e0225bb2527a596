// SPDX-License-Identifier: Apache-2.0
#include "agent/history/past.hpp"

#include <utility>

namespace agent {

bool PastTable::note(HistoryEntry&& entry) {
  if (entry.error != 0 || entry.command.ends_with("SETELEM")) return true;
  Key key{std::move(entry.object), std::move(entry.endpoint)};
  if (states_.size() == kMostKeys) return states_.contains(key);
  states_.try_emplace(std::move(key), std::move(entry.before));
  return true;
}

void PastTable::add(Key key, const std::string& state) {
  states_.try_emplace(std::move(key), state);
}

// An object comes before its endpoints: a virtual server that was not there had no destinations.
bool PastTable::is_present(const Key& key, const std::string& state) {
  if (state.empty()) return false;
  if (key.second.empty()) present_ = key.first;
  return key.first == present_;
}

}  // namespace agent
