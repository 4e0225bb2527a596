// SPDX-License-Identifier: Apache-2.0
//
// The time of the kernel's last timer tick (1-10 ms ago, depending on CONFIG_HZ), for deadlines in
// seconds. Reading it never needs a system call; the precise time does when the clock source is the
// HPET or an emulated clock (clock_gettime(2)).
#pragma once

#include <ctime>

#include <chrono>

namespace k8s {

// Comparable with steady_clock::now(), and never later than it.
inline std::chrono::steady_clock::time_point coarse_now() {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::chrono::steady_clock::time_point(std::chrono::seconds(now.tv_sec) +
                                               std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace k8s
