// SPDX-License-Identifier: Apache-2.0
//
// Decides what a reflector does next from how its last request ended. Pure.
//
// Sources: k8s.io/client-go/tools/cache/reflector.go and tools/pager; website api-concepts,
// "Efficient detection of changes".
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "k8s/decode/decode.hpp"

namespace k8s {

// Exponential back-off with jitter: the wait after the n-th consecutive failure (n from 0) is
// between half and all of first * 2^(n+1), at most `limit`. Default: 0.8-1.6 s, 1.6-3.2 s, ...
// 15-30 s.
struct Backoff {
  std::chrono::milliseconds first{800};
  std::chrono::milliseconds limit{30'000};
  unsigned failures = 0;

  // `random`: in [0, 1).
  std::chrono::milliseconds next(double random);
  void reset() { failures = 0; }
};

// The request that ended.
enum class Asked : std::uint8_t {
  kList,       // the first page
  kNextPage,   // with a continue token
  kWatch,      // of changes
  kWatchList,  // a watch before the end of its initial events
  kProbe,      // whether the server has our resource version
  kDiscovery,  // whether the server has the resource
};

enum class Outcome : std::uint8_t {
  kDone,         // list: complete. Watch: its timeout passed, or the peer ended it
  kIdle,         // watch: its bookmarks stopped, or its initial events did
  kUnreachable,  // no response, or the connection broke
  kRefused,      // a status other than 2xx, or an ERROR event: see ApiStatus
  kGarbage,      // the body is not a list, or not a stream of events
  kTooLong,      // a single event over the limit
  kWentBack,     // a resource version older than ours: see Step::consistent
  kDoubtful,     // a complete list that lost too much to be believed: see lost_too_much()
};

struct Attempt {
  Asked asked = Asked::kList;
  Outcome outcome = Outcome::kDone;
  ApiStatus status = {};            // of kRefused
  bool answered = false;            // a response header arrived
  bool accepted = true;             // it was of a status 2xx
  bool consistent = false;          // a list: of the newest state of the store
  bool other_version_left = false;  // the resource has another API version, not tried yet
  bool optional_resource = false;   // a 404 is not a fault: the server need not have the resource
  bool listed_before = false;       // a complete list was delivered some time before
  bool unserved = false;            // its absence was confirmed before
  bool found = false;               // a kDiscovery: the server has the resource
  unsigned absences = 0;            // consecutive 404s for all versions of the resource
  unsigned broken = 0;              // consecutive responses to this list that broke off
  std::chrono::milliseconds lived{0};       // a watch: since its request
  std::chrono::milliseconds since_list{0};  // since the last list was begun
  unsigned stuck = 0;                       // consecutive watches that were garbage or "too large"
  unsigned short_lived = 0;                 // consecutive watches that did not last kSettledWatch
  unsigned early = 0;      // consecutive settled watches that the peer ended before their time
  unsigned refusals = 0;   // consecutive watches refused with 5xx
  bool full_term = false;  // a watch: it lasted until its timeoutSeconds
  bool proven = false;     // a watch: an event or bookmark came
};

struct Step {
  enum class Next : std::uint8_t {
    kList,
    kNextPage,      // the same page again
    kOtherVersion,  // list by another API version
    kWatch,
    kDiscovery,  // ask the server whether it has the resource
    kUnserved,   // the resource does not exist on this server
  };
  enum class Pause : std::uint8_t {
    kNone,
    kBackoff,
    kRelist,      // the same, but what went wrong before the server answered does not count
    kRetryAfter,  // the longer of Retry-After and back-off
    kSpread,      // random, up to `spread`: all nodes of the cluster were told at the same moment
  };
  Next next = Next::kList;
  Pause pause = Pause::kBackoff;
  std::chrono::milliseconds spread{0};
  bool fault = true;     // worth a line in the log
  bool settled = false;  // the watch was a success: reset the back-off
  // Of the next list: the newest state of the store, whatever versions we have seen.
  bool consistent = false;
  bool whole = false;  // without pages: continue tokens expire faster than we read the pages
  bool plain = false;  // as a list, even if the server may have WatchList
  bool no_watch_list = false;  // this server has no WatchList
  // Before the next watch: ask whether the server has our resource version. A watch from a version
  // that the store does not have yet is accepted, and silent.
  bool probe = false;
};

// A watch that lasted this long was a success, however it ended.
constexpr std::chrono::milliseconds kSettledWatch{5'000};
// An expired watch lists again without back-off if the last list is older than this.
constexpr std::chrono::milliseconds kRecentList{30'000};
// After this many consecutive watches with garbage or "too large", list again: the resource version
// may not belong to this store any more (restored from a backup). The same for watches that end at
// once or are refused (by a proxy that waits for the end of a response, for example), since nothing
// else would show what changes.
constexpr unsigned kMaxStuck = 3;
// After this many 404s, discovery is asked whether the resource is really absent; after that many
// more without an answer from discovery, it counts as absent (after about a minute).
constexpr unsigned kFirstDiscovery = 3;
constexpr unsigned kLastDiscovery = 8;
// Over this time the lists of all nodes are spread that lost their watches at the same moment, and
// their new watches over that one.
constexpr std::chrono::milliseconds kListSpread{5'000};
constexpr std::chrono::milliseconds kWatchSpread{1'000};

Step next_step(const Attempt& attempt);

// Whether a complete list of `listed` objects, where there were `held`, is to be confirmed by
// another one before anything is removed: it is empty, or has lost more than half of at least ten.
// A first list is doubtful if it is empty.
bool lost_too_much(std::size_t held, std::size_t listed, bool listed_before);

// "Expired" or "Gone": the resource version or continue token is too old.
bool is_expired(const ApiStatus& status);
// The resource version is newer than the server's: it lags, or was restored from a backup.
bool is_too_large(const ApiStatus& status);

}  // namespace k8s
