// SPDX-License-Identifier: Apache-2.0
//
// What the decoders have read, and how the requests of a reflector ended, for watch_policy.hpp.
#include <algorithm>

#include "k8s/watch/reflector.hpp"
#include "k8s/watch/resource_version.hpp"

namespace k8s {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// The status in the body of a refusal: a metav1.Status, or else the first line of the body.
ApiStatus read_status(const Response& response) {
  ApiStatus status;
  ListDecoder<Node> decoder(
      {.on_item = [](Node) {}, .on_fault = [](const Meta&, const DecodeFault&) {}}, response.type);
  if (decoder.feed(response.body) && decoder.finish() && decoder.status())
    status = *decoder.status();
  // The HTTP status line takes precedence: the body may be a proxy's and contain anything.
  status.code = static_cast<int>(response.status);
  if (status.message.empty()) {
    const std::string_view body(response.body);
    for (const char c : body.substr(0, std::min<std::size_t>(body.find('\n'), 200))) {
      status.message += c >= ' ' && c <= '~' ? c : '?';
    }
  }
  if (response.retry_after)
    status.retry_after_seconds = static_cast<int>(response.retry_after->count());
  return status;
}

std::string status_text(const ApiStatus& status, const std::string& reason) {
  std::string text =
      std::to_string(status.code) + " " + (status.reason.empty() ? reason : status.reason);
  if (!status.message.empty()) text += ": " + status.message;
  return text;
}

}  // namespace

// A list older than what the sink has, for example from a server that lags, is not passed on.
bool ReflectorCore::saw_item(const std::string& version) {
  if (!page_judged_ && !version.empty()) {
    page_judged_ = true;
    went_back_ = !plan_.consistent && is_older_version(version, resource_version_);
  }
  if (went_back_) return false;
  ++counters_.events;
  ++page_items_;
  return true;
}

bool ReflectorCore::saw_bad_item(const DecodeFault& fault, const std::string& version) {
  if (!saw_item(version)) return false;
  --counters_.events;
  report("decode", fault.text() + "; skipped, its last good state stays", 0, fault.object);
  return true;
}

bool ReflectorCore::saw_event(WatchVerb verb, const Meta& meta) {
  const bool bookmark = verb == WatchVerb::kBookmark;
  if (!is_new(meta.resource_version, bookmark)) return false;
  ++(bookmark ? counters_.bookmarks : counters_.events);
  if (initial_) return take_initial(verb, meta);
  proven_ = true;
  if (bookmark) has_bookmarks_ = true;
  if (verb == WatchVerb::kAdded) ++held_;
  if (verb == WatchVerb::kDeleted && held_ > 0) --held_;
  if (!meta.resource_version.empty()) resource_version_ = meta.resource_version;
  stuck_ = 0;
  return true;
}

bool ReflectorCore::saw_bad_event(WatchVerb verb, const Meta& meta, const DecodeFault& fault) {
  if (!is_new(meta.resource_version, false)) return false;
  report("decode", fault.text() + "; skipped, its last good state stays", 0, fault.object);
  if (initial_) return take_initial(verb, meta);
  if (verb == WatchVerb::kDeleted && held_ > 0) --held_;
  if (!meta.resource_version.empty()) resource_version_ = meta.resource_version;
  return true;
}

// Whether an event is to be passed on. The initial events of a WatchList are in no order.
bool ReflectorCore::is_new(const std::string& version, bool bookmark) {
  if (went_back_ || watch_error_) return false;
  if (initial_) return true;
  went_back_ = is_older_version(version, resource_version_);
  if (went_back_) list_version_ = version;  // for the message
  const bool duplicate = !bookmark && !version.empty() && version == resource_version_;
  return !went_back_ && !duplicate;
}

// An event before the end of a WatchList's initial ones. Not only additions: what happens meanwhile
// is among them.
bool ReflectorCore::take_initial(WatchVerb verb, const Meta& meta) {
  if (verb == WatchVerb::kAdded) ++listed_;
  if (verb == WatchVerb::kDeleted && listed_ > 0) --listed_;
  if (verb == WatchVerb::kBookmark && meta.annotations.contains("k8s.io/initial-events-end"))
    end_initial(meta.resource_version);
  return true;
}

