// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/watch_policy.hpp"

#include <algorithm>

namespace k8s {
namespace {

using Next = Step::Next;
using Pause = Step::Pause;

// The server is overloaded, starting or lagging: the same request may succeed later.
bool may_pass(const ApiStatus& status) {
  return status.code == 429 || status.code == 401 || status.code >= 500;
}

Pause pause_for(const ApiStatus& status) {
  return status.retry_after_seconds > 0 ? Pause::kRetryAfter : Pause::kBackoff;
}

Step after_list(const Attempt& attempt) {
  switch (attempt.outcome) {
    case Outcome::kDone:
      return {.next = Next::kWatch, .pause = Pause::kNone, .fault = false};
    case Outcome::kRefused:
      if (attempt.asked == Asked::kNextPage && is_expired(attempt.status)) {
        return {.next = Next::kFullList, .pause = Pause::kNone};
      }
      if (attempt.status.code == 404 && attempt.other_version_left) {
        return {.next = Next::kOtherVersion, .pause = Pause::kNone, .fault = false};
      }
      // After a complete list, a 404 means a proxy without its server rather than a removed API:
      // keep the objects.
      if (attempt.status.code == 404 && attempt.optional_resource && !attempt.listed_before) {
        return {.next = Next::kUnserved, .pause = Pause::kNone, .fault = false};
      }
      return {.next = Next::kList, .pause = pause_for(attempt.status)};
    case Outcome::kIdle:
    case Outcome::kUnreachable:
    case Outcome::kGarbage:
    case Outcome::kTooLong:
      break;
  }
  return {};
}

Step after_refused_watch(const Attempt& attempt) {
  if (is_expired(attempt.status)) {
    const bool old_list = attempt.since_list >= kRecentList;
    return {.next = Next::kList, .pause = old_list ? Pause::kNone : Pause::kBackoff};
  }
  if (is_too_large(attempt.status) && attempt.stuck >= kMaxStuck) return {.next = Next::kList};
  const bool again = may_pass(attempt.status) || is_too_large(attempt.status);
  return {.next = again ? Next::kWatch : Next::kList, .pause = pause_for(attempt.status)};
}

Step after_watch(const Attempt& attempt) {
  const bool settled = attempt.lived >= kSettledWatch;
  const bool stuck = attempt.stuck >= kMaxStuck;
  const Next next = stuck ? Next::kList : Next::kWatch;
  switch (attempt.outcome) {
    case Outcome::kDone:
      // Wait if the server ends watches right after their start.
      return {.next = Next::kWatch,
              .pause = settled ? Pause::kNone : Pause::kBackoff,
              .fault = false,
              .settled = settled};
    case Outcome::kIdle:
      return {.next = Next::kWatch, .pause = Pause::kNone, .fault = false, .settled = settled};
    case Outcome::kUnreachable:
      return {.next = Next::kWatch, .settled = settled};
    case Outcome::kRefused: {
      Step step = after_refused_watch(attempt);
      step.settled = settled;
      return step;
    }
    case Outcome::kGarbage:
      return {.next = next, .settled = settled};
    case Outcome::kTooLong:
      return {.next = Next::kList, .settled = settled};
  }
  return {};
}

}  // namespace

std::chrono::milliseconds Backoff::next(double random) {
  const unsigned doublings = std::min(failures, 16u) + 1;
  const auto whole = std::min(limit, first * (1 << doublings));
  ++failures;
  return whole / 2 + std::chrono::milliseconds(static_cast<std::int64_t>(
                         static_cast<double>(whole.count()) / 2 * random));
}

Step next_step(const Attempt& attempt) {
  return attempt.asked == Asked::kWatch ? after_watch(attempt) : after_list(attempt);
}

bool is_expired(const ApiStatus& status) {
  return status.code == 410 || status.reason == "Expired" || status.reason == "Gone";
}

bool is_too_large(const ApiStatus& status) {
  return status.message.find("Too large resource version") != std::string::npos;
}

}  // namespace k8s
