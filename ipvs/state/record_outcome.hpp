// SPDX-License-Identifier: Apache-2.0
//
// Records in the Ledger what became of Changes, and says what failed and what to retry.
//
// Threading: runs on the thread that owns the Ledger and calls no kernel; its other half, apply()
// (ipvs/state/apply.hpp), calls the kernel and touches no state.
//
// Errors, per operation (rule: state follows the kernel):
//   0                       done
//   ESRCH/ENOENT on delete  done: it had been deleted already
//   EEXIST on add           read back: a virtual server of ours is recorded as found, and the next
//                           diff corrects it; one that is not ours is reported as foreign and left
//                           alone
//   unknown outcome         read back and recorded as found
//   skipped                 what it depends on failed; not tried
//   anything else           a failure; the key is returned for a retry
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ipvs/state/apply.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/diff.hpp"
#include "ipvs/state/dirty_keys.hpp"
#include "ipvs/state/ledger.hpp"

namespace ipvs {

enum class FailureCause : std::uint8_t {
  kRefused,           // by the kernel, with error_number
  kSchedulerMissing,  // the virtual server's scheduler has no module here (ip_vs_ctl.c: ENOENT)
  kNoAnswer,          // the reply was lost
};

// What a failed operation was to change; none: something that belongs to no key.
using FailedKey = std::variant<std::monostate, ServerKey, Address, Element>;

// One operation that failed.
struct Failure {
  FailureCause cause = FailureCause::kRefused;
  std::string command;  // "NEW_DEST", "RTM_NEWADDR", "NEWSETELEM": the label of the error counter
  int error_number = 0;
  std::string what;  // "NEW_DEST TCP 10.96.0.1:80 -> 10.244.0.7:8080"
  Owner owner;
  std::string scheduler = {};  // that a virtual server was to have
  Blame blame = Blame::kPassing;
  FailedKey key = {};
  unsigned tries = 1;  // how often it has failed in a row; counted by agent::Retries

  std::string text() const;  // "NEW_DEST TCP 10.96.0.1:80 -> 10.244.0.7:8080: Invalid argument"
};

struct Recorded {
  DirtyKeys retry;                // what is still not as wanted
  std::vector<Failure> failures;  // to be logged and counted; without those that another one caused
  std::vector<ServerKey> foreign;  // virtual servers that exist and are not ours
  std::size_t done = 0;            // operations the kernel carried out
};

Recorded record_outcome(Ledger& ledger, const Desired& desired, const Changes& changes,
                        const Outcome& outcome);

}  // namespace ipvs
