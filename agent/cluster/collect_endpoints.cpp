// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of one Service, from what the endpoint table keeps.
#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/cluster/endpoint_records.hpp"
#include "agent/cluster/endpoint_table.hpp"
#include "agent/decide/topology.hpp"

namespace agent {

bool EndpointTable::from_pods(const k8s::Service& service) const {
  return source_ == EndpointSource::kSelector && !service.selector.empty();
}

ServiceEndpoints EndpointTable::endpoints_of(const k8s::Service& service) const {
  ServiceEndpoints all(service.ports.size());
  if (from_pods(service)) {
    collect_pods(service, all);
  } else {
    collect_slices(service, all);
  }
  return all;
}

namespace {

// The port on which a Pod serves a Service port; 0: it does not.
std::uint16_t target_port(const k8s::ServicePort& port,
                          const std::vector<k8s::ContainerPort>& declared) {
  if (const auto* number = std::get_if<std::uint16_t>(&port.target_port)) {
    return *number != 0 ? *number : port.port;
  }
  const std::string& name = std::get<std::string>(port.target_port);
  const auto found = std::find_if(declared.begin(), declared.end(), [&](const auto& candidate) {
    return candidate.name == name && candidate.protocol == port.protocol;
  });
  return found == declared.end() ? std::uint16_t{0} : found->container_port;
}

}  // namespace

void EndpointTable::collect_pods(const k8s::Service& service, ServiceEndpoints& all) const {
  const auto record = services_.find(service.meta.key);
  if (record == services_.end()) return;
  const bool by_node = service.traffic_distribution == "PreferSameNode";
  const std::string_view own_zone =
      service.traffic_distribution.empty() ? std::string_view() : zone_of_(node_name_);
  const bool by_zone = !own_zone.empty();  // without one, no hint for a zone applies
  index_.pods_of(record->second->member, [&](const LabelIndex::Member& member) {
    const PodRecord& pod = *static_cast<const PodRecord*>(member.id);
    if (pod.finished) return;
    ServiceEndpoint endpoint;
    endpoint.serving = pod.ready;
    endpoint.terminating = pod.deleted;
    endpoint.weight = pod.weight;
    endpoint.bad_weight = pod.bad_weight;
    endpoint.ready_since = pod.ready ? pod.ready_since : 0;
    endpoint.ready = service.publish_not_ready_addresses || (pod.ready && !endpoint.terminating);
    // Without a node name, which manifests may omit, a Pod may be on any node: treat it as local.
    endpoint.local = pod.node->empty() || *pod.node == node_name_;
    endpoint.pod = pod.key->name;
    if (by_node) endpoint.node_hint = hint_of(*pod.node, node_name_);
    if (by_zone) {
      const std::string_view zone = pod.zone->empty() ? zone_of_(*pod.node) : *pod.zone;
      endpoint.zone_hint = hint_of(zone, own_zone);
    }
    for (std::size_t i = 0; i < service.ports.size(); ++i) {
      endpoint.endpoint.port = target_port(service.ports[i], *pod.ports);
      if (endpoint.endpoint.port == 0) continue;
      for (const ipvs::Address& address : pod.addresses) {
        endpoint.endpoint.address = address;
        all[i].push_back(endpoint);
      }
    }
  });
}

void EndpointTable::collect_slices(const k8s::Service& service, ServiceEndpoints& all) const {
  const auto list = slices_of_.find(service.meta.key);
  if (list == slices_of_.end()) return;
  const std::string_view own_zone = zone_of_(node_name_);
  for (const k8s::ObjectKey& key : list->second) {
    const SliceRecord& record = slices_.at(key);
    const k8s::EndpointSlice& slice = record.slice;
    for (const k8s::SlicePort& slice_port : slice.ports) {
      const auto port =
          std::find_if(service.ports.begin(), service.ports.end(), [&](const auto& p) {
            return p.name == slice_port.name && p.protocol == slice_port.protocol;
          });
      if (port == service.ports.end() || slice_port.port == 0) continue;
      auto& endpoints = all[static_cast<std::size_t>(port - service.ports.begin())];
      for (const k8s::SliceEndpoint& e : slice.endpoints) {
        const WeightReading* of_pod = weights_.find(key.ns, e.pod_name);
        const WeightReading& weight = of_pod ? *of_pod : record.weight;
        endpoints.push_back({.endpoint = {e.address, slice_port.port},
                             .ready = e.ready,
                             .serving = e.serving,
                             .terminating = e.terminating,
                             .local = e.node_name.empty() ? false : e.node_name == node_name_,
                             .bad_weight = weight.bad,
                             .node_hint = hint_of(e.node_hints, node_name_),
                             .zone_hint = hint_of(e.zone_hints, own_zone),
                             .weight = weight.weight.value_or(kDefaultWeight),
                             .pod = e.pod_name});
      }
    }
  }
}

}  // namespace agent
