// SPDX-License-Identifier: Apache-2.0
//
// What the kernel did not do as wanted, and when to try it again: each object has a time of its
// own, so that one that is refused for good never delays another. Pure: the caller gives the time.
//
// The pauses of an object double from Backoff::first, up to 30 s where the node is to blame or the
// fault may pass, up to 10 minutes where the object is. A change of an object is tried at once,
// whatever its pause is; another fault than before begins with the first pause again.
//
// An object may be here without a refusal: it was not tried, because something that it depends on
// was refused. It is due as soon as anything is accepted that had been refused.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "ipvs/state/dirty_keys.hpp"
#include "ipvs/state/record_outcome.hpp"

namespace agent {

struct Backoff {
  std::chrono::milliseconds first{1000};
  std::chrono::milliseconds limit{30'000};
  std::chrono::milliseconds object_limit{600'000};  // where the object is to blame
};

class Retries {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // One operation that the kernel refuses.
  struct Refusal {
    ipvs::Failure failure;
    Time since{};     // when the change came in that it refused first
    Time next_try{};  // at the latest
  };
  // `now`: of the attempt; `since`: when the change came in.
  struct Moment {
    Time now{};
    Time since{};
  };

  explicit Retries(Backoff backoff = {}) : backoff_(backoff) {}

  // These keys are compared and changed now; conclude() says what became of them.
  void attempt(const ipvs::DirtyKeys& keys);
  // They were not tried after all, and will be.
  void withdraw(const ipvs::DirtyKeys& keys);
  // What is recorded.retry is to be tried again, with `tries` counted in recorded.failures;
  // everything else that was attempted is as wanted. Returns what is not refused any more.
  std::vector<ipvs::Failure> conclude(ipvs::Recorded& recorded, const Moment& moment);

  ipvs::DirtyKeys due(Time now);
  ipvs::DirtyKeys all() const;
  // When the next is due, or before; nullopt: there is none.
  std::optional<Time> next() const { return next_; }

  std::size_t size() const { return servers_.size() + addresses_.size() + elements_.size(); }
  // Without those that were not tried.
  std::size_t refused_servers() const { return count_refused(servers_); }
  std::size_t refused_addresses() const { return count_refused(addresses_); }
  std::size_t refused_elements() const { return count_refused(elements_); }
  std::vector<ipvs::Element> elements() const;
  std::vector<Refusal> refusals() const;

 private:
  struct Entry {
    std::vector<Refusal> refusals{};
    unsigned tries = 0;
    Time due{};
  };
  template <typename Key, typename Less = std::less<Key>>
  using Entries = std::map<Key, Entry, Less>;

  template <typename Map>
  static std::size_t count_refused(const Map& entries) {
    return static_cast<std::size_t>(
        std::count_if(entries.begin(), entries.end(),
                      [](const auto& each) { return !each.second.refusals.empty(); }));
  }
  template <typename Visit>
  void for_each_entry(Visit visit) const;
  template <typename Map, typename Keys>
  void conclude(Map& entries, Map& failed, Keys& attempted, std::vector<ipvs::Failure>& over,
                const Moment& moment);
  void carry_on(Entry& next, Entry* before, bool whole, std::vector<ipvs::Failure>& over,
                const Moment& moment) const;
  // Enters into each failure how often it was tried.
  void count_tries(ipvs::Recorded& recorded) const;
  void wake_dependents(Time now);
  void find_next();

  Backoff backoff_;
  Entries<ipvs::ServerKey> servers_;
  Entries<ipvs::Address> addresses_;
  Entries<ipvs::Element, ipvs::ElementKeyLess> elements_;
  ipvs::DirtyKeys attempted_;  // of the keys that are here
  std::optional<Time> next_;
};

}  // namespace agent
