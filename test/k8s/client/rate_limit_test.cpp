// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/rate_limit.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>

namespace {

using namespace std::chrono_literals;
using k8s::RateLimit;

const RateLimit::Clock::time_point kStart{std::chrono::hours(1)};

}  // namespace

TEST_CASE("without a limit no request waits (18.2)") {
  RateLimit limit(0, 1);
  for (int i = 0; i < 100; ++i) CHECK(limit.take(kStart) == 0ms);
}

TEST_CASE("after the burst requests follow each other at the rate, in their order (18.2)") {
  RateLimit limit(5, 3);
  for (int i = 0; i < 3; ++i) CHECK(limit.take(kStart) == 0ms);
  CHECK(limit.take(kStart) == 200ms);
  CHECK(limit.take(kStart) == 400ms);
  CHECK(limit.take(kStart + 100ms) == 500ms);  // behind the two that wait
}

TEST_CASE("what is not used is kept up to the burst (18.2)") {
  RateLimit limit(0.5, 2);
  CHECK(limit.take(kStart) == 0ms);
  CHECK(limit.take(kStart) == 0ms);
  CHECK(limit.take(kStart + 2s) == 0ms);
  CHECK(limit.take(kStart + 2s) == 2s);
  const auto later = kStart + 1h;
  CHECK(limit.take(later) == 0ms);
  CHECK(limit.take(later) == 0ms);
  CHECK(limit.take(later) == 2s);
}

TEST_CASE("a burst of nothing is one, and a clock that stands still gives nothing (18.2)") {
  RateLimit limit(1, 0);
  CHECK(limit.take(kStart) == 0ms);
  CHECK(limit.take(kStart - 1s) == 1s);
  CHECK(limit.take(kStart) == 2s);
}
