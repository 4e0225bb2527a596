// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/watch_policy.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

using k8s::Asked;
using k8s::Attempt;
using k8s::Backoff;
using k8s::Outcome;
using k8s::Step;
using std::chrono::milliseconds;
using Next = k8s::Step::Next;
using Pause = k8s::Step::Pause;

Attempt refused(Asked asked, int code) {
  Attempt attempt{.asked = asked, .outcome = Outcome::kRefused};
  attempt.status.code = code;
  return attempt;
}

}  // namespace

TEST_CASE("back-off doubles from 0.8 s to 30 s, with jitter, until it is reset", "[watch_policy]") {
  Backoff low;
  Backoff high;
  const std::vector<int> least{800, 1600, 3200, 6400, 12800, 15000, 15000};
  for (const int expected : least) {
    CHECK(low.next(0).count() == expected);
    const auto most = high.next(0.999999).count();
    CHECK(most >= 2 * expected - 2);
    CHECK(most <= 2 * expected);
  }
  low.failures = 1'000'000;
  CHECK(low.next(0) == milliseconds(15'000));
  low.reset();
  CHECK(low.next(0) == milliseconds(800));
}

TEST_CASE("a complete list is followed by a watch immediately", "[watch_policy]") {
  const Step step = k8s::next_step({.asked = Asked::kNextPage});
  CHECK(step.next == Next::kWatch);
  CHECK(step.pause == Pause::kNone);
  CHECK_FALSE(step.fault);
}

TEST_CASE("an expired continue token lists without paging, without a pause", "[watch_policy]") {
  const Step step = k8s::next_step(refused(Asked::kNextPage, 410));
  CHECK(step.next == Next::kFullList);
  CHECK(step.pause == Pause::kNone);
}

TEST_CASE("a 404 is an empty resource only where that is allowed, and only before the first list",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kList, 404);
  CHECK(k8s::next_step(attempt).next == Next::kList);
  attempt.optional_resource = true;
  CHECK(k8s::next_step(attempt).next == Next::kUnserved);
  attempt.listed_before = true;
  CHECK(k8s::next_step(attempt).next == Next::kList);
  attempt.other_version_left = true;
  CHECK(k8s::next_step(attempt).next == Next::kOtherVersion);
}

TEST_CASE("a watch that lasted is resumed immediately, a short one after a pause",
          "[watch_policy]") {
  Attempt attempt{
      .asked = Asked::kWatch, .outcome = Outcome::kDone, .lived = milliseconds(300'000)};
  CHECK(k8s::next_step(attempt).pause == Pause::kNone);
  CHECK(k8s::next_step(attempt).settled);
  CHECK_FALSE(k8s::next_step(attempt).fault);
  attempt.lived = milliseconds(10);
  CHECK(k8s::next_step(attempt).next == Next::kWatch);
  CHECK(k8s::next_step(attempt).pause == Pause::kBackoff);
  CHECK_FALSE(k8s::next_step(attempt).settled);
}

TEST_CASE("an expired watch lists again, immediately unless the last list is recent",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kWatch, 410);
  attempt.since_list = milliseconds(600'000);
  CHECK(k8s::next_step(attempt).next == Next::kList);
  CHECK(k8s::next_step(attempt).pause == Pause::kNone);
  attempt.since_list = milliseconds(100);
  CHECK(k8s::next_step(attempt).pause == Pause::kBackoff);
}

TEST_CASE("a request refused by an overloaded server is repeated after its Retry-After",
          "[watch_policy]") {
  for (const int code : {401, 429, 500, 503, 504}) {
    CHECK(k8s::next_step(refused(Asked::kWatch, code)).next == Next::kWatch);
    CHECK(k8s::next_step(refused(Asked::kWatch, code)).pause == Pause::kBackoff);
  }
  Attempt attempt = refused(Asked::kWatch, 429);
  attempt.status.retry_after_seconds = 3;
  CHECK(k8s::next_step(attempt).pause == Pause::kRetryAfter);
  attempt.asked = Asked::kList;
  CHECK(k8s::next_step(attempt).pause == Pause::kRetryAfter);
}

TEST_CASE("any other refusal of a watch lists again", "[watch_policy]") {
  for (const int code : {400, 403, 404}) {
    CHECK(k8s::next_step(refused(Asked::kWatch, code)).next == Next::kList);
  }
}

TEST_CASE("a resource version newer than the server waits for it, but not forever",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kWatch, 504);
  attempt.status.message = "Timeout: Too large resource version: 9, current: 5";
  attempt.stuck = 1;
  CHECK(k8s::next_step(attempt).next == Next::kWatch);
  attempt.stuck = k8s::kMaxStuck;
  CHECK(k8s::next_step(attempt).next == Next::kList);
}

TEST_CASE("invalid data is watched again from the same resource version, three times",
          "[watch_policy]") {
  Attempt attempt{.asked = Asked::kWatch, .outcome = Outcome::kGarbage, .stuck = 1};
  CHECK(k8s::next_step(attempt).next == Next::kWatch);
  attempt.stuck = k8s::kMaxStuck;
  CHECK(k8s::next_step(attempt).next == Next::kList);
}

TEST_CASE("a watch whose bookmarks stopped is started again immediately, without a new list",
          "[watch_policy]") {
  const Step step =
      k8s::next_step({.asked = Asked::kWatch, .outcome = Outcome::kIdle, .stuck = k8s::kMaxStuck});
  CHECK(step.next == Next::kWatch);
  CHECK(step.pause == Pause::kNone);
}

TEST_CASE("an event over the limit lists again", "[watch_policy]") {
  const Step step = k8s::next_step({.asked = Asked::kWatch, .outcome = Outcome::kTooLong});
  CHECK(step.next == Next::kList);
  CHECK(step.fault);
}
