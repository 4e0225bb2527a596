// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/agenda.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>

namespace {

using namespace std::chrono_literals;
using agent::Agenda;
using agent::Work;

constexpr Agenda::TimePoint kNoon{12h};

}  // namespace

TEST_CASE("an empty agenda has nothing due and nothing to wait for") {
  Agenda agenda;
  CHECK_FALSE(agenda.is_due(kNoon));
  CHECK(agenda.next() == Agenda::TimePoint::max());
  CHECK_FALSE(agenda.take(Work::kAudit, kNoon));
  CHECK_FALSE(agenda.is_scheduled(Work::kAudit));
}

TEST_CASE("scheduled work is due from its time on, and other work is not") {
  Agenda agenda;
  agenda.schedule(Work::kAudit, kNoon);
  CHECK(agenda.is_scheduled(Work::kAudit));
  CHECK(agenda.next() == kNoon);
  CHECK_FALSE(agenda.is_due(kNoon - 1ns));
  CHECK(agenda.is_due(kNoon));
  CHECK(agenda.is_due(Work::kAudit, kNoon + 1h));
  CHECK_FALSE(agenda.is_due(Work::kRetry, kNoon + 1h));
  CHECK_FALSE(agenda.is_scheduled(Work::kRetry));
}

TEST_CASE("work is taken once, and not before it is due") {
  Agenda agenda;
  agenda.schedule(Work::kCheckDraining, kNoon);
  CHECK_FALSE(agenda.take(Work::kCheckDraining, kNoon - 1ns));
  CHECK(agenda.is_scheduled(Work::kCheckDraining));
  CHECK(agenda.take(Work::kCheckDraining, kNoon));
  CHECK_FALSE(agenda.is_scheduled(Work::kCheckDraining));
  CHECK_FALSE(agenda.take(Work::kCheckDraining, kNoon));
}

TEST_CASE("work that is scheduled twice is due at the earlier time") {
  Agenda agenda;
  agenda.schedule(Work::kPlanAgain, kNoon);
  agenda.schedule(Work::kPlanAgain, kNoon + 1s);
  CHECK(agenda.next() == kNoon);
  agenda.schedule(Work::kPlanAgain, kNoon - 1s);
  CHECK(agenda.next() == kNoon - 1s);
}

TEST_CASE("what an event asks for is due at any time, even if it was scheduled for later") {
  Agenda agenda;
  agenda.schedule(Work::kCheckAddresses, kNoon);
  agenda.now(Work::kCheckAddresses);
  CHECK(agenda.is_due(Work::kCheckAddresses, Agenda::TimePoint::min()));
  agenda.schedule(Work::kCheckAddresses, kNoon);
  CHECK(agenda.take(Work::kCheckAddresses, kNoon - 1h));
}

TEST_CASE("work that is asked for while it is done is due once more") {
  Agenda agenda;
  agenda.now(Work::kInstallTable);
  REQUIRE(agenda.take(Work::kInstallTable, kNoon));
  agenda.now(Work::kInstallTable);
  CHECK(agenda.take(Work::kInstallTable, kNoon));
}

TEST_CASE(
    "the next time is that of the earliest work, and moves on as work is taken or cancelled") {
  Agenda agenda;
  agenda.schedule(Work::kAudit, kNoon + 3s);
  agenda.schedule(Work::kRetry, kNoon + 1s);
  agenda.schedule(Work::kPlanAgain, kNoon + 2s);
  CHECK(agenda.next() == kNoon + 1s);
  CHECK(agenda.take(Work::kRetry, kNoon + 1s));
  CHECK(agenda.next() == kNoon + 2s);
  agenda.cancel(Work::kPlanAgain);
  CHECK(agenda.next() == kNoon + 3s);
  agenda.cancel(Work::kAudit);
  CHECK(agenda.next() == Agenda::TimePoint::max());
}
