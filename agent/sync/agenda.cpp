// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/agenda.hpp"

#include <algorithm>

namespace agent {

void Agenda::schedule(Work work, TimePoint time) { at(work) = std::min(at(work), time); }

bool Agenda::take(Work work, TimePoint now) {
  if (!is_due(work, now)) return false;
  cancel(work);
  return true;
}

Agenda::TimePoint Agenda::next() const { return *std::min_element(times_.begin(), times_.end()); }

}  // namespace agent
