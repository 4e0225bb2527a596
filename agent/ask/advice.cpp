// SPDX-License-Identifier: Apache-2.0
#include "agent/ask/advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "agent/ask/screens.hpp"

namespace agent {
namespace {

// Linux, net/netfilter/ipvs/ip_vs_*.c. "": rr, wrr, or one that is not known.
std::string_view why_uneven(std::string_view scheduler) {
  static const std::map<std::string_view, std::string_view> kBy = [] {
    constexpr std::string_view kCounts = "it evens out as connections end";
    constexpr std::string_view kClient = "a hash of the client chooses, and clients differ";
    constexpr std::string_view kAddress =
        "the virtual IP chooses, so that one endpoint is filled first";
    constexpr std::string_view kFirst = "it fills the endpoint with the greatest weight first";
    return std::map<std::string_view, std::string_view>{
        {"lc", kCounts},    {"wlc", kCounts},    {"sed", kCounts}, {"nq", kCounts},
        {"twos", kCounts},  {"sh", kClient},     {"mh", kClient},  {"dh", kAddress},
        {"lblc", kAddress}, {"lblcr", kAddress}, {"ovf", kFirst},  {"fo", kFirst}};
  }();
  const auto at = kBy.find(scheduler);
  return at == kBy.end() ? std::string_view() : at->second;
}

struct Sums {
  std::uint64_t open = 0, weight = 0;
  double mean() const {  // for a weight of 1
    return weight == 0 ? 0 : static_cast<double>(open) / static_cast<double>(weight);
  }
};

Sums sums_of(const PortLoad& load) {
  Sums sums;
  for (const PortLoad::Endpoint& each : load.endpoints) {
    sums.open += each.open;
    sums.weight += each.weight;
  }
  return sums;
}

// The most connections for its weight of any endpoint, in multiples of the mean.
template <typename OpenOf>
double spread(const PortLoad& load, double mean, OpenOf open_of) {
  if (mean <= 0) return 1;
  double most = 0;
  for (const PortLoad::Endpoint& each : load.endpoints) {
    if (each.weight == 0) continue;
    most = std::max(most, open_of(each) / static_cast<double>(each.weight));
  }
  return most / mean;
}

// Weights may be as they are for slow start, which needs a scheduler that knows weights.
bool are_weighted(const PortLoad& load) {
  return std::any_of(load.endpoints.begin(), load.endpoints.end(),
                     [](const auto& each) { return each.weight > 1; });
}

}  // namespace

double spread_of(const PortLoad& load) {
  return spread(load, sums_of(load).mean(),
                [](const PortLoad::Endpoint& each) { return static_cast<double>(each.open); });
}

// Whole connections: an endpoint may have a part of one more than its share.
double spread_by_least_connection(const PortLoad& load) {
  const Sums sums = sums_of(load);
  return spread(load, sums.mean(), [sums](const PortLoad::Endpoint& each) {
    const std::uint64_t most =
        (sums.open * each.weight + sums.weight - 1) / sums.weight;  // rounded up
    return static_cast<double>(most);
  });
}

std::string advice(const PortLoad& load) {
  constexpr double kUneven = 1.5, kNoBetter = 1.1;
  constexpr std::uint64_t kEnough = 10;  // to say how long they last
  const Sums sums = sums_of(load);
  const double now = spread_of(load), better = spread_by_least_connection(load);
  const bool are_few = sums.open < load.endpoints.size();
  if (load.endpoints.size() < 2 || are_few || now < kUneven || now < kNoBetter * better) return {};
  std::string text = fmt::format("{}: {}spread {:.1f}", load.port,
                                 load.scheduler.empty() ? "" : load.scheduler + ", ", now);
  // What is open is what comes in the time that it stays (Little's law).
  if (load.new_per_second > 0 && load.new_connections >= kEnough) {
    const double seconds = static_cast<double>(sums.open) / load.new_per_second;
    text += ", connections last " + (seconds < 1 ? "under 1s" : age_text(seconds)) + " on average";
  }
  if (load.has_affinity) return text + ": session affinity keeps clients at their endpoint";
  if (const auto why = why_uneven(load.scheduler); !why.empty()) {
    return text + ": " + std::string(why);
  }
  return text + fmt::format(": {} would give {:.1f}", are_weighted(load) ? "wlc" : "lc", better);
}

}  // namespace agent
