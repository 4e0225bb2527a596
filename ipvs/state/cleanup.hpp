// SPDX-License-Identifier: Apache-2.0
//
// What Kernel::cleanup() is asked for, and what it did.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipvs/state/kernel_error.hpp"

namespace ipvs {

struct CleanupRequest {
  // Leaves what kube-proxy's ipvs mode takes over when it starts: virtual servers, addresses of
  // kube-ipvs0, and host settings.
  bool handover = false;
  bool dry_run = false;  // changes nothing
};

struct CleanupStep {
  enum class Verb : std::uint8_t { kRemove, kMove, kRestore, kLeave };
  Verb verb = Verb::kRemove;
  std::string what;  // "virtual server TCP 10.96.0.1:80"
  bool operator==(const CleanupStep&) const = default;
};
// "removed virtual server TCP 10.96.0.1:80", or with `dry_run` "would remove ...".
std::string text(const CleanupStep& step, bool dry_run);

struct CleanupReport {
  std::vector<CleanupStep> steps;   // what was done, or would be
  std::vector<std::string> notes;   // for the operator, one line each
  std::vector<KernelError> faults;  // what could not be read or done
};

}  // namespace ipvs
