// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/repair_pace.hpp"

#include <algorithm>

namespace agent {

RepairPace::Stage RepairPace::repaired(TimePoint now) {
  if (recent_ > 0 && now > next_ + limits_.calm) recent_ = 0;
  ++recent_;
  next_ = now;
  if (recent_ < limits_.burst) return Stage::kSingle;
  const std::size_t doublings = std::min<std::size_t>(recent_ - limits_.burst, 20);
  next_ += std::min<std::chrono::milliseconds>(limits_.first * (1 << doublings), limits_.limit);
  return recent_ == limits_.burst ? Stage::kRecurring : Stage::kFight;
}

}  // namespace agent
