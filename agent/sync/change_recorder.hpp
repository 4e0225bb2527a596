// SPDX-License-Identifier: Apache-2.0
//
// Who keeps what the sync loop changed in the kernel (agent/history/recorder.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "ipvs/state/apply.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/diff.hpp"
#include "ipvs/state/ledger.hpp"

namespace agent {

// The event that led to a change.
struct Cause {
  std::string object{};            // "EndpointSlice default/web-7k2"; "": none is known
  std::string verb{};              // "changed", "deleted", "listed"; else what happened
  std::string resource_version{};  // of the object
  std::int64_t seen = 0;           // when this node learned of it, Unix milliseconds; 0: not known
  bool operator==(const Cause&) const = default;
};
using Causes = std::map<ipvs::Owner, Cause>;

class ChangeRecorder {
 public:
  struct Batch {
    const ipvs::Changes& changes;
    const ipvs::Outcome& outcome;
    const ipvs::Desired& desired;
    const ipvs::Ledger& before;  // what the kernel held until then
    const Causes& causes;
    double seconds = 0;  // in the kernel
    bool is_first = false;
  };
  virtual ~ChangeRecorder() = default;
  // The causes that were noted since the last call. On the io_context thread.
  virtual Causes take_causes() = 0;
  // Called where the kernel is called, while the sync loop waits.
  virtual void record(const Batch& batch) = 0;
};

}  // namespace agent
