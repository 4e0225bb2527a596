// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of a headless Service as DNS has them, from what the endpoint table keeps.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/endpoint_records.hpp"
#include "agent/cluster/endpoint_table.hpp"

namespace agent {

// True: it is another one than before. A hostname without a subdomain is a name of no Service.
bool EndpointTable::note_hostname(const PodRecord& record, k8s::Pod& pod) {
  const auto known = hostnames_.find(&record);
  if (pod.hostname.empty() || pod.subdomain.empty()) {
    if (known == hostnames_.end()) return false;
    hostnames_.erase(known);
    return true;
  }
  Hostname next{.hostname = std::move(pod.hostname), .subdomain = std::move(pod.subdomain)};
  if (known != hostnames_.end() && known->second == next) return false;
  hostnames_.insert_or_assign(&record, std::move(next));
  return true;
}

std::vector<NamedEndpoint> EndpointTable::named_endpoints_of(const k8s::Service& service) const {
  return from_pods(service) ? named_pods_of(service) : named_slices_of(service);
}

std::vector<NamedEndpoint> EndpointTable::named_pods_of(const k8s::Service& service) const {
  std::vector<NamedEndpoint> all;
  const auto record = services_.find(service.meta.key);
  if (record == services_.end()) return all;
  index_.pods_of(record->second->member, [&](const LabelIndex::Member& member) {
    const PodRecord& pod = *static_cast<const PodRecord*>(member.id);
    if (pod.finished) return;
    NamedEndpoint endpoint;
    endpoint.ready = service.publish_not_ready_addresses || (pod.ready && !pod.deleted);
    const auto name = hostnames_.find(&pod);
    if (name != hostnames_.end() && name->second.subdomain == service.meta.key.name) {
      endpoint.hostname = name->second.hostname;
    }
    for (const k8s::ServicePort& port : service.ports) {
      endpoint.ports.push_back(target_port(port, *pod.ports));
    }
    for (const ipvs::Address& address : pod.addresses) {
      endpoint.address = address;
      all.push_back(endpoint);
    }
  });
  return all;
}

std::vector<NamedEndpoint> EndpointTable::named_slices_of(const k8s::Service& service) const {
  std::vector<NamedEndpoint> all;
  const auto list = slices_of_.find(service.meta.key);
  if (list == slices_of_.end()) return all;
  for (const k8s::ObjectKey& key : list->second) {
    const k8s::EndpointSlice& slice = slices_.at(key).slice;
    std::vector<std::uint16_t> ports;
    for (const k8s::ServicePort& port : service.ports) {
      const auto found = std::find_if(slice.ports.begin(), slice.ports.end(), [&](const auto& p) {
        return p.name == port.name && p.protocol == port.protocol;
      });
      ports.push_back(found == slice.ports.end() ? std::uint16_t{0} : found->port);
    }
    for (std::size_t i = 0; i < slice.endpoints.size(); ++i) {
      const k8s::SliceEndpoint& e = slice.endpoints[i];
      all.push_back({.address = e.address,
                     .ready = e.ready || service.publish_not_ready_addresses,
                     .hostname = i < slice.hostnames.size() ? slice.hostnames[i] : std::string(),
                     .ports = ports});
    }
  }
  return all;
}

}  // namespace agent
