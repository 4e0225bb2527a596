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

// The resource version in the request is of no use to this server.
bool is_bad_version(const ApiStatus& status) {
  return is_expired(status) || is_too_large(status) || status.code == 400 || status.code == 422;
}

Pause pause_for(const ApiStatus& status) {
  return status.retry_after_seconds > 0 ? Pause::kRetryAfter : Pause::kBackoff;
}

Step consistent_list(Pause pause) {
  return {.next = Next::kList, .pause = pause, .spread = kListSpread, .consistent = true};
}

// No version of an optional resource is served, which may also be a proxy's mistake.
Step after_absence(const Attempt& attempt) {
  if (attempt.unserved) return {.next = Next::kUnserved, .pause = Pause::kNone, .fault = false};
  if (attempt.absences >= kFirstDiscovery)
    return {.next = Next::kDiscovery, .pause = Pause::kNone, .fault = false};
  return {.next = Next::kList, .fault = false, .plain = true};
}

Step after_discovery(const Attempt& attempt) {
  const bool known = attempt.outcome == Outcome::kDone;
  if (known ? !attempt.found : attempt.absences >= kLastDiscovery)
    return {.next = Next::kUnserved, .pause = Pause::kNone, .fault = false};
  return {.next = Next::kList, .plain = true};
}

Step after_refused_page(const Attempt& attempt) {
  if (is_expired(attempt.status))
    return {.next = Next::kList, .pause = Pause::kNone, .whole = true, .plain = true};
  const bool again = may_pass(attempt.status);
  return {.next = again ? Next::kNextPage : Next::kList, .pause = pause_for(attempt.status)};
}

Step after_refused_list(const Attempt& attempt) {
  if (attempt.status.code == 404) {
    if (attempt.other_version_left)
      return {.next = Next::kOtherVersion, .pause = Pause::kNone, .fault = false, .plain = true};
    // After a complete list, a 404 means a proxy without its server rather than a removed API:
    // keep the objects.
    if (attempt.optional_resource && !attempt.listed_before) return after_absence(attempt);
  }
  if (!attempt.consistent && is_bad_version(attempt.status)) {
    Step step = consistent_list(Pause::kSpread);
    step.plain = true;
    return step;
  }
  return {.next = Next::kList, .pause = pause_for(attempt.status), .plain = true};
}

Step after_list(const Attempt& attempt) {
  const bool later_page = attempt.asked == Asked::kNextPage;
  switch (attempt.outcome) {
    case Outcome::kDone:
      return {.next = Next::kWatch, .pause = Pause::kNone, .fault = false};
    case Outcome::kRefused:
      return later_page ? after_refused_page(attempt) : after_refused_list(attempt);
    case Outcome::kWentBack:
      return consistent_list(Pause::kSpread);
    case Outcome::kDoubtful:
      // A first list is only slowed down by the second one.
      return {.next = Next::kList,
              .pause = attempt.listed_before ? Pause::kBackoff : Pause::kNone,
              .fault = attempt.listed_before,
              .consistent = true,
              .plain = true};
    case Outcome::kGarbage:
    case Outcome::kIdle:
    case Outcome::kUnreachable:
    case Outcome::kTooLong:
      break;
  }
  // What a corrupt page has delivered may be wrong: only a new list makes it go away.
  if (later_page && attempt.outcome != Outcome::kGarbage) return {.next = Next::kNextPage};
  // The watch cache sends no pages. A list that breaks off time after time is requested in pages,
  // each of which can be asked for again.
  return {.next = Next::kList, .consistent = !later_page && attempt.broken >= 2, .plain = true};
}

// A WatchList that did not come to its end is followed by a list, because progress counts.
Step after_watch_list(const Attempt& attempt) {
  switch (attempt.outcome) {
    case Outcome::kDoubtful:
    case Outcome::kWentBack:
      return after_list(attempt);
    case Outcome::kRefused:
      if (is_expired(attempt.status) || is_too_large(attempt.status)) {
        Step step = consistent_list(Pause::kSpread);
        step.plain = attempt.consistent;
        return step;
      }
      if (attempt.status.code == 429) return {.next = Next::kList, .pause = Pause::kRetryAfter};
      if (may_pass(attempt.status))
        return {.next = Next::kList, .pause = pause_for(attempt.status), .plain = true};
      return {.next = Next::kList,
              .pause = Pause::kNone,
              .fault = false,
              .plain = true,
              .no_watch_list = attempt.status.code != 404};
    case Outcome::kDone:
    case Outcome::kIdle:
      // A server that does not know the parameter sends the objects, and never the bookmark.
      return {.next = Next::kList, .pause = Pause::kNone, .plain = true, .no_watch_list = true};
    case Outcome::kUnreachable:
    case Outcome::kGarbage:
    case Outcome::kTooLong:
      break;
  }
  return {.next = Next::kList, .plain = attempt.answered};
}

