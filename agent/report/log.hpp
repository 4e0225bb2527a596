// SPDX-License-Identifier: Apache-2.0
//
// How the agent logs: spdlog to standard error, one line per record, as text in klog's form or as
// JSON with the keys that Kubernetes components use (ts, level, msg).
//
//   I1122 14:05:31.201934 sync: 12 Services planned, 30 operations in 4.0 ms
//   {"ts":1795359931.201934,"level":"info","msg":"sync: 12 Services planned, 30 operations in 4.0
//   ms"}
//
// Levels: error = a person must act; warn = degraded, the agent continues; info = what changed;
// debug (--v 2) = every pass; trace (--v 4) = every event.
#pragma once

#include <spdlog/formatter.h>

#include <memory>

#include "config/config.hpp"

namespace agent {

// A record is always one line of printable text, and at most 16 KiB: text of others in it is
// escaped (config/printable.hpp).
std::unique_ptr<spdlog::formatter> log_formatter(config::LogFormat format);

void set_up_log(config::LogFormat format, int verbosity);

}  // namespace agent
