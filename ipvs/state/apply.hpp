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
//
// Where others may have to wait, the work is cut into steps of some milliseconds, and `must_pause` is
// asked between them. After it has said yes nothing more is begun, and what is left comes back as
// deferred. A few steps are always taken, so that a caller who is always asked for more gets on.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "ipvs/state/diff.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

inline constexpr int kSkipped = -2;
// Not tried yet, because apply() paused: see take_deferred().
inline constexpr int kDeferred = -3;

// What the kernel took for which kind of objects, in seconds.
struct KernelSeconds {
  double elements = 0, servers = 0, destinations = 0, addresses = 0;
};

struct Outcome {
  // Parallel to the phases of Changes: errno, kUnknownOutcome, kSkipped or kDeferred.
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
  KernelSeconds seconds;
};

// Asked on the kernel thread.
using MustPause = std::function<bool()>;

// Operations of one step: of each kind what the kernel does in some milliseconds. To add an address
// takes the longer the more kube-ipvs0 has; to read the destinations of a virtual server is a dump.
struct StepSizes {
  std::size_t elements = 512;
  std::size_t servers = 128;  // virtual servers and destinations
  std::size_t addresses = 16;
  std::size_t readings = 32;
  int least_steps = 4;  // before the first pause
};

// `leaving`: virtual servers whose connections are to be counted. Without `must_pause` each phase is
// one call of the kernel.
Outcome apply(Kernel& kernel, const Changes& changes, std::span<const ServerKey> leaving = {},
              const MustPause& must_pause = {}, const StepSizes& sizes = {});

// Moves what was deferred out of both; the result is still to be carried out, in the same order.
Changes take_deferred(Changes& changes, Outcome& outcome);

}  // namespace ipvs
