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
  CHECK(step.next == Next::kList);
  CHECK(step.whole);
  CHECK(step.pause == Pause::kNone);
}

TEST_CASE("a 404 is an empty resource only where that is allowed, and only before the first list",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kList, 404);
  CHECK(k8s::next_step(attempt).next == Next::kList);
  attempt.optional_resource = true;
  attempt.unserved = true;
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
  attempt.full_term = true;
  CHECK(k8s::next_step(attempt).pause == Pause::kNone);
  CHECK(k8s::next_step(attempt).settled);
  CHECK_FALSE(k8s::next_step(attempt).fault);
  attempt.lived = milliseconds(10);
  CHECK(k8s::next_step(attempt).next == Next::kWatch);
  CHECK(k8s::next_step(attempt).pause == Pause::kBackoff);
  CHECK_FALSE(k8s::next_step(attempt).settled);
}

TEST_CASE("an expired watch lists again, without back-off unless the last list is recent",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kWatch, 410);
  attempt.since_list = milliseconds(600'000);
  CHECK(k8s::next_step(attempt).next == Next::kList);
  CHECK(k8s::next_step(attempt).pause == Pause::kSpread);
  attempt.since_list = milliseconds(100);
  CHECK(k8s::next_step(attempt).pause == Pause::kRelist);
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

TEST_CASE("the end of a watch that lost its server is followed at different times (H1)",
          "[watch_policy]") {
  Attempt attempt{
      .asked = Asked::kWatch, .outcome = Outcome::kDone, .lived = milliseconds(100'000)};
  Step step = k8s::next_step(attempt);
  CHECK(step.next == Next::kWatch);
  CHECK(step.pause == Pause::kSpread);
  CHECK(step.spread == k8s::kWatchSpread);
  attempt = refused(Asked::kWatch, 410);
  attempt.since_list = milliseconds(600'000);
  step = k8s::next_step(attempt);
  CHECK(step.next == Next::kList);
  CHECK(step.spread == k8s::kListSpread);
  CHECK_FALSE(step.consistent);
}

TEST_CASE("a list from the cache that the server cannot give becomes a consistent one (H1)",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kList, 504);
  attempt.status.message = "Timeout: Too large resource version: 9, current: 5";
  CHECK(k8s::next_step(attempt).consistent);
  for (const int code : {400, 410, 422}) {
    CHECK(k8s::next_step(refused(Asked::kList, code)).consistent);
    CHECK(k8s::next_step(refused(Asked::kList, code)).next == Next::kList);
  }
  for (const int code : {403, 429, 500}) {
    CHECK_FALSE(k8s::next_step(refused(Asked::kList, code)).consistent);
    attempt = refused(Asked::kList, code);
    attempt.consistent = true;
    CHECK(k8s::next_step(attempt).consistent);
  }
}

TEST_CASE("a page that fails is requested again, and only 410 begins the list again (H2)",
          "[watch_policy]") {
  for (const int code : {401, 429, 500, 503, 504}) {
    CHECK(k8s::next_step(refused(Asked::kNextPage, code)).next == Next::kNextPage);
  }
  for (const int code : {400, 403, 404, 410}) {
    CHECK(k8s::next_step(refused(Asked::kNextPage, code)).next == Next::kList);
  }
  Attempt attempt{.asked = Asked::kNextPage, .outcome = Outcome::kUnreachable};
  CHECK(k8s::next_step(attempt).next == Next::kNextPage);
  attempt.broken = 100;
  CHECK(k8s::next_step(attempt).next == Next::kNextPage);
  attempt.outcome = Outcome::kGarbage;  // what it has delivered may be wrong
  CHECK(k8s::next_step(attempt).next == Next::kList);
}

TEST_CASE("a list without pages that breaks off twice is requested in pages (H2)",
          "[watch_policy]") {
  Attempt attempt{.asked = Asked::kList, .outcome = Outcome::kUnreachable, .broken = 1};
  CHECK_FALSE(k8s::next_step(attempt).consistent);
  attempt.broken = 2;
  CHECK(k8s::next_step(attempt).consistent);
}

TEST_CASE("absence is believed after three 404s if discovery confirms it, else after eight (H4)",
          "[watch_policy]") {
  Attempt attempt = refused(Asked::kList, 404);
  attempt.optional_resource = true;
  attempt.absences = 2;
  CHECK(k8s::next_step(attempt).next == Next::kList);
  CHECK(k8s::next_step(attempt).pause == Pause::kBackoff);
  attempt.absences = 3;
  CHECK(k8s::next_step(attempt).next == Next::kDiscovery);
  Attempt answer{.asked = Asked::kDiscovery, .absences = 3};
  CHECK(k8s::next_step(answer).next == Next::kUnserved);
  answer.found = true;
  answer.absences = 100;
  CHECK(k8s::next_step(answer).next == Next::kList);
  CHECK(k8s::next_step(answer).fault);
  answer.outcome = Outcome::kUnreachable;
  answer.absences = 7;
  CHECK(k8s::next_step(answer).next == Next::kList);
  answer.absences = 8;
  CHECK(k8s::next_step(answer).next == Next::kUnserved);
}

TEST_CASE("a resource version that goes back makes a consistent list (H6)", "[watch_policy]") {
  for (const Asked asked : {Asked::kWatch, Asked::kProbe, Asked::kList, Asked::kWatchList}) {
    const Step step = k8s::next_step({.asked = asked, .outcome = Outcome::kWentBack});
    CHECK(step.next == Next::kList);
    CHECK(step.consistent);
    CHECK(step.fault);
  }
}

TEST_CASE("a probe that is refused as too large makes a consistent list (H6)", "[watch_policy]") {
  Attempt attempt = refused(Asked::kProbe, 504);
  CHECK(k8s::next_step(attempt).probe);
  attempt.status.message = "Timeout: Too large resource version: 9, current: 5";
  CHECK(k8s::next_step(attempt).next == Next::kList);
  CHECK(k8s::next_step(attempt).consistent);
  CHECK(k8s::next_step(attempt).pause == Pause::kSpread);
}

TEST_CASE("a watch is resumed with a probe, unless it lasted its time and had events (H6)",
          "[watch_policy]") {
  Attempt attempt{.asked = Asked::kWatch, .lived = milliseconds(300'000)};
  CHECK(k8s::next_step(attempt).probe);
  attempt.full_term = true;
  CHECK(k8s::next_step(attempt).probe);
  attempt.proven = true;
  CHECK_FALSE(k8s::next_step(attempt).probe);
  attempt.full_term = false;
  attempt.outcome = Outcome::kUnreachable;
  CHECK(k8s::next_step(attempt).probe);
  // What the probe does not understand, the watch decides.
  for (const int code : {400, 403, 404, 410, 422}) {
    CHECK_FALSE(k8s::next_step(refused(Asked::kProbe, code)).probe);
    CHECK(k8s::next_step(refused(Asked::kProbe, code)).next == Next::kWatch);
  }
  CHECK(k8s::next_step(refused(Asked::kProbe, 503)).probe);
}

TEST_CASE("the third watch in a row that ends at once is a fault, and makes a list (H7)",
          "[watch_policy]") {
  Attempt attempt{.asked = Asked::kWatch, .answered = true};
  for (const Outcome outcome : {Outcome::kDone, Outcome::kUnreachable}) {
    attempt.outcome = outcome;
    attempt.short_lived = 2;
    CHECK(k8s::next_step(attempt).next == Next::kWatch);
    attempt.short_lived = 3;
    CHECK(k8s::next_step(attempt).next == Next::kList);
    CHECK(k8s::next_step(attempt).fault);
    CHECK(k8s::next_step(attempt).pause == Pause::kBackoff);
  }
  // Watches that a proxy ends after a minute work, but somebody should know: once.
  attempt = {.asked = Asked::kWatch, .lived = milliseconds(60'000), .early = 3};
  CHECK(k8s::next_step(attempt).next == Next::kWatch);
  CHECK(k8s::next_step(attempt).fault);
  attempt.early = 4;
  CHECK_FALSE(k8s::next_step(attempt).fault);
}

TEST_CASE("a watch that is refused three times makes a list, but not for 429 (H7)",
          "[watch_policy]") {
  for (const int code : {500, 502, 503, 504}) {
    Attempt attempt = refused(Asked::kWatch, code);
    attempt.refusals = 2;
    CHECK(k8s::next_step(attempt).next == Next::kWatch);
    attempt.refusals = 3;
    CHECK(k8s::next_step(attempt).next == Next::kList);
  }
  CHECK(k8s::next_step(refused(Asked::kWatch, 429)).next == Next::kWatch);
}

TEST_CASE("a watch that was not accepted is no success, however long it took", "[watch_policy]") {
  Attempt attempt{.asked = Asked::kWatch, .lived = milliseconds(60'000)};
  for (const Outcome outcome : {Outcome::kRefused, Outcome::kUnreachable}) {
    attempt.outcome = outcome;
    attempt.status.code = 504;
    attempt.accepted = true;
    CHECK(k8s::next_step(attempt).settled);
    attempt.accepted = false;
    CHECK_FALSE(k8s::next_step(attempt).settled);
  }
}

TEST_CASE("a refused WatchList is followed by a list, and a server without it is remembered (H1)",
          "[watch_policy]") {
  for (const int code : {400, 403, 405, 422, 501}) {
    const Step step = k8s::next_step(refused(Asked::kWatchList, code));
    CHECK(step.next == Next::kList);
    CHECK(step.plain);
    CHECK(step.no_watch_list == (code != 501));
  }
  CHECK_FALSE(k8s::next_step(refused(Asked::kWatchList, 429)).plain);
  CHECK(k8s::next_step(refused(Asked::kWatchList, 410)).consistent);
  const Step silent = k8s::next_step({.asked = Asked::kWatchList, .outcome = Outcome::kIdle});
  CHECK(silent.no_watch_list);
  CHECK(silent.fault);
}

TEST_CASE("a list that is suddenly empty, or has lost most of its objects, is doubtful (item 6)",
          "[watch_policy]") {
  CHECK(k8s::lost_too_much(1, 0, true));
  CHECK(k8s::lost_too_much(0, 0, false));
  CHECK_FALSE(k8s::lost_too_much(0, 0, true));
  CHECK_FALSE(k8s::lost_too_much(9, 1, true));
  CHECK(k8s::lost_too_much(10, 4, true));
  CHECK_FALSE(k8s::lost_too_much(10, 5, true));
  CHECK_FALSE(k8s::lost_too_much(0, 5, false));
}
