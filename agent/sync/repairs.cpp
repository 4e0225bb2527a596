// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/repairs.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>
#include <vector>

namespace agent {
namespace {

constexpr std::size_t kNamed = 3;  // objects that a line names

bool is_right(const Reconciler& reconciler, const ipvs::Address& address) {
  return reconciler.desired().wants(address) == reconciler.ledger().holds(address);
}

// Destinations that drain may be left.
bool is_right(const Reconciler& reconciler, const ipvs::ServerKey& key) {
  const ipvs::Server* wanted = reconciler.desired().server(key);
  const ipvs::Server* held = reconciler.ledger().server(key);
  if (!wanted || !held) return !wanted && !held;
  return wanted->settings == held->settings &&
         std::includes(held->destinations.begin(), held->destinations.end(),
                       wanted->destinations.begin(), wanted->destinations.end(),
                       [](const ipvs::Destination& a, const ipvs::Destination& b) {
                         return std::tie(a.endpoint, a.weight) < std::tie(b.endpoint, b.weight);
                       });
}

// Moves those that are as wanted out of `keys`; the result is their texts.
template <typename Keys, typename TextOf>
std::vector<std::string> take_right(Keys& keys, const Reconciler& reconciler, TextOf text_of) {
  std::vector<std::string> right;
  std::erase_if(keys, [&](const auto& key) {
    if (!is_right(reconciler, key)) return false;
    right.push_back(text_of(key));
    return true;
  });
  return right;
}

std::string names(const std::vector<std::string>& all) {
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), kNamed); ++i) {
    if (i > 0) text += ", ";
    text += all[i];
  }
  if (all.size() > kNamed) text += " and " + std::to_string(all.size() - kNamed) + " more";
  return text;
}

std::string line_of(const std::string& kind, const std::vector<std::string>& right) {
  if (kind == "address") {
    return "VIPs of kube-ipvs0 that somebody else deleted or added: " + names(right) +
           ": put right";
  }
  const std::string of = kind == "destination" ? "the destinations of " : "";
  return of + names(right) + " was not as programmed: put right";
}

}  // namespace

void Repairs::found(const std::string& kind, const ipvs::Address& address) {
  waiting_[kind].addresses.insert(address);
}

void Repairs::found(const std::string& kind, const ipvs::ServerKey& key) {
  waiting_[kind].servers.insert(key);
}

void Repairs::made(const std::string& kind, const std::string& what) { tell(kind, 1, what); }

void Repairs::report(const Reconciler& reconciler) {
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    auto& [kind, keys] = *entry;
    std::vector<std::string> right =
        take_right(keys.servers, reconciler, [](const ipvs::ServerKey& key) { return key.text(); });
    for (std::string& address :
         take_right(keys.addresses, reconciler,
                    [](const ipvs::Address& each) { return each.to_string(); })) {
      right.push_back(std::move(address));
    }
    if (!right.empty()) tell(kind, right.size(), line_of(kind, right));
    entry = keys.empty() ? waiting_.erase(entry) : std::next(entry);
  }
}

void Repairs::tell(const std::string& kind, std::size_t count, const std::string& what) {
  switch (paces_[kind].repaired(now_())) {
    case RepairPace::Stage::kSingle:
      return observer_.on_drift(kind, count, what);
    case RepairPace::Stage::kRecurring:
      return observer_.on_drift(kind, count,
                                what +
                                    "; somebody changes it again and again: from now on repaired "
                                    "after growing pauses, and only counted");
    case RepairPace::Stage::kFight:
      return observer_.on_drift(kind, count, "");
  }
}

}  // namespace agent
