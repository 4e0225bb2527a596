// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/flow_sample.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace agent {
namespace {

// The finalizer of splitmix64.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t mix(std::uint64_t seed, const ipvs::Endpoint& endpoint) {
  std::uint64_t word = 0;
  std::size_t count = 0;
  for (const std::uint8_t byte : endpoint.address.bytes()) {
    word = word << 8 | byte;
    if (++count % sizeof(word) == 0) seed = mix(seed ^ std::exchange(word, 0));
  }
  return mix(mix(seed ^ word) ^ (std::uint64_t{endpoint.port} << 8 | count));
}

std::uint64_t hash_of(const ipvs::FlowKey& key, std::uint64_t seed) {
  return mix(mix(mix(seed ^ static_cast<std::uint8_t>(key.protocol)), key.client) ^ seed,
             key.entrance);
}

}  // namespace

bool FlowSample::is_in_sample(Hash hash) const {
  // Not the bits that `known_` goes by; and of a smaller k's sample, a larger one's is a part.
  return mix(hash) <= std::numeric_limits<std::uint64_t>::max() / one_of_;
}

FlowSample::Known& FlowSample::remember(Hash hash, Known known) {
  if (const auto before = known_.find(hash); before != known_.end()) forget(before);
  while (known_.size() >= std::max<std::size_t>(options_.remembered, 1)) {
    forget(known_.find(by_age_.front()));
  }
  by_age_.push_back(hash);
  known.age = std::prev(by_age_.end());
  return known_.emplace(hash, known).first->second;
}

void FlowSample::forget(std::unordered_map<Hash, Known>::iterator at) {
  by_age_.erase(at->second.age);
  known_.erase(at);
}

std::optional<FlowSample::Shown> FlowSample::show(bool is_shown, Shown shown) {
  if (!is_shown) return std::nullopt;
  ++second_.shown;
  if (second_.shown - doubled_at_ >= 2 * options_.per_second) {
    doubled_at_ = second_.shown;
    one_of_ *= 2;
  }
  return shown;
}

std::optional<FlowSample::Shown> FlowSample::take(const ipvs::FlowEvent& event, TimePoint now) {
  using Kind = ipvs::FlowEvent::Kind;
  const Hash hash = hash_of(event.key, options_.seed);
  const auto found = known_.find(hash);
  if (event.kind == Kind::kNew) {
    ++second_.begun;
    const bool is_shown = is_in_sample(hash);
    remember(hash, {.since = now, .is_shown = is_shown, .has_begun = true});
    return show(is_shown, {});
  }
  const bool is_deleted = event.kind == Kind::kDeleted;
  if (found == known_.end()) {
    // Its end came before we looked, or was shown and is forgotten.
    if (is_deleted && event.was_closed) return std::nullopt;
    ++second_.ended;
    const bool is_shown = is_in_sample(hash);
    // So that its deletion is not taken for another end.
    if (!is_deleted) remember(hash, {.since = now, .is_shown = is_shown, .has_ended = true});
    return show(is_shown, {.is_end = true, .seconds = event.seconds});
  }
  const Known known = found->second;
  if (is_deleted) {
    forget(found);
  } else {
    found->second.has_ended = true;
  }
  if (known.has_ended) return std::nullopt;
  ++second_.ended;
  Shown shown{.is_end = true, .seconds = event.seconds};
  if (!shown.seconds && known.has_begun) {
    shown.seconds = std::chrono::duration<double>(now - known.since).count();
  }
  return show(known.is_shown, shown);
}

FlowSample::Second FlowSample::end_second(double seconds) {
  Second ended = std::exchange(second_, {});
  ended.one_of = one_of_;
  doubled_at_ = 0;
  const double rate = static_cast<double>(ended.begun + ended.ended) / std::max(seconds, 1e-3);
  const auto wanted = static_cast<std::uint64_t>(
      std::ceil(rate / static_cast<double>(std::max<std::size_t>(options_.per_second, 1))));
  // Slowly back, so that a pause between two bursts does not show all of the second one.
  one_of_ = std::max({wanted, one_of_ / 2, std::uint64_t{1}});
  return ended;
}

}  // namespace agent