void ReflectorCore::end_initial(const std::string& version) {
  list_version_ = version;
  went_back_ = !plan_.consistent && is_older_version(version, resource_version_);
  if (went_back_ || is_doubtful()) return;
  initial_ = false;
  finish_list(version);
  has_bookmarks_ = proven_ = true;
}

// Whether the list that is complete now must be confirmed. `doubted_` then has what it said.
bool ReflectorCore::is_doubtful() {
  constexpr unsigned kMaxDoubts = 5;
  const bool confirmed = doubted_ && plan_.consistent && listed_ <= *doubted_;
  if (confirmed || doubts_ >= kMaxDoubts || !lost_too_much(held_, listed_, listed_before_))
    return false;
  doubted_ = listed_;
  ++doubts_;
  ++counters_.confirmations;
  return true;
}

std::string ReflectorCore::doubt_text() const {
  return "it has " + std::to_string(listed_) + " objects where there were " +
         std::to_string(held_) + ", which a second list must confirm";
}

// The outcomes that lists and watches have in common: no response, or a refusal.
ReflectorCore::Ended ReflectorCore::judge_common(Asked asked, const Response& response) const {
  Ended ended;
  ended.attempt.asked = asked;
  ended.attempt.answered = response.status != 0;
  ended.attempt.accepted = response.status >= 200 && response.status <= 299;
  ended.attempt.listed_before = listed_before_;
  if (asked != Asked::kWatch && asked != Asked::kProbe) ended.attempt.consistent = plan_.consistent;
  if (ended.attempt.answered && !ended.attempt.accepted) {
    ended.attempt.outcome = Outcome::kRefused;
    ended.attempt.status = read_status(response);
    ended.what = status_text(ended.attempt.status, response.reason);
  } else {
    ended.attempt.outcome = Outcome::kUnreachable;
    ended.what = response.text();
  }
  return ended;
}

ReflectorCore::Ended ReflectorCore::judge_page(const Response& response, Asked asked) {
  if (response.status != 0) saw_contact();
  Ended ended = judge_common(asked, response);
  Attempt& attempt = ended.attempt;
  if (attempt.outcome == Outcome::kRefused) return ended;
  const bool complete = response.succeeded() && finish_page();
  PageEnd end;
  if (complete) end = page_end();
  const bool first = asked != Asked::kNextPage;
  if (complete && !end.status && first && !plan_.consistent)
    went_back_ = went_back_ || is_older_version(end.resource_version, resource_version_);
  if (went_back_) {
    attempt.outcome = Outcome::kWentBack;
    ended.what = "the store was at resource version " + resource_version_ + " and is at an older " +
                 "one now" + (end.resource_version.empty() ? "" : ", " + end.resource_version);
  } else if (response.end == Response::End::kStopped || (response.succeeded() && !complete)) {
    attempt.outcome = Outcome::kGarbage;
    ended.what = "the response is not a list: " + stream_fault().text();
  } else if (complete && end.status) {
    attempt.outcome = Outcome::kRefused;
    attempt.status = *end.status;
    ended.what = status_text(*end.status, {});
  } else if (complete && end.resource_version.empty()) {
    attempt.outcome = Outcome::kGarbage;
    ended.what = "the response has no metadata.resourceVersion";
  } else if (complete) {
    attempt.outcome = Outcome::kDone;
  } else if (attempt.answered && response.end == Response::End::kFailed) {
    attempt.outcome = Outcome::kGarbage;  // corrupt: judge_common() says how
  }
  if (attempt.outcome == Outcome::kDone) broken_ = 0;
  const bool broke = attempt.outcome == Outcome::kGarbage ||
                     (attempt.outcome == Outcome::kUnreachable && attempt.answered);
  if (broke) ++broken_;
  attempt.broken = broken_;
  return ended;
}

