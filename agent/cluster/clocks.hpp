// SPDX-License-Identifier: Apache-2.0
//
// The node's two clocks, in whole seconds. Every duration (a grace period, a drain timeout, a slow
// start) runs from when this node first saw its cause, on the monotonic clock: the times in objects
// are of other clocks, which may be minutes away from ours.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>

#include "agent/decide/endpoints.hpp"
#include "k8s/types.hpp"

namespace agent {

struct Clocks {
  std::function<MonotonicSeconds()> monotonic = [] {
    const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
    return MonotonicSeconds{std::chrono::duration_cast<std::chrono::seconds>(since_boot).count()};
  };
  // Used only for how long ago something happened before this process knew of it.
  std::function<k8s::UnixSeconds()> wall = [] { return k8s::UnixSeconds{std::time(nullptr)}; };
};

}  // namespace agent
