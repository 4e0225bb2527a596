// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/endpoint_facts.hpp"

namespace agent {

void Candidates::add(EndpointFacts facts) {
  const ServiceEndpoint& endpoint = facts.endpoint;
  if (endpoint.ready) {
    const bool is_ipv4 = ipvs::family_of(endpoint.endpoint.address) == ipvs::Family::kIpv4;
    (is_ipv4 ? has_ready_ipv4_ : has_ready_ipv6_) = true;
  }
  const auto known = by_endpoint_.find(endpoint.endpoint);
  if (known == by_endpoint_.end()) {
    by_endpoint_.emplace(endpoint.endpoint, std::move(facts));
  } else if (endpoint.ready && !known->second.endpoint.ready) {
    known->second = std::move(facts);
  }
}

}  // namespace agent
