// SPDX-License-Identifier: Apache-2.0
//
// Which connections an observation shows, and how long each lasted: bounded in lines per second and in
// memory, whatever happens on the wire. Pure.
//
// Up to `per_second` beginnings and ends are shown each second. Where more happens, one of k
// connections is shown, chosen by a hash of its addresses, ports and protocol: of a connection that is
// shown both its beginning and its end are, as long as it is remembered. k follows the rate of the last
// second, and within a second it is doubled whenever twice as many lines as planned were shown.
//
// Connections are remembered by a hash of 64 bits with a secret seed: two of some thousands are taken
// for one about once in 10^11 times, and nobody can choose them so.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

#include "ipvs/state/flow_observer.hpp"

namespace agent {

class FlowSample {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Options {
    std::size_t per_second = 50;
    std::size_t remembered = 20'000;  // connections; then the oldest is forgotten
    std::uint64_t seed = 0;
  };
  explicit FlowSample(Options options) : options_(options) {}

  struct Shown {
    bool is_end = false;
    std::optional<double> seconds{};  // of an end whose beginning was seen
  };
  // nullopt: not to be shown, because it is not in the sample or its end was shown already.
  std::optional<Shown> take(const ipvs::FlowEvent& event, TimePoint now);

  // Since the last call: how many began and ended, and that one of `one_of` was shown.
  struct Second {
    std::size_t begun = 0, ended = 0, shown = 0;
    std::uint64_t one_of = 1;
  };
  Second end_second(double seconds);
  std::size_t remembered() const { return known_.size(); }

 private:
  using Hash = std::uint64_t;
  struct Known {
    TimePoint since{};
    bool is_shown = false;
    bool has_ended = false;
    bool has_begun = false;  // false: its beginning was not seen
    std::list<Hash>::iterator age{};
  };
  bool is_in_sample(Hash hash) const;
  Known& remember(Hash hash, Known known);
  void forget(std::unordered_map<Hash, Known>::iterator at);
  std::optional<Shown> show(bool is_shown, Shown shown);

  const Options options_;
  std::unordered_map<Hash, Known> known_;
  std::list<Hash> by_age_;  // oldest first
  Second second_{};
  std::uint64_t one_of_ = 1;
  std::size_t doubled_at_ = 0;  // lines of this second at which k was doubled last
};

}  // namespace agent
