// SPDX-License-Identifier: Apache-2.0
//
// The values of Prometheus' process_* metrics, from /proc/self.
#pragma once

#include <cstddef>

namespace agent {

struct ProcessStats {
  double cpu_seconds = 0;  // user and system
  double resident_bytes = 0;
  double open_fds = 0;
  double start_time_seconds = 0;  // Unix time, to a second
  double age_seconds = 0;         // since its start, to a hundredth
};

// Fields that cannot be read stay 0.
ProcessStats read_process_stats();

}  // namespace agent
