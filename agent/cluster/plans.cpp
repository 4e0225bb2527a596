// SPDX-License-Identifier: Apache-2.0
//
// ClusterState as the sync loop asks it (ServicePlans): from what is known of a Service to its plan.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/decide/plan_digest.hpp"

namespace agent {
namespace {

bool has_weights(const ServiceEndpoints& endpoints) {
  return std::any_of(endpoints.begin(), endpoints.end(), [](const auto& of_port) {
    return std::any_of(of_port.begin(), of_port.end(), [](const ServiceEndpoint& e) {
      return e.weight != kDefaultWeight && e.weight != 0;
    });
  });
}

// "Pod web-1: the annotation kube-ipvs.io/weight", of those that say something that is no weight.
std::set<std::string> bad_weights(const ServiceEndpoints& endpoints) {
  std::set<std::string> found;
  for (const auto& of_port : endpoints) {
    for (const ServiceEndpoint& e : of_port) {
      if (e.bad_weight == BadWeight::kNone) continue;
      const std::string who = e.pod.empty() ? "endpoint " + e.endpoint.address.to_string()
                                            : "Pod " + std::string(e.pod);
      found.insert(who + ": the " + std::string(name_of(e.bad_weight)));
    }
  }
  return found;
}

}  // namespace

const k8s::Service& ClusterState::usable(const k8s::Service& service,
                                         std::optional<UsableService>& changed,
                                         std::vector<Notice>* notices) const {
  changed = usable_part(service, limits_);
  if (!changed) return service;
  for (std::string& note : changed->notes) {
    if (!notices) break;
    notices->push_back({.reason = NoticeReason::kAddressRefused, .note = std::move(note)});
  }
  return changed->service;
}

ServiceEndpoints ClusterState::candidates_of(const k8s::Service& service) const {
  ServiceEndpoints endpoints = endpoints_.endpoints_of(service);
  if (!hand_drains_.all().empty()) {
    for (auto& of_port : endpoints) {
      for (ServiceEndpoint& each : of_port) {
        if (hand_drains_.find(each.endpoint)) each.weight = 0;
      }
    }
  }
  return endpoints;
}

void ClusterState::drop_unusable(ServiceEndpoints& endpoints, const k8s::Service& service,
                                 std::vector<Notice>* notices) const {
  for (std::string& note : remove_unusable(endpoints, service, node_view_, limits_)) {
    if (!notices) break;
    notices->push_back({.reason = NoticeReason::kEndpointRefused, .note = std::move(note)});
  }
}

ServiceEndpoints ClusterState::usable_endpoints(const k8s::Service& service) const {
  ServiceEndpoints endpoints = candidates_of(service);
  drop_unusable(endpoints, service, nullptr);
  return endpoints;
}

PlanOptions ClusterState::options_for(const k8s::Service& service, MonotonicSeconds now,
                                      std::vector<Notice>* notices) const {
  auto reading = read_service_options(service.meta.annotations, schedulers_);
  if (notices) {
    for (std::string& fault : reading.faults) {
      notices->push_back({.reason = NoticeReason::kBadAnnotation, .note = std::move(fault)});
    }
  }
  return {.service = std::move(reading.options),
          .kube_proxy = config_.compat == config::Compat::kKubeProxy,
          .now = now,
          .cluster_cidrs = cluster_cidrs_};
}

std::optional<PlannedService> ClusterState::plan(const ipvs::Owner& owner) {
  const MonotonicSeconds now = clocks_.monotonic();
  const k8s::Service* service = this->service(owner);
  if (owner == kKubernetes) note_api_servers(service);
  if (!service) return plan_lingering(owner, now);
  if (!is_served(*service)) {
    memory_.forget_service(owner);
    return std::nullopt;
  }
  PlannedService plan{.since = service->meta.creation_timestamp,
                      .external_ips = only_external_ips(*service),
                      .plan = {}};
  const PlanOptions options = options_for(*service, now, &plan.notices);
  ServiceEndpoints endpoints = candidates_of(*service);
  order_endpoints(endpoints);
  plan.digest = service_digest(*service, endpoints, options.service);
  std::optional<UsableService> changed;
  service = &usable(*service, changed, &plan.notices);
  drop_unusable(endpoints, *service, &plan.notices);
  plan.plan = plan_service(*service, endpoints, node_view_, options);
  plan.again_in_a_second = is_ramping(endpoints, options);
  note_linger(owner, plan, options.service.linger_seconds, std::nullopt);
  plan.lacks_local = {lacks_local(*service, endpoints, ipvs::Family::kIpv4),
                      lacks_local(*service, endpoints, ipvs::Family::kIpv6)};
  for (const RefusedAddress& refused : refused_addresses(*service, node_view_)) {
    plan.notices.push_back({.reason = NoticeReason::kAddressRefused, .note = refused.text()});
  }
  for (const std::string& weight : bad_weights(endpoints)) {
    plan.notices.push_back({.reason = NoticeReason::kBadAnnotation,
                            .note = weight + " is not a number from 0 to 65535: " +
                                    std::to_string(kDefaultWeight) + " is taken"});
  }
  if (!uses_weights(options.service.scheduler) && has_weights(endpoints)) {
    plan.notices.push_back({.reason = NoticeReason::kWeightsIgnored,
                            .note = "the scheduler " + options.service.scheduler +
                                    " ignores the weights of Pods (kube-ipvs.io/weight)"});
  }
  return plan;
}

bool ClusterState::scheduler_is_missing(const std::string& scheduler) {
  if (scheduler.empty() || scheduler == schedulers_.scheduler) return false;
  if (!schedulers_.unavailable.insert(scheduler).second) return false;
  services_.for_each([&](const k8s::Service& other) {
    if (!other.meta.annotations.empty()) observer_.on_dirty(other.meta.key.text());
  });
  return true;
}

std::optional<HealthCheck> ClusterState::health_check(const k8s::ObjectKey& key) const {
  const k8s::Service* service = services_.find(key);
  if (!service || !needs_health_check(*service, config_.service_proxy_name)) return std::nullopt;
  return HealthCheck{.since = service->meta.creation_timestamp,
                     .port = service->health_check_node_port,
                     .local_endpoints = count_local_endpoints(*service, usable_endpoints(*service)),
                     .load_balancer_ips = health_checked_addresses(*service, node_view_)};
}

bool ClusterState::may_drain(const ipvs::Owner& owner, const ipvs::Endpoint& endpoint) const {
  const MonotonicSeconds now = clocks_.monotonic();
  if (lingering_.contains(owner)) return true;  // its own time ends it
  const k8s::Service* service = this->service(owner);
  const auto timeout =
      service ? options_for(*service, now).service.drain_seconds : std::optional<std::uint32_t>();
  // kube-proxy waits for the end of the last connection.
  if (service && !timeout && config_.compat == config::Compat::kKubeProxy) return true;
  return endpoints_.may_drain(endpoint.address, now, timeout, service_key(owner));
}

bool ClusterState::has_endpoint(const ipvs::Owner& owner, const ipvs::Endpoint& endpoint) const {
  return !endpoints_.pod_at(endpoint.address, service_key(owner)).empty();
}

std::vector<ClusterState::PortToRead> ClusterState::ports_to_read(PortCursor& cursor,
                                                                  std::size_t services) const {
  using config::MetricsEndpoints;
  std::vector<PortToRead> all;
  const auto add = [&](const k8s::Service& service) {
    if (!is_served(service)) return;
    const bool has_endpoints = config_.metrics_endpoints == MetricsEndpoints::kAll ||
                               (config_.metrics_endpoints == MetricsEndpoints::kAnnotated &&
                                asks_for_endpoint_metrics(service.meta.annotations));
    const std::size_t first = all.size();
    for (std::size_t index = 0; index < service.ports.size(); ++index) {
      const k8s::ServicePort& port = service.ports[index];
      all.push_back({.port = {.ns = service.meta.key.ns,
                              .service = service.meta.key.name,
                              .port = port.name.empty() ? std::to_string(port.port) : port.name,
                              .protocol = to_ipvs(port.protocol)},
                     .servers = {},
                     .index = index,
                     .has_endpoints = has_endpoints});
    }
    for (const ServerOfPort& server : servers_of(service, node_view_)) {
      all[first + server.port_index].servers.push_back(server.key);
    }
  };
  cursor.at_end = !services_.for_some_after(cursor.after, services, add);
  return all;
}

std::vector<EndpointTraffic> ClusterState::endpoints_of(const PortToRead& port) const {
  const k8s::ObjectKey key{.ns = port.port.ns, .name = port.port.service};
  const k8s::Service* service = services_.find(key);
  if (!service || port.index >= service->ports.size()) return {};
  const ServiceEndpoints all = endpoints_.endpoints_of(*service);
  std::vector<EndpointTraffic> found;
  for (const ServiceEndpoint& e : all[port.index]) {
    found.push_back({.endpoint = e.endpoint, .pod = pod_at(e.endpoint.address, key)});
  }
  return found;
}

}  // namespace agent
