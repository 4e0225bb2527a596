// SPDX-License-Identifier: Apache-2.0
#include "agent/log/repeats.hpp"

#include <algorithm>

namespace agent {
namespace {

void conclude(const LogRecord& record, std::uint64_t repeated, std::vector<Repeats::Line>& lines) {
  if (repeated > 0) lines.push_back({.record = record, .repeated = repeated});
}

}  // namespace

std::vector<Repeats::Line> Repeats::take(LogRecord record, Time now) {
  std::vector<Line> lines;
  const auto key = std::pair(record.place.file, record.place.line);
  const auto found = runs_.find(key);
  if (found != runs_.end()) {
    Run& run = found->second;
    if (say_the_same(run.record, record) && now - run.written < kWindow) {
      ++run.repeated;
      return lines;
    }
    conclude(run.record, run.repeated, lines);
  } else if (runs_.size() == kMostPlaces) {
    conclude_oldest(lines);
  }
  lines.push_back({.record = record});
  runs_[key] = {.record = std::move(record), .written = now};
  return lines;
}

std::vector<Repeats::Line> Repeats::take_due(Time now) {
  std::vector<Line> lines;
  std::erase_if(runs_, [&](const auto& entry) {
    const Run& run = entry.second;
    if (now - run.written < kWindow) return false;
    conclude(run.record, run.repeated, lines);
    return true;
  });
  return lines;
}

std::vector<Repeats::Line> Repeats::take_all() {
  std::vector<Line> lines;
  for (const auto& [key, run] : runs_) conclude(run.record, run.repeated, lines);
  runs_.clear();
  return lines;
}

void Repeats::conclude_oldest(std::vector<Line>& lines) {
  const auto oldest = std::min_element(
      runs_.begin(), runs_.end(),
      [](const auto& a, const auto& b) { return a.second.written < b.second.written; });
  conclude(oldest->second.record, oldest->second.repeated, lines);
  runs_.erase(oldest);
}

}  // namespace agent
