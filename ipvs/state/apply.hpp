// SPDX-License-Identifier: Apache-2.0
//
// Carries Changes out, in order, and says what became of each operation.
//
// Threading: runs on the kernel thread, calls the kernel and touches no state. The thread that owns
// the Ledger then records the Outcome there (ipvs/state/record_outcome.hpp).
//
// An operation is skipped when something it depends on failed: a virtual server and an address
// without their elements, a destination without its virtual server, the deletion of an element
// while what it protects could not be deleted.
//
// A refused nftables transaction is split until the refused elements are found; all others are
// carried out.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "ipvs/state/diff.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

inline constexpr int kSkipped = -2;

struct Outcome {
  // Parallel to the phases of Changes: errno, kUnknownOutcome or kSkipped.
  std::vector<int> protect, create, fill, bind, release, unbind, dismantle, unprotect;
  // Virtual servers that were read back because an operation left their state in doubt; nullopt: it
  // does not exist.
  std::map<ServerKey, std::optional<Server>> read_back;
  // The destinations of `leaving`, read after those that drain got their weight 0 and before any is
  // deleted; empty if that failed.
  std::vector<ServerReading> leaving;
  // Set when the state of addresses or elements was in doubt: all of them, as read afterwards.
  std::optional<std::vector<Address>> addresses;
  std::optional<std::vector<Element>> elements;
};

// `leaving`: virtual servers whose connections are to be counted.
Outcome apply(Kernel& kernel, const Changes& changes, std::span<const ServerKey> leaving = {});

}  // namespace ipvs