Step after_refused_watch(const Attempt& attempt) {
  if (is_expired(attempt.status)) {
    const bool old_list = attempt.since_list >= kRecentList;
    return {.next = Next::kList,
            .pause = old_list ? Pause::kSpread : Pause::kRelist,
            .spread = kListSpread};
  }
  if (is_too_large(attempt.status) && attempt.stuck >= kMaxStuck)
    return consistent_list(Pause::kSpread);
  const bool again =
      (may_pass(attempt.status) && attempt.refusals < kMaxStuck) || is_too_large(attempt.status);
  return {.next = again ? Next::kWatch : Next::kList, .pause = pause_for(attempt.status)};
}

Step after_ended_watch(const Attempt& attempt, bool settled) {
  if (settled) {
    return {.next = Next::kWatch,
            .pause = attempt.full_term ? Pause::kNone : Pause::kSpread,
            .spread = kWatchSpread,
            .fault = attempt.early == kMaxStuck};
  }
  // Wait if the server ends watches right after their start.
  const bool stuck = attempt.short_lived >= kMaxStuck;
  return {.next = stuck ? Next::kList : Next::kWatch, .fault = stuck};
}

Step after_watch(const Attempt& attempt) {
  const bool settled = attempt.accepted && attempt.lived >= kSettledWatch;
  const bool stuck = attempt.stuck >= kMaxStuck;
  Step step;
  switch (attempt.outcome) {
    case Outcome::kDone:
      step = after_ended_watch(attempt, settled);
      break;
    case Outcome::kIdle:
      step = {.next = Next::kWatch, .pause = Pause::kNone, .fault = false};
      break;
    case Outcome::kUnreachable: {
      const bool list = attempt.answered && attempt.short_lived >= kMaxStuck;
      step = {.next = list ? Next::kList : Next::kWatch};
      break;
    }
    case Outcome::kRefused:
      step = after_refused_watch(attempt);
      break;
    case Outcome::kGarbage:
      step = {.next = stuck ? Next::kList : Next::kWatch};
      break;
    case Outcome::kWentBack:
      step = consistent_list(attempt.since_list >= kRecentList ? Pause::kSpread : Pause::kRelist);
      break;
    case Outcome::kTooLong:
    case Outcome::kDoubtful:
      break;
  }
  step.settled = settled;
  step.probe = step.next == Next::kWatch && !(attempt.full_term && attempt.proven);
  return step;
}

// Only "went back" and "too large" say something. What else is wrong, the watch will find.
Step after_probe(const Attempt& attempt) {
  if (attempt.outcome == Outcome::kWentBack) return consistent_list(Pause::kSpread);
  if (attempt.outcome == Outcome::kUnreachable) return {.next = Next::kWatch, .probe = true};
  const bool refused = attempt.outcome == Outcome::kRefused;
  // A server that only lags has waited for our version before it said so.
  if (refused && is_too_large(attempt.status)) return consistent_list(Pause::kSpread);
  if (refused && may_pass(attempt.status))
    return {.next = Next::kWatch, .pause = pause_for(attempt.status), .probe = true};
  return {.next = Next::kWatch, .pause = Pause::kNone, .fault = false};
}

Step step_after(const Attempt& attempt) {
  switch (attempt.asked) {
    case Asked::kWatch:
      return after_watch(attempt);
    case Asked::kWatchList:
      return after_watch_list(attempt);
    case Asked::kProbe:
      return after_probe(attempt);
    case Asked::kDiscovery:
      return after_discovery(attempt);
    case Asked::kList:
    case Asked::kNextPage:
      break;
  }
  return after_list(attempt);
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
  Step step = step_after(attempt);
  // A list that has to be consistent stays so until it is complete.
  step.consistent = step.consistent || attempt.consistent;
  return step;
}

bool lost_too_much(std::size_t held, std::size_t listed, bool listed_before) {
  constexpr std::size_t kFew = 10;
  if (listed == 0) return held > 0 || !listed_before;
  return held >= kFew && listed < held / 2;
}

bool is_expired(const ApiStatus& status) {
  return status.code == 410 || status.reason == "Expired" || status.reason == "Gone";
}

bool is_too_large(const ApiStatus& status) {
  // The second is etcd's, which servers before 1.19 pass on.
  return status.message.find("Too large resource version") != std::string::npos ||
         status.message.find("required revision is a future revision") != std::string::npos;
}

}  // namespace k8s
