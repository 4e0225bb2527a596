// SPDX-License-Identifier: Apache-2.0
//
// The node's two clocks, in whole seconds. The monotonic one counts from the boot, so that the next
// agent can go on with what this one has noted (agent/cluster/memory.hpp). Every duration (a grace period, a drain timeout, a slow
// start) runs from when this node first saw its cause, on the monotonic clock: the times in objects
// are of other clocks, which may be minutes away from ours.
#pragma once

#include <ctime>
#include <functional>

#include "agent/decide/endpoints.hpp"
#include "k8s/types.hpp"

namespace agent {

struct Clocks {
  std::function<MonotonicSeconds()> monotonic = [] {
    timespec since_boot{};
    ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return MonotonicSeconds{since_boot.tv_sec};
  };
  // Used only for how long ago something happened before this process knew of it.
  std::function<k8s::UnixSeconds()> wall = [] { return k8s::UnixSeconds{std::time(nullptr)}; };
};

}  // namespace agent
