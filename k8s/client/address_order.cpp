// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/address_order.hpp"

#include <algorithm>

namespace k8s {

std::vector<AddressOrder::Endpoint> AddressOrder::sorted(std::vector<Endpoint> endpoints) {
  const auto now = now_();
  std::erase_if(failed_, [&](const auto& entry) { return now - entry.second >= kAvoided; });
  const auto when = [this](const Endpoint& endpoint) {
    const auto found = failed_.find(endpoint);
    return found == failed_.end() ? Clock::time_point::min() : found->second;
  };
  std::stable_sort(endpoints.begin(), endpoints.end(),
                   [&](const Endpoint& a, const Endpoint& b) { return when(a) < when(b); });
  return endpoints;
}

}  // namespace k8s
