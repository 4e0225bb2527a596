// SPDX-License-Identifier: Apache-2.0
//
// Lines that repeat. What one line of our source logs is written at once; if it logs the same again
// within 10 s, that is only counted, and one line with the count follows when these 10 s are over or
// when that line of our source logs something else. Pure state.
//
// Invariants: at most kMostPlaces records are kept; beyond that the oldest is concluded early.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "agent/log/record.hpp"

namespace agent {

class Repeats {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWindow{10};
  static constexpr std::size_t kMostPlaces = 128;

  struct Line {
    LogRecord record;
    std::uint64_t repeated = 0;  // since it was written; 0: the record itself
  };

  // Each returns what is to be written now, in this order.
  std::vector<Line> take(LogRecord record, Time now);
  std::vector<Line> take_due(Time now);  // of windows that are over
  std::vector<Line> take_all();

 private:
  struct Run {
    LogRecord record;
    Time written;
    std::uint64_t repeated = 0;
  };
  using Runs = std::map<std::pair<const char*, int>, Run>;

  void conclude_oldest(std::vector<Line>& lines);

  Runs runs_;  // by file and line
};

}  // namespace agent