void ReflectorCore::note_absence(Attempt& attempt) {
  attempt.other_version_left = versions_tried_ + 1 < options_.paths.size();
  attempt.optional_resource = options_.optional_resource;
  attempt.unserved = unserved_;
  const bool absent = attempt.outcome == Outcome::kRefused && attempt.status.code == 404;
  if (attempt.answered && !absent) {
    versions_tried_ = 0;
    absences_ = 0;
  }
  if (absent && !attempt.other_version_left) ++absences_;
  attempt.absences = absences_;
}

ReflectorCore::Ended ReflectorCore::judge_watch(const Response& response, const WatchEnd& end) {
  if (response.status != 0) saw_contact();
  Ended ended = judge_common(initial_ ? Asked::kWatchList : Asked::kWatch, response);
  Attempt& attempt = ended.attempt;
  attempt.proven = proven_;
  attempt.lived = end.lived;
  attempt.full_term = end.lived + std::chrono::seconds(2) >= end.timeout;
  attempt.since_list = duration_cast<milliseconds>(options_.now() - list_begun_);
  if (attempt.outcome == Outcome::kRefused) {
    refusals_ = attempt.status.code >= 500 ? refusals_ + 1 : 0;
  } else if (watch_error_) {
    attempt.outcome = Outcome::kRefused;
    attempt.status = *watch_error_;
    ended.what = "ERROR event: " + status_text(*watch_error_, {});
    refusals_ = !proven_ && attempt.status.code >= 500 ? refusals_ + 1 : 0;
  } else if (went_back_) {
    attempt.outcome = Outcome::kWentBack;
    ended.what = "resource version " + list_version_ + " after " + resource_version_ +
                 ": events out of order, or an older state of the store";
  } else if (initial_ && doubted_) {
    attempt.outcome = Outcome::kDoubtful;
    ended.what = doubt_text();
  } else if (response.end == Response::End::kStopped) {
    attempt.outcome = watch_too_long() ? Outcome::kTooLong : Outcome::kGarbage;
    ended.what = "the stream is invalid: " + stream_fault().text();
    ++stuck_;
  } else {
    judge_open_watch(attempt, response, end);
    if (initial_ && attempt.outcome != Outcome::kUnreachable)
      ended.what = "the initial objects of the watch did not come to an end";
    else if (attempt.short_lived >= kMaxStuck)
      ended.what = std::to_string(attempt.short_lived) + " watches in a row ended at once";
    else if (attempt.early >= kMaxStuck)
      ended.what = std::to_string(attempt.early) +
                   " watches in a row ended early, the last after " +
                   std::to_string(end.lived.count() / 1000) + " s instead of " +
                   std::to_string(end.timeout.count() / 1000) + " s";
  }
  if (is_too_large(attempt.status)) ++stuck_;
  attempt.stuck = stuck_;
  attempt.refusals = refusals_;
  return ended;
}

// A watch that was accepted, and ended without an error in its stream; or had no response.
void ReflectorCore::judge_open_watch(Attempt& attempt, const Response& response,
                                     const WatchEnd& end) {
  using End = Response::End;
  const bool ended_by_peer = response.end == End::kComplete || response.end == End::kClosed;
  if (ended_by_peer || end.outlived) {
    attempt.outcome = Outcome::kDone;
  } else if (response.end == End::kTimedOut && response.status != 0) {
    attempt.outcome = Outcome::kIdle;
  }
  if (attempt.answered && !initial_) count_ends(attempt, end);
}

void ReflectorCore::count_ends(Attempt& attempt, const WatchEnd& end) {
  refusals_ = 0;
  const bool settled = end.lived >= kSettledWatch;
  short_lived_ = settled ? 0 : short_lived_ + 1;
  if (attempt.full_term) early_ = 0;
  if (settled && !attempt.full_term && attempt.outcome == Outcome::kDone) ++early_;
  attempt.short_lived = short_lived_;
  attempt.early = early_;
}

}  // namespace k8s
