// SPDX-License-Identifier: Apache-2.0
//
// Waiting for what the kernel does after its answer to the request: for an IPv6 address, the route
// and the notification come from a work queue.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <thread>

#include "ipvs/state/kernel_monitor.hpp"

inline constexpr std::chrono::seconds kSoon{5};

// Whether it becomes true.
template <typename Condition>
bool soon(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + kSoon;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// What the monitor reports until so many VIP events were there.
inline ipvs::KernelEvents drain_vips(ipvs::KernelMonitor& monitor, std::size_t count) {
  ipvs::KernelEvents all;
  const auto limit = std::chrono::steady_clock::now() + kSoon;
  do {
    pollfd readable{.fd = monitor.fd(), .events = POLLIN, .revents = 0};
    ::poll(&readable, 1, 100);
    ipvs::KernelEvents events = monitor.drain();
    all.vips.insert(all.vips.end(), events.vips.begin(), events.vips.end());
    all.node_addresses = all.node_addresses || events.node_addresses;
    all.device = all.device || events.device;
  } while (all.vips.size() < count && std::chrono::steady_clock::now() < limit);
  return all;
}
