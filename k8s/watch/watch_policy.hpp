// SPDX-License-Identifier: Apache-2.0
//
// Decides what a reflector does next from how its last request ended. Pure.
//
// Sources: k8s.io/client-go/tools/cache/reflector.go and tools/pager; website api-concepts,
// "Efficient detection of changes".
#pragma once

#include <chrono>
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
  kList,      // the first page
  kNextPage,  // with a continue token
  kWatch,
};

enum class Outcome : std::uint8_t {
  kDone,         // list: complete. Watch: its timeout passed, or the peer ended it
  kIdle,         // watch: its bookmarks stopped
  kUnreachable,  // no response, or the connection broke
  kRefused,      // a status other than 2xx, or an ERROR event: see ApiStatus
  kGarbage,      // the body is not a list, or not a stream of events
  kTooLong,      // a single event over the limit
};

struct Attempt {
  Asked asked = Asked::kList;
  Outcome outcome = Outcome::kDone;
  ApiStatus status = {};            // of kRefused
  bool other_version_left = false;  // the resource has another API version, not tried yet
  bool optional_resource = false;   // a 404 is not a fault: the server need not have the resource
  bool listed_before = false;       // a complete list was delivered some time before
  std::chrono::milliseconds lived{0};       // a watch: since its request
  std::chrono::milliseconds since_list{0};  // since the last list was begun
  unsigned stuck = 0;                       // consecutive watches that were garbage or "too large"
};

struct Step {
  enum class Next : std::uint8_t {
    kList,
    kFullList,      // without paging: continue tokens expire faster than we read the pages
    kOtherVersion,  // list by another API version
    kWatch,
    kUnserved,  // the resource does not exist on this server
  };
  enum class Pause : std::uint8_t { kNone, kBackoff, kRetryAfter };
  Next next = Next::kList;
  Pause pause = Pause::kBackoff;
  bool fault = true;     // worth a line in the log
  bool settled = false;  // the watch was a success: reset the back-off
};

// A watch that lasted this long was a success, however it ended.
constexpr std::chrono::milliseconds kSettledWatch{5'000};
// An expired watch lists again immediately if the last list is older than this.
constexpr std::chrono::milliseconds kRecentList{30'000};
// After this many consecutive watches with garbage or "too large", list again: the resource version
// may not belong to this store any more (restored from a backup).
constexpr unsigned kMaxStuck = 3;

Step next_step(const Attempt& attempt);

// "Expired" or "Gone": the resource version or continue token is too old.
bool is_expired(const ApiStatus& status);
// The resource version is newer than the server's: it lags, or was restored from a backup.
bool is_too_large(const ApiStatus& status);

}  // namespace k8s
