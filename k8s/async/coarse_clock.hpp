// SPDX-License-Identifier: Apache-2.0
//
// The time of the last timer tick (1-10 ms ago, by CONFIG_HZ), for what is counted in seconds. The
// vDSO has it at hand whatever the clock source; with the HPET or an emulated clock the precise
// time is a system call and a read of the device (clock_gettime(2)).
#pragma once

#include <ctime>

#include <chrono>

namespace k8s {

// Comparable with steady_clock::now(), before which it is.
inline std::chrono::steady_clock::time_point coarse_now() {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::chrono::steady_clock::time_point(std::chrono::seconds(now.tv_sec) +
                                               std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace k8s
