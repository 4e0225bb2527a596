// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/repair_pace.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>

namespace agent {
namespace {

using namespace std::chrono_literals;
using Stage = RepairPace::Stage;

const RepairPace::TimePoint kNoon{100h};

}  // namespace

TEST_CASE("the first repairs are made at once; those that recur wait longer and longer (C5)") {
  RepairPace pace;
  CHECK(pace.next() <= kNoon);
  for (int i = 0; i < 4; ++i) {
    CHECK(pace.repaired(kNoon) == Stage::kSingle);
    CHECK(pace.next() <= kNoon);
  }
  CHECK(pace.repaired(kNoon) == Stage::kRecurring);
  CHECK(pace.next() == kNoon + 1s);
  auto now = kNoon + 1s;
  for (const auto pause : {2s, 4s, 8s, 16s, 30s, 30s}) {
    CHECK(pace.repaired(now) == Stage::kFight);
    CHECK(pace.next() == now + pause);
    now += pause;
  }
}

TEST_CASE("after a calm the next repair is made at once again (C5)") {
  RepairPace pace;
  for (int i = 0; i < 6; ++i) pace.repaired(kNoon);
  REQUIRE(pace.next() == kNoon + 2s);
  CHECK(pace.repaired(kNoon + 2s + 10s) == Stage::kFight);
  const auto later = kNoon + 12s + 4s + 10s + 1ms;
  CHECK(pace.repaired(later) == Stage::kSingle);
  CHECK(pace.next() <= later);
}

TEST_CASE("a fight of years does not overflow the pause (C5)") {
  RepairPace pace;
  for (int i = 0; i < 100'000; ++i) pace.repaired(kNoon);
  CHECK(pace.next() == kNoon + 30s);
}

}  // namespace agent
