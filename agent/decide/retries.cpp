// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/retries.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace agent {
namespace {

bool is_same(const ipvs::Failure& a, const ipvs::Failure& b) {
  return a.error_number == b.error_number && a.what == b.what;
}

template <typename Map, typename Keys>
void keep_known(const Map& entries, const Keys& keys, Keys& known) {
  if (entries.empty()) return;
  for (const auto& key : keys) {
    if (entries.contains(key)) known.insert(key);
  }
}

template <typename Map, typename Keys>
void add_keys(const Map& entries, Keys& keys) {
  for (const auto& [key, entry] : entries) keys.insert(key);
}

template <typename Map, typename Keys>
void take_due(Map& entries, Keys& keys, Retries::Time now) {
  for (auto& [key, entry] : entries) {
    if (entry.due > now) continue;
    keys.insert(key);
    entry.due = Retries::Time::max();  // until conclude() says what became of it
  }
}

template <typename Map, typename Key>
void note(Map& failed, const Key& key, const ipvs::Failure& failure) {
  failed[key].refusals.push_back({.failure = failure});
}

}  // namespace

template <typename Visit>
void Retries::for_each_entry(Visit visit) const {
  for (const auto& [key, entry] : servers_) visit(entry);
  for (const auto& [key, entry] : addresses_) visit(entry);
  for (const auto& [key, entry] : elements_) visit(entry);
}

void Retries::attempt(const ipvs::DirtyKeys& keys) {
  keep_known(servers_, keys.servers, attempted_.servers);
  keep_known(addresses_, keys.addresses, attempted_.addresses);
  keep_known(elements_, keys.elements, attempted_.elements);
}

void Retries::withdraw(const ipvs::DirtyKeys& keys) {
  if (attempted_.empty()) return;
  for (const ipvs::ServerKey& key : keys.servers) attempted_.servers.erase(key);
  for (const ipvs::Address& key : keys.addresses) attempted_.addresses.erase(key);
  for (const ipvs::Element& key : keys.elements) attempted_.elements.erase(key);
}

std::vector<ipvs::Failure> Retries::conclude(ipvs::Recorded& recorded, const Moment& moment) {
  std::vector<ipvs::Failure> over;
  if (attempted_.empty() && recorded.retry.empty()) return over;
  Entries<ipvs::ServerKey> servers;
  Entries<ipvs::Address> addresses;
  Entries<ipvs::Element, ipvs::ElementKeyLess> elements;
  for (const ipvs::ServerKey& key : recorded.retry.servers) servers.try_emplace(key);
  for (const ipvs::Address& key : recorded.retry.addresses) addresses.try_emplace(key);
  for (const ipvs::Element& key : recorded.retry.elements) elements.try_emplace(key);
  for (const ipvs::Failure& failure : recorded.failures) {
    if (const auto* key = std::get_if<ipvs::ServerKey>(&failure.key)) note(servers, *key, failure);
    if (const auto* key = std::get_if<ipvs::Address>(&failure.key)) note(addresses, *key, failure);
    if (const auto* key = std::get_if<ipvs::Element>(&failure.key)) note(elements, *key, failure);
  }
  const std::size_t before = size();
  conclude(servers_, servers, attempted_.servers, over, moment);
  conclude(addresses_, addresses, attempted_.addresses, over, moment);
  conclude(elements_, elements, attempted_.elements, over, moment);
  attempted_ = {};
  if (!over.empty() || size() < before) wake_dependents(moment.now);
  find_next();
  count_tries(recorded);
  return over;
}

void Retries::count_tries(ipvs::Recorded& recorded) const {
  for (ipvs::Failure& failure : recorded.failures) {
    const Entry* entry = nullptr;
    if (const auto* key = std::get_if<ipvs::ServerKey>(&failure.key)) entry = &servers_.at(*key);
    if (const auto* key = std::get_if<ipvs::Address>(&failure.key)) entry = &addresses_.at(*key);
    if (const auto* key = std::get_if<ipvs::Element>(&failure.key)) entry = &elements_.at(*key);
    if (!entry) continue;
    for (const Refusal& refusal : entry->refusals) {
      if (is_same(refusal.failure, failure)) failure.tries = refusal.failure.tries;
    }
  }
}

