// SPDX-License-Identifier: Apache-2.0
//
// What was reported about each Service, so that a notice which every planning repeats is reported
// once. A Service that is deleted and created again starts from nothing. Pure state.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "ipvs/state/desired.hpp"

namespace agent {

class OncePerService {
 public:
  // Texts kept for one Service; beyond that all of them are forgotten, so that texts that never
  // repeat do not fill the memory.
  static constexpr std::size_t kMost = 100;

  // True the first time.
  bool first(const ipvs::Owner& owner, std::string reason, std::string note) {
    auto& reported = of_[owner];
    if (reported.size() >= kMost) reported.clear();
    return reported.emplace(std::move(reason), std::move(note)).second;
  }
  // The Service is deleted or no longer served.
  void forget(const ipvs::Owner& owner) { of_.erase(owner); }

 private:
  std::map<ipvs::Owner, std::set<std::pair<std::string, std::string>>> of_;
};

}  // namespace agent
