// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/flow_sample.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <utility>
#include <vector>

namespace {

using agent::FlowSample;
using ipvs::FlowEvent;
using Kind = FlowEvent::Kind;
using namespace std::chrono_literals;

constexpr FlowSample::TimePoint kBegin{};

ipvs::FlowKey flow(std::uint32_t number) {
  return {.protocol = ipvs::Protocol::kTcp,
          .client = {boost::asio::ip::address_v4(0x0af40000 + number / 50'000),
                     static_cast<std::uint16_t>(number % 50'000 + 1)},
          .entrance = {boost::asio::ip::address_v4(0x0a600001), 80}};
}

FlowEvent event(Kind kind, std::uint32_t number, bool was_closed = false) {
  return {.kind = kind, .key = flow(number), .was_closed = was_closed};
}

}  // namespace

TEST_CASE("a connection is shown when it begins, and once when it ends, with how long it lasted") {
  FlowSample sample({});
  const auto begun = sample.take(event(Kind::kNew, 1), kBegin);
  REQUIRE(begun.has_value());
  CHECK_FALSE(begun->is_end);
  const auto ended = sample.take(event(Kind::kClosed, 1), kBegin + 1500ms);
  REQUIRE(ended.has_value());
  CHECK(ended->is_end);
  CHECK(ended->seconds == 1.5);
  // A reset after the end, and the deletion, are no ends.
  CHECK_FALSE(sample.take(event(Kind::kClosed, 1), kBegin + 2s).has_value());
  CHECK_FALSE(sample.take(event(Kind::kDeleted, 1), kBegin + 120s).has_value());
  CHECK(sample.remembered() == 0);
  const auto second = sample.end_second(1);
  CHECK(second.begun == 1);
  CHECK(second.ended == 1);
  CHECK(second.one_of == 1);
}

TEST_CASE("a connection that was there before is shown when it ends, without a duration") {
  FlowSample sample({});
  const auto closed = sample.take(event(Kind::kClosed, 1), kBegin);
  REQUIRE(closed.has_value());
  CHECK_FALSE(closed->seconds.has_value());
  CHECK_FALSE(sample.take(event(Kind::kDeleted, 1), kBegin + 120s).has_value());
  REQUIRE(sample.take(event(Kind::kDeleted, 2), kBegin).has_value());
  // It ended before we looked: only its entry is deleted now.
  CHECK_FALSE(sample.take(event(Kind::kDeleted, 3, true), kBegin).has_value());
}

TEST_CASE("the kernel's own times are better than ours, which begin when an event is read") {
  FlowSample sample({});
  sample.take(event(Kind::kNew, 1), kBegin);
  FlowEvent deleted = event(Kind::kDeleted, 1);
  deleted.seconds = 0.25;
  CHECK(sample.take(deleted, kBegin + 1s)->seconds == 0.25);
}

TEST_CASE("ports that a client uses again are another connection") {
  FlowSample sample({});
  sample.take(event(Kind::kNew, 1), kBegin);
  sample.take(event(Kind::kClosed, 1), kBegin + 1s);
  CHECK(sample.take(event(Kind::kNew, 1), kBegin + 2s).has_value());
  CHECK(sample.take(event(Kind::kClosed, 1), kBegin + 5s)->seconds == 3);
}

TEST_CASE("at high rates a sample is shown: of each connection both ends or none") {
  constexpr std::size_t kLines = 50, kRate = 2'000;
  FlowSample sample({.per_second = kLines, .seed = 7});
  std::uint32_t number = 0;
  std::size_t shown_late = 0, wrong = 0;
  std::uint64_t one_of = 0;
  for (int second = 0; second < 8; ++second) {
    const std::uint32_t first = number;
    const auto now = kBegin + std::chrono::seconds(second);
    std::map<std::uint32_t, bool> shown;
    for (; number < first + kRate; ++number)
      shown[number] = sample.take(event(Kind::kNew, number), now).has_value();
    for (std::uint32_t each = first; each < number; ++each) {
      const auto end = sample.take(event(Kind::kClosed, each), now + 10ms);
      wrong += end.has_value() != shown[each];
      if (end) wrong += end->seconds != 0.01;
    }
    const auto counted = sample.end_second(1);
    CHECK(counted.begun == kRate);
    CHECK(counted.ended == kRate);
    // Also in the first second, before any rate is known.
    CHECK(counted.shown < 20 * kLines);
    if (second >= 2) shown_late += counted.shown;
    one_of = counted.one_of;
  }
  CHECK(wrong == 0);
  CHECK(one_of == 2 * kRate / kLines);
  // About kLines a second for six seconds.
  CHECK(shown_late > 6 * kLines / 2);
  CHECK(shown_late < 6 * kLines * 2);
}

TEST_CASE("after a burst everything is shown again") {
  FlowSample sample({.per_second = 10});
  for (std::uint32_t i = 0; i < 5'000; ++i) sample.take(event(Kind::kNew, i), kBegin);
  sample.end_second(1);
  std::uint64_t one_of = sample.end_second(1).one_of;
  CHECK(one_of > 1);
  for (int i = 0; i < 20; ++i) one_of = sample.end_second(1).one_of;
  CHECK(one_of == 1);
  CHECK(sample.take(event(Kind::kNew, 9'999), kBegin).has_value());
}

TEST_CASE("clients with consecutive ports are sampled like any others") {
  constexpr std::uint32_t kMany = 20'000;
  FlowSample sample({.per_second = kMany / 100, .seed = 3});
  for (std::uint32_t i = 0; i < kMany; ++i) sample.take(event(Kind::kNew, i), kBegin);
  sample.end_second(1);  // from now on 1 of 100
  std::size_t shown = 0;
  for (std::uint32_t i = 0; i < kMany; ++i)
    shown += sample.take(event(Kind::kNew, i), kBegin).has_value();
  CHECK(shown > kMany / 100 / 2);
  CHECK(shown < kMany / 100 * 2);
}

TEST_CASE("no more connections are remembered than are allowed, and the oldest are forgotten") {
  FlowSample sample({.per_second = 100'000, .remembered = 100});
  for (std::uint32_t i = 0; i < 1'000; ++i) sample.take(event(Kind::kNew, i), kBegin);
  CHECK(sample.remembered() == 100);
  CHECK_FALSE(sample.take(event(Kind::kClosed, 0), kBegin)->seconds.has_value());
  CHECK(sample.take(event(Kind::kClosed, 999), kBegin)->seconds == 0);
}

TEST_CASE("whatever happens, the memory is bounded, and a connection ends at most once") {
  rc::check([] {
    constexpr std::size_t kFlows = 12;
    const bool forgets = *rc::gen::arbitrary<bool>();
    FlowSample sample({.per_second = 3,
                       .remembered = forgets ? 5 : kFlows,
                       .seed = *rc::gen::arbitrary<std::uint64_t>()});
    const auto events = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange<int>(0, kFlows)));
    std::map<int, int> ends;  // since the last beginning or deletion
    for (const auto& [kind, number] : events) {
      if (kind == 3) {
        RC_ASSERT(sample.end_second(1).one_of >= 1);
        continue;
      }
      const auto shown =
          sample.take(event(static_cast<Kind>(kind), static_cast<std::uint32_t>(number)), kBegin);
      RC_ASSERT(sample.remembered() <= (forgets ? 5 : kFlows));
      if (static_cast<Kind>(kind) == Kind::kNew) ends[number] = 0;
      if (shown && shown->is_end) RC_ASSERT(forgets || ++ends[number] == 1);
      if (static_cast<Kind>(kind) == Kind::kDeleted) ends[number] = 0;
    }
  });
}
