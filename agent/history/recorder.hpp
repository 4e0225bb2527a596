// SPDX-License-Identifier: Apache-2.0
//
// Writes what was changed in the kernel into the history, with its causes.
//
// Threading: note_cause() and take_causes() on the agent's io_context thread; record(), read_some() and
// clock_of() where the kernel is called (agent/sync/kernel_thread.hpp).
// Limits: a first pass of more than 10,000 operations is one entry; before it, --at knows nothing.
//         Clocks of 20,000 endpoints: the one that was made first goes first.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/history/entry.hpp"
#include "agent/history/store.hpp"
#include "agent/sync/change_recorder.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/ledger.hpp"

namespace agent {

// Since when an endpoint of a Service gets new connections or none, as far as the history of this
// process knows; an endpoint that has not changed since the start has no clock.
struct EndpointClock {
  UnixMilliseconds changed = 0;    // the last change
  UnixMilliseconds out_since = 0;  // 0: it gets new connections
  UnixMilliseconds out_today = 0;  // milliseconds without, since midnight UTC; before out_since
  std::int64_t day = 0;            // of out_today, in days since the epoch
};

class HistoryRecorder : public ChangeRecorder {
 public:
  using Now = UnixMilliseconds (*)();
  HistoryRecorder(std::string directory, Now now) : store_(std::move(directory)), now_(now) {}

  // The plan of this Service may change because of it; the last one before the plan counts.
  void note_cause(const ipvs::Owner& service, Cause cause);

  // --- ChangeRecorder ---
  Causes take_causes() override;
  void record(const Batch& batch) override;

  // All entries, oldest first, some at a time: call it until it returns false, with a place that begins
  // as {}. The longest step is to inflate a block.
  struct Place {
    std::uint64_t block = 0;  // the last one that was read
    bool at_end = false;      // it was the last of all
    std::string text{};       // of that block
    std::size_t next = 0;     // what is to be read of it
  };
  bool read_some(Place& place, const std::function<void(HistoryEntry&&)>& take) const;
  // nullptr: it has not changed since the start.
  const EndpointClock* clock_of(const ipvs::Owner& service, const std::string& endpoint) const;
  const HistoryStore& store() const { return store_; }

 private:
  bool open_next(Place& place) const;
  void keep_clock(const HistoryEntry& entry);

  HistoryStore store_;
  const Now now_;
  Causes causes_;
  std::map<std::string, EndpointClock> clocks_;  // by Service and endpoint
  std::deque<std::string> clock_order_;          // their keys, as they were made
};

}  // namespace agent
