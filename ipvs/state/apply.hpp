// SPDX-License-Identifier: Apache-2.0
//
// Carries Changes out, in order, and says what became of each operation; and enters that in the
// Ledger.
//
// Two halves, because they run on two threads: apply() on the kernel thread (it calls the kernel
// and touches no state), enter() on the thread that owns the Ledger (it touches the Ledger and
// calls no kernel).
//
// Errors, per operation (rule: state follows the kernel):
//   0                       done
//   ESRCH/ENOENT on delete  done: it was gone already
//   EEXIST on add           read back: ours is entered as found, to be corrected by the next diff;
//   what is
//                           not ours is reported as foreign and left alone
//   unknown outcome         read back and entered as found
//   skipped                 what it depends on failed; not tried
//   anything else           a failure; the key is returned for a retry
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ipvs/state/diff.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

inline constexpr int kSkipped = -2;

struct Outcome {
  // Parallel to the phases of Changes: errno, kUnknownOutcome or kSkipped.
  std::vector<int> protect, create, fill, bind, release, unbind, dismantle, unprotect;
  // Virtual servers that were read back, because an operation left their state in doubt; nullopt:
  // not there.
  std::map<ServerKey, std::optional<Server>> read_back;
  // Set when addresses or elements were left in doubt: the complete truth, freshly read.
  std::optional<std::vector<Address>> addresses;
  std::optional<std::vector<Element>> elements;
};

Outcome apply(Kernel& kernel, const Changes& changes);

enum class FailureCause : std::uint8_t {
  kRefused,           // by the kernel, with error_number
  kSchedulerMissing,  // the module of the virtual server's scheduler is not there (ip_vs_ctl.c: ENOENT)
  kNoAnswer,          // the reply was lost
};

// One thing that did not work.
struct Failure {
  FailureCause cause = FailureCause::kRefused;
  std::string command;  // "NEW_DEST", "RTM_NEWADDR", "NEWSETELEM": the label of the error counter
  int error_number = 0;
  std::string what;  // "NEW_DEST TCP 10.96.0.1:80 -> 10.244.0.7:8080"
  Owner owner;
  std::string scheduler = {};  // that a virtual server was to have
};

struct Entered {
  DirtyKeys retry;                // what is still not as wanted
  std::vector<Failure> failures;  // what to log and count; consequences of another failure left out
  std::vector<ServerKey> foreign;  // virtual servers that exist and are not ours
  std::size_t done = 0;            // operations the kernel carried out
};

Entered enter(Ledger& ledger, const Desired& desired, const Changes& changes,
              const Outcome& outcome);

}  // namespace ipvs
