// SPDX-License-Identifier: Apache-2.0
//
// What was told about each Service, so that what comes up at every planning is told once. A text
// that differs is something else to tell; a Service that went and comes again is told about anew.
// Pure state.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "ipvs/state/desired.hpp"

namespace agent {

class Told {
 public:
  // Of one Service. One more, and what was told about it is forgotten: texts that never repeat must
  // not fill the memory.
  static constexpr std::size_t kMost = 100;

  // True the first time.
  bool first(const ipvs::Owner& owner, std::string reason, std::string note) {
    auto& told = of_[owner];
    if (told.size() >= kMost) told.clear();
    return told.emplace(std::move(reason), std::move(note)).second;
  }
  // The Service is gone, or not served any more.
  void forget(const ipvs::Owner& owner) { of_.erase(owner); }

 private:
  std::map<ipvs::Owner, std::set<std::pair<std::string, std::string>>> of_;
};

}  // namespace agent
