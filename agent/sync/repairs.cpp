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

std::string line_of(Repairs::Fault fault, const std::vector<std::string>& right) {
  std::string all = names(right);
  switch (fault) {
    case Repairs::Fault::kDeleted:
      return all + (right.size() == 1 ? " was" : " were") +
             " deleted by somebody else: added again";
    case Repairs::Fault::kSettings:
      return "the settings of " + all + " were changed by somebody else: put right";
    case Repairs::Fault::kDestinations:
      return "the destinations of " + all + " were changed by somebody else: put right";
  }
  return all;
}

}  // namespace

void Repairs::found(const ipvs::Address& address) { addresses_.insert(address); }

void Repairs::found(Fault fault, const ipvs::ServerKey& key) { servers_[fault].insert(key); }

void Repairs::made(const std::string& kind, const std::string& what) { tell(kind, 1, what); }

void Repairs::report(const Reconciler& reconciler, bool comparing_all) {
  report_addresses(reconciler);
  if (!comparing_all) report_servers(reconciler);
}

void Repairs::report_addresses(const Reconciler& reconciler) {
  const auto right = take_right(addresses_, reconciler,
                                [](const ipvs::Address& each) { return each.to_string(); });
  if (right.empty()) return;
  tell("address", right.size(),
       "VIPs of kube-ipvs0 that somebody else deleted or added: " + names(right) + ": put right");
}

void Repairs::report_servers(const Reconciler& reconciler) {
  for (auto entry = servers_.begin(); entry != servers_.end();) {
    auto& [fault, keys] = *entry;
    const auto right =
        take_right(keys, reconciler, [](const ipvs::ServerKey& key) { return key.text(); });
    if (!right.empty()) {
      tell(fault == Fault::kDestinations ? "destination" : "server", right.size(),
           line_of(fault, right));
    }
    entry = keys.empty() ? servers_.erase(entry) : std::next(entry);
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
