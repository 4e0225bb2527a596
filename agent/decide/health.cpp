// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/health.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <utility>
#include <vector>

namespace agent {
namespace {

using std::chrono::seconds;

// kube-proxy's: twice its sync period.
constexpr seconds kPatience{60};
// To program 110,000 destinations after as many were deleted was seen to take 83 s, in one call.
constexpr seconds kDead{120};

std::string rfc3339(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

bool is_over(const std::optional<seconds>& time, seconds limit) { return time && *time >= limit; }

void add_stalls(const HealthInputs& inputs, seconds limit, std::vector<std::string>& reasons) {
  if (is_over(inputs.kernel_silent, limit)) {
    reasons.push_back(fmt::format("the kernel has not returned from a call for {} s",
                                  inputs.kernel_silent->count()));
  }
  if (is_over(inputs.unpassed, limit)) {
    reasons.push_back(fmt::format("a change has been waiting for the sync loop for {} s",
                                  inputs.unpassed->count()));
  }
}

std::vector<std::string> reasons_of(const HealthInputs& inputs, HealthQuestion question) {
  std::vector<std::string> reasons;
  if (question == HealthQuestion::kAlive) {
    add_stalls(inputs, kDead, reasons);
    return reasons;
  }
  if (question == HealthQuestion::kReady && !inputs.awaited.empty()) {
    reasons.push_back("waiting for " + inputs.awaited);
    return reasons;
  }
  if (is_over(inputs.starting, kPatience)) {
    reasons.push_back(fmt::format("no complete {} in {} s",
                                  inputs.has_lists ? "table in the kernel" : "list from the source",
                                  inputs.starting->count()));
  }
  if (is_over(inputs.table_missing, kPatience)) {
    reasons.push_back(fmt::format("the nftables table kube-ipvs has been missing for {} s",
                                  inputs.table_missing->count()));
  }
  if (is_over(inputs.refused, kPatience)) {
    reasons.push_back(fmt::format("the kernel has refused for {} s: {}", inputs.refused->count(),
                                  inputs.refusal));
  }
  add_stalls(inputs, kPatience, reasons);
  return reasons;
}

}  // namespace

Health judge_health(const HealthInputs& inputs, HealthQuestion question) {
  std::vector<std::string> reasons = reasons_of(inputs, question);
  const bool asks_eligibility =
      question == HealthQuestion::kHealthy || question == HealthQuestion::kReady;
  Health health{.healthy = reasons.empty() && (!asks_eligibility || inputs.node_eligible),
                .status = 503,
                .body = {},
                .reasons = {}};
  if (health.healthy) health.status = 200;
  // As in kube-proxy: without a fault, "lastUpdated" is now, even if nothing had to be updated.
  const auto updated = reasons.empty()
                           ? inputs.now
                           : inputs.last_sync.value_or(std::chrono::system_clock::time_point{});
  health.body = fmt::format(R"({{"lastUpdated": "{}","currentTime": "{}",)", rfc3339(updated),
                            rfc3339(inputs.now));
  if (asks_eligibility) health.body += fmt::format(R"("nodeEligible": {},)", inputs.node_eligible);
  health.body += fmt::format(R"("healthy": {},"reasons": [)", health.healthy);
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    health.body +=
        (i == 0 ? "" : ",") + boost::json::serialize(boost::json::string_view(reasons[i]));
  }
  health.body += "]}\n";
  health.reasons = std::move(reasons);
  return health;
}

}  // namespace agent
