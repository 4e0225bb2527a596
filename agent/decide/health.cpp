// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/health.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <vector>

namespace agent {
namespace {

constexpr std::chrono::seconds kPatience{60};

std::string rfc3339(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::vector<std::string> reasons_of(const HealthInputs& inputs) {
  std::vector<std::string> reasons;
  if (inputs.waiting && *inputs.waiting >= kPatience) {
    reasons.push_back(
        inputs.last_sync
            ? fmt::format("a change has been waiting for the kernel for {} s ({} objects failing)",
                          inputs.waiting->count(), inputs.failing_keys)
            : fmt::format("no complete list from the source in {} s", inputs.waiting->count()));
  }
  for (const auto& [server, fault] : inputs.bind_faults) reasons.push_back(server + ": " + fault);
  return reasons;
}

}  // namespace

Health judge_health(const HealthInputs& inputs, bool livez) {
  const std::vector<std::string> reasons = reasons_of(inputs);
  Health health{
      .healthy = reasons.empty() && (livez || inputs.node_eligible), .status = 503, .body = {}};
  if (health.healthy) health.status = 200;
  // As in kube-proxy: without a fault, "lastUpdated" is now, even if nothing had to be updated.
  const auto updated = reasons.empty()
                           ? inputs.now
                           : inputs.last_sync.value_or(std::chrono::system_clock::time_point{});
  health.body = fmt::format(R"({{"lastUpdated": "{}","currentTime": "{}",)", rfc3339(updated),
                            rfc3339(inputs.now));
  if (!livez) health.body += fmt::format(R"("nodeEligible": {},)", inputs.node_eligible);
  health.body += fmt::format(R"("healthy": {},"reasons": [)", health.healthy);
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    health.body +=
        (i == 0 ? "" : ",") + boost::json::serialize(boost::json::string_view(reasons[i]));
  }
  health.body += "]}\n";
  return health;
}

}  // namespace agent
