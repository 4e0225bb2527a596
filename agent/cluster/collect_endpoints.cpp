// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of one Service, from what the endpoint table keeps.
#include <algorithm>
#include <iterator>
#include <limits>
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

std::uint16_t EndpointTable::target_port(const k8s::ServicePort& port,
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

template <typename Visit>
std::size_t EndpointTable::collect_pods(const k8s::Service& service, bool with_finished,
                                        std::size_t seen, std::size_t most, Visit visit) const {
  const auto record = services_.find(service.meta.key);
  if (record == services_.end()) return 0;
  const bool by_node = service.traffic_distribution == "PreferSameNode";
  const std::string_view own_zone =
      service.traffic_distribution.empty() ? std::string_view() : zone_of_(node_name_);
  const bool by_zone = !own_zone.empty();  // without one, no hint for a zone applies
  const auto look_at = [&](const LabelIndex::Member& member) {
    const PodRecord& pod = *static_cast<const PodRecord*>(member.id);
    if (pod.finished && !with_finished) return;
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
        visit(i, endpoint, pod);
      }
    }
  };
  return index_.pods_of(record->second->member, seen, most, look_at);
}

template <typename Visit>
void EndpointTable::collect_slice(const k8s::Service& service, const k8s::ObjectKey& key,
                                  Visit visit) const {
  const std::string_view own_zone = zone_of_(node_name_);
  const SliceRecord& record = slices_.at(key);
  for (const k8s::SlicePort& slice_port : record.slice.ports) {
    const auto port = std::find_if(service.ports.begin(), service.ports.end(), [&](const auto& p) {
      return p.name == slice_port.name && p.protocol == slice_port.protocol;
    });
    if (port == service.ports.end() || slice_port.port == 0) continue;
    const auto index = static_cast<std::size_t>(port - service.ports.begin());
    for (const k8s::SliceEndpoint& e : record.slice.endpoints) {
      const WeightReading* of_pod = weights_.find(key.ns, e.pod_name);
      const WeightReading& weight = of_pod ? *of_pod : record.weight;
      visit(index,
            ServiceEndpoint{.endpoint = {e.address, slice_port.port},
                            .ready = e.ready,
                            .serving = e.serving,
                            .terminating = e.terminating,
                            .local = e.node_name.empty() ? false : e.node_name == node_name_,
                            .bad_weight = weight.bad,
                            .node_hint = hint_of(e.node_hints, node_name_),
                            .zone_hint = hint_of(e.zone_hints, own_zone),
                            .weight = weight.weight.value_or(kDefaultWeight),
                            .pod = e.pod_name},
            key, e);
    }
  }
}

template <typename Visit>
void EndpointTable::collect_slices(const k8s::Service& service, Visit visit) const {
  const auto list = slices_of_.find(service.meta.key);
  if (list == slices_of_.end()) return;
  for (const k8s::ObjectKey& key : list->second) collect_slice(service, key, visit);
}

ServiceEndpoints EndpointTable::endpoints_of(const k8s::Service& service) const {
  ServiceEndpoints all(service.ports.size());
  if (from_pods(service)) {
    constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
    const auto add = [&](std::size_t port, const ServiceEndpoint& endpoint, const auto&) {
      all[port].push_back(endpoint);
    };
    collect_pods(service, false, 0, kAll, add);
  } else {
    collect_slices(service, [&](std::size_t port, const ServiceEndpoint& endpoint, const auto&...) {
      all[port].push_back(endpoint);
    });
  }
  return all;
}

bool EndpointTable::add_facts(const k8s::Service& service, FactsPlace& place, std::size_t most,
                              ServiceFacts& all) const {
  all.resize(service.ports.size());
  if (from_pods(service)) {
    const auto add = [&](std::size_t port, const ServiceEndpoint& endpoint, const PodRecord& pod) {
      EndpointFacts facts{.endpoint = endpoint,
                          .from_pod = true,
                          .object = *pod.key,
                          .pod = pod.key->name,
                          .node = *pod.node,
                          .finished = pod.finished,
                          .readiness_changed = pod.readiness_changed,
                          .deletion_requested = pod.deleted ? pod.deletion_requested : 0,
                          .deletion_grace = pod.deletion_grace};
      facts.endpoint.pod = {};
      all[port].add(std::move(facts));
    };
    place.pods_seen = collect_pods(service, true, place.pods_seen, most, add);
    return place.pods_seen != 0;
  }
  const auto list = slices_of_.find(service.meta.key);
  if (list == slices_of_.end()) return false;
  const auto slice = list->second.upper_bound(place.slice);
  if (slice == list->second.end()) return false;
  const auto add = [&](std::size_t port, const ServiceEndpoint& endpoint, const k8s::ObjectKey& key,
                       const k8s::SliceEndpoint& listed) {
    EndpointFacts facts{
        .endpoint = endpoint, .object = key, .pod = listed.pod_name, .node = listed.node_name};
    facts.endpoint.pod = {};
    all[port].add(std::move(facts));
  };
  collect_slice(service, *slice, add);
  place.slice = *slice;
  return std::next(slice) != list->second.end();
}

}  // namespace agent
