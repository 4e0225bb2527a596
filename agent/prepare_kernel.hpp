// SPDX-License-Identifier: Apache-2.0
//
// What the start asks of the kernel before the agent runs. A refusal that may pass (memory, locks,
// lost replies, a device that somebody else deletes just now) is reported once, and the same is asked
// for again after growing pauses. Any other is for the operator to see: missing rights, modules or
// kernel features.
//
// Threading: blocks the caller, also while it pauses. A signal ends the process then
// (agent/stop_signals.hpp).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "config/config.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

using Pause = std::function<void(std::chrono::milliseconds)>;
void sleep_for(std::chrono::milliseconds time);

// Whether the same request may be accepted soon, though nobody changes anything.
bool may_pass(int error_number);

// Logs what was changed and what is not as it should be.
void log_prepared(const ipvs::HostFacts& facts);

// What the flags ask of the host.
ipvs::HostSettings host_settings(const config::Config& config);

// Prepares the kernel as the flags ask for it, and tries the scheduler. Returns "", or why the
// kernel cannot be prepared. Is repeated without end while the refusal may pass.
std::string prepare_kernel(const config::Config& config, ipvs::Kernel& kernel,
                           const Pause& pause = sleep_for);

}  // namespace agent
