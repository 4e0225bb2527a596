// SPDX-License-Identifier: Apache-2.0
//
// What a reflector does next, decided from how its last request ended. Pure.
//
// Sources: k8s.io/client-go/tools/cache/reflector.go and tools/pager; website api-concepts,
// "Efficient detection of changes".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "k8s/decode/decode.hpp"

namespace k8s {

// Exponential back-off with jitter: the n-th failure in a row waits between half and all of
// first * 2^(n+1), never more than `limit`. 0.8-1.6 s, 1.6-3.2 s, ... 15-30 s by default.
struct Backoff {
  std::chrono::milliseconds first{800};
  std::chrono::milliseconds limit{30'000};
  unsigned failures = 0;

  // `random`: in [0, 1).
  std::chrono::milliseconds next(double random);
  void reset() { failures = 0; }
};

// What was asked for.
enum class Asked : std::uint8_t {
  kList,      // the first page
  kNextPage,  // with a continue token
  kWatch,
};

enum class Outcome : std::uint8_t {
  kDone,         // a list: all of it arrived. A watch: its time was over, or the peer ended it
  kIdle,         // a watch: its bookmarks stopped
  kUnreachable,  // no answer, or the connection broke
  kRefused,      // a status other than 2xx, or an ERROR event: see ApiStatus
  kGarbage,      // a body that is no JSON
  kTooLong,      // a single event over the limit
};

struct Attempt {
  Asked asked = Asked::kList;
  Outcome outcome = Outcome::kDone;
  ApiStatus status = {};            // of kRefused
  bool other_version_left = false;  // the resource has another API version that was not tried yet
  // The server may lack this resource: a 404 is an answer, not a fault.
  bool optional_resource = false;
  bool listed_before = false;               // a full list was delivered at some time
  std::chrono::milliseconds lived{0};       // a watch: since its request
  std::chrono::milliseconds since_list{0};  // since the last list was begun
  unsigned stuck = 0;                       // watches in a row that were garbage or "too large"
};

struct Step {
  enum class Next : std::uint8_t {
    kList,
    kFullList,      // in one piece, without limit: continue tokens expire faster than we page
    kOtherVersion,  // list by another API version
    kWatch,
    kUnserved,  // the resource does not exist on this server
  };
  enum class Pause : std::uint8_t { kNone, kBackoff, kRetryAfter };
  Next next = Next::kList;
  Pause pause = Pause::kBackoff;
  bool fault = true;     // worth a line in the log
  bool settled = false;  // all is well: the back-off starts over
};

// A watch that lived this long was a success, whatever ended it.
constexpr std::chrono::milliseconds kSettledWatch{5'000};
// An expired watch lists again at once if the last list is older than this.
constexpr std::chrono::milliseconds kRecentList{30'000};
// After so many watches in a row that brought only garbage, or "too large", list anew: the resource
// version may be of another world (a store restored from a backup).
constexpr unsigned kMaxStuck = 3;

Step next_step(const Attempt& attempt);

// "Expired" or "Gone": the resource version or continue token is too old.
bool is_expired(const ApiStatus& status);
// The resource version is newer than what the server has: it lags, or went back in time.
bool is_too_large(const ApiStatus& status);

}  // namespace k8s
