// SPDX-License-Identifier: Apache-2.0
//
// How fast requests may follow each other: a token bucket, as client-go has it (clientConnection.qps
// and burst). Each request takes a token, and waits for it if there is none; in the order of
// their asking. Without I/O.
//
// Threading: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace k8s {

class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  // `per_second` 0: no limit. `burst`: the tokens at the start, and the most there ever are.
  RateLimit(double per_second, std::uint32_t burst)
      : per_second_(per_second), burst_(std::max(burst, std::uint32_t{1})), tokens_(burst_) {}

  // Takes a token. How long to wait for it.
  Clock::duration take(Clock::time_point now) {
    if (per_second_ <= 0) return Clock::duration::zero();
    const std::chrono::duration<double> passed = now - std::exchange(last_, std::max(last_, now));
    tokens_ = std::min(burst_, tokens_ + std::max(passed.count(), 0.0) * per_second_);
    tokens_ -= 1;  // below 0: that many are waited for
    if (tokens_ >= 0) return Clock::duration::zero();
    return std::chrono::ceil<Clock::duration>(
        std::chrono::duration<double>(-tokens_ / per_second_));
  }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  Clock::time_point last_{};
};

}  // namespace k8s
