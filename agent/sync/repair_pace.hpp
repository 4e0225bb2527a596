// SPDX-License-Identifier: Apache-2.0
//
// How often one kind of repair is made. The first ones are made at once. Where they recur, somebody
// else wants something different, and then each waits longer than the one before: two programs that
// repair each other's work would otherwise do nothing else.
//
//   agenda.schedule(work, pace.next());        an event asks for a repair
//   if (differs) pace.repaired(now);           it was made
//
// Pure: the caller reads the clock.
#pragma once

#include <chrono>
#include <cstddef>

namespace agent {

class RepairPace {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    std::size_t burst = 5;  // repairs without a pause
    std::chrono::milliseconds first{1000};
    std::chrono::milliseconds limit{30'000};
    // Without a repair for so long after a pause, the next ones are made at once again.
    std::chrono::milliseconds calm{10'000};
  };
  // What to say about a repair.
  enum class Stage {
    kSingle,     // what was done
    kRecurring,  // the first one with a pause after it: that somebody does it again and again
    kFight,      // nothing, it was said
  };

  RepairPace() = default;
  explicit RepairPace(const Limits& limits) : limits_(limits) {}

  // When the next repair may begin; in the past, if at once.
  TimePoint next() const { return next_; }
  Stage repaired(TimePoint now);

 private:
  Limits limits_;
  std::size_t recent_ = 0;
  TimePoint next_ = TimePoint::min();
};

}  // namespace agent
