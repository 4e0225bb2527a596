// SPDX-License-Identifier: Apache-2.0
//
// Pods by name and by address, for questions of people.
#include <algorithm>
#include <optional>

#include "agent/cluster/endpoint_records.hpp"
#include "agent/cluster/endpoint_table.hpp"

namespace agent {
namespace {

void tidy(std::vector<ipvs::Address>& addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

}  // namespace

std::optional<EndpointTable::PodPlace> EndpointTable::find_pod(const k8s::ObjectKey& pod) const {
  if (const auto found = pods_.find(pod); found != pods_.end()) {
    const PodRecord& record = found->second;
    PodPlace place{.key = pod,
                   .addresses = record.addresses,
                   .is_here = record.node->empty() || *record.node == node_name_,
                   .is_on_host_network = record.host_network};
    tidy(place.addresses);
    return place;
  }
  PodPlace place{.key = pod};
  for (auto at = slices_.lower_bound({.ns = pod.ns, .name = {}});
       at != slices_.end() && at->first.ns == pod.ns; ++at) {
    for (const k8s::SliceEndpoint& endpoint : at->second.slice.endpoints) {
      if (endpoint.pod_name != pod.name) continue;
      place.addresses.emplace_back(endpoint.address);
      place.is_here = place.is_here || endpoint.node_name == node_name_;
    }
  }
  if (place.addresses.empty()) return std::nullopt;
  tidy(place.addresses);
  return place;
}

std::optional<EndpointTable::PodPlace> EndpointTable::find_pod_at(
    const ipvs::Address& address) const {
  const auto [first, last] = by_address_.equal_range(address);
  const auto runs = std::find_if(first, last, [](const auto& e) { return !e.second->finished; });
  if (runs != last) return find_pod(*runs->second->key);
  const auto [slice, end] = slices_by_address_.equal_range(address);
  for (auto at = slice; at != end; ++at) {
    for (const k8s::SliceEndpoint& endpoint : slices_.at(at->second).slice.endpoints) {
      if (ipvs::Address(endpoint.address) != address || endpoint.pod_name.empty()) continue;
      return PodPlace{.key = {.ns = at->second.ns, .name = endpoint.pod_name},
                      .addresses = {address},
                      .is_here = endpoint.node_name == node_name_};
    }
  }
  return std::nullopt;
}

}  // namespace agent
