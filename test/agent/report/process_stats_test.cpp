// SPDX-License-Identifier: Apache-2.0
#include "agent/report/process_stats.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cmath>
#include <thread>

namespace {

TEST_CASE("process stats: the age grows with the time, and with the start it makes now") {
  const agent::ProcessStats first = agent::read_process_stats();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  const agent::ProcessStats second = agent::read_process_stats();
  CHECK(first.age_seconds >= 0);
  CHECK(second.age_seconds - first.age_seconds >= 0.03);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  CHECK(std::abs(second.start_time_seconds + second.age_seconds - now.count()) < 5);
}

}  // namespace
