// SPDX-License-Identifier: Apache-2.0
//
// The node's two clocks, in whole seconds. The monotonic one counts from the boot, so that the next
// agent can go on with what this one has noted (agent/cluster/memory.hpp). Every duration (a grace
// period, a drain timeout, a slow start) runs from when this node first saw its cause, on the
// monotonic clock: the times in objects are of other clocks, which may be minutes away from ours.
//
// Threading: each thread has a monotonic clock of its own.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>

#include "agent/decide/endpoints.hpp"
#include "k8s/async/coarse_clock.hpp"
#include "k8s/types.hpp"

namespace agent {

// Each Service's plan asks for it, and on some machines reading it is a system call and a read of a
// slow device (k8s/async/coarse_clock.hpp): so it is read at most ten times a second.
inline MonotonicSeconds seconds_since_boot() {
  thread_local std::chrono::steady_clock::time_point read_at;
  thread_local MonotonicSeconds seconds = -1;
  const auto now = k8s::coarse_now();
  if (seconds >= 0 && now - read_at < std::chrono::milliseconds(100)) return seconds;
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  read_at = now;
  seconds = since_boot.tv_sec;
  return seconds;
}

struct Clocks {
  std::function<MonotonicSeconds()> monotonic = seconds_since_boot;
  // Used only for how long ago something happened before this process knew of it.
  std::function<k8s::UnixSeconds()> wall = [] { return k8s::UnixSeconds{std::time(nullptr)}; };
};

}  // namespace agent