template <typename Map, typename Keys>
void Retries::conclude(Map& entries, Map& failed, Keys& attempted, std::vector<ipvs::Failure>& over,
                       const Moment& moment) {
  for (const auto& key : attempted) {
    const auto found = entries.find(key);
    if (failed.contains(key) || found == entries.end()) continue;
    for (Refusal& refusal : found->second.refusals) over.push_back(std::move(refusal.failure));
    entries.erase(found);
  }
  for (auto& [key, entry] : failed) {
    const auto [place, is_new] = entries.try_emplace(key);
    carry_on(entry, is_new ? nullptr : &place->second, attempted.contains(key), over, moment);
    place->second = std::move(entry);
  }
}

// `next` is what failed now, `before` what had failed when the object was tried last. `whole`: all of
// the object was tried, and not one draining destination only.
void Retries::carry_on(Entry& next, Entry* before, bool whole, std::vector<ipvs::Failure>& over,
                       const Moment& moment) const {
  bool is_news = !before;
  for (Refusal& refusal : next.refusals) {
    refusal.since = moment.since;
    if (!before) continue;
    const auto known =
        std::find_if(before->refusals.begin(), before->refusals.end(),
                     [&](const Refusal& each) { return is_same(each.failure, refusal.failure); });
    if (known == before->refusals.end()) {
      is_news = true;
      continue;
    }
    refusal.since = known->since;
    refusal.failure.tries = known->failure.tries + 1;
    before->refusals.erase(known);
  }
  next.tries = is_news ? 1 : before->tries + 1;
  if (before) {
    for (Refusal& refusal : before->refusals) {
      if (whole) {
        over.push_back(std::move(refusal.failure));
      } else {
        next.refusals.push_back(std::move(refusal));
      }
    }
  }
  const bool may_pass =
      std::any_of(next.refusals.begin(), next.refusals.end(),
                  [](const Refusal& each) { return each.failure.blame != ipvs::Blame::kObject; });
  const auto limit = may_pass ? backoff_.limit : backoff_.object_limit;
  auto pause = std::min(backoff_.first, limit);
  for (unsigned i = 1; i < next.tries && pause < limit; ++i) pause = std::min(pause * 2, limit);
  next.due = moment.now + pause;
  for (Refusal& refusal : next.refusals) refusal.next_try = next.due;
}

void Retries::wake_dependents(Time now) {
  const auto wake = [now](auto& entries) {
    for (auto& [key, entry] : entries) {
      if (entry.refusals.empty()) entry.due = now;
    }
  };
  wake(servers_);
  wake(addresses_);
  wake(elements_);
}

void Retries::find_next() {
  next_.reset();
  for_each_entry([this](const Entry& entry) {
    if (!next_ || entry.due < *next_) next_ = entry.due;
  });
}

ipvs::DirtyKeys Retries::due(Time now) {
  ipvs::DirtyKeys keys;
  take_due(servers_, keys.servers, now);
  take_due(addresses_, keys.addresses, now);
  take_due(elements_, keys.elements, now);
  find_next();
  return keys;
}

ipvs::DirtyKeys Retries::all() const {
  ipvs::DirtyKeys keys;
  add_keys(servers_, keys.servers);
  add_keys(addresses_, keys.addresses);
  add_keys(elements_, keys.elements);
  return keys;
}

std::vector<ipvs::Element> Retries::elements() const {
  std::vector<ipvs::Element> keys;
  for (const auto& [key, entry] : elements_) keys.push_back(key);
  return keys;
}

std::vector<Retries::Refusal> Retries::refusals() const {
  std::vector<Refusal> all;
  for_each_entry([&](const Entry& entry) {
    all.insert(all.end(), entry.refusals.begin(), entry.refusals.end());
  });
  return all;
}

}  // namespace agent
