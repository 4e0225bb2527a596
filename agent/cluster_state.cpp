// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_state.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace agent {
namespace {

// What of a Service's plan depends on the node: where its node ports are served, and which of its
// addresses are the node's own and so not ours to bind.
bool depends_on(const k8s::Service& service, bool node_ports_moved,
                const std::set<ipvs::Address>& moved) {
  const auto has_moved = [&](const ipvs::Address& address) { return moved.contains(address); };
  const auto& ports = service.ports;
  return (node_ports_moved && std::any_of(ports.begin(), ports.end(),
                                          [](const auto& port) { return port.node_port != 0; })) ||
         std::any_of(service.cluster_ips.begin(), service.cluster_ips.end(), has_moved) ||
         std::any_of(service.external_ips.begin(), service.external_ips.end(), has_moved) ||
         std::any_of(service.load_balancer_ingress.begin(), service.load_balancer_ingress.end(),
                     [&](const auto& ingress) { return has_moved(ingress.ip); });
}

std::string port_label(const k8s::ServicePort& port) {
  return port.name.empty() ? std::to_string(port.port) : port.name;
}

}  // namespace

k8s::ObjectKey service_key(const ipvs::Owner& owner) {
  const std::size_t slash = owner.find('/');
  return {.ns = owner.substr(0, slash), .name = owner.substr(slash + 1)};
}

ClusterState::ClusterState(const config::Config& config, Events events)
    : config_(config),
      events_(std::move(events)),
      services_({.changed = [this](const k8s::Service& s) { service_changed(s); },
                 .removed = [this](const k8s::ObjectKey& key) { service_removed(key); }}),
      endpoints_(
          config.endpoint_source, config.node_name,
          [this](const k8s::ObjectKey& key) {
            events_.endpoint_changed();
            events_.service_dirty(key.text());
          },
          [this](const std::string& node) { return nodes_.zone_of(node); }),
      nodes_(config.node_name, {.own_changed = [this] { refresh_node_view(); },
                                .zones_changed = [this](bool own) { zones_changed(own); }}),
      wants_pods_(config.endpoint_source == config::EndpointSource::kSelector) {
  const auto delivered = [this] { list_delivered(); };
  service_sink_ = std::make_unique<FirstList<k8s::Service>>(services_, delivered);
  pod_sink_ = std::make_unique<FirstList<k8s::Pod>>(endpoints_.pods(), delivered);
  node_sink_ = std::make_unique<FirstList<k8s::Node>>(nodes_, delivered);
  slice_sink_ = std::make_unique<FirstList<k8s::EndpointSlice>>(endpoints_.slices(), delivered);
  lists_awaited_ = wants_pods_ ? 4 : 3;
}

k8s::Sinks ClusterState::sinks() {
  return {.services = service_sink_.get(),
          .pods = wants_pods_ ? pod_sink_.get() : nullptr,
          .nodes = node_sink_.get(),
          .slices = slice_sink_.get()};
}

void ClusterState::list_delivered() {
  if (--lists_awaited_ == 0) events_.ready();
}

void ClusterState::service_changed(const k8s::Service& service) {
  events_.service_seen(service);
  endpoints_.add_service(service.meta.key, service.selector);
  if (service.traffic_distribution.empty()) {
    distributed_.erase(service.meta.key);
  } else {
    distributed_.insert(service.meta.key);
  }
  events_.service_changed();
  events_.service_dirty(service.meta.key.text());
}

void ClusterState::service_removed(const k8s::ObjectKey& key) {
  endpoints_.remove_service(key);
  distributed_.erase(key);
  events_.service_changed();
  events_.service_dirty(key.text());
}

void ClusterState::zones_changed(bool own) {
  for (const k8s::ObjectKey& key : distributed_) events_.service_dirty(key.text());
  if (!own) return;
  for (const k8s::ObjectKey& key : endpoints_.services_with_zone_hints()) {
    events_.service_dirty(key.text());
  }
}

void ClusterState::set_local_addresses(std::vector<ipvs::LocalAddress> local) {
  // A read that finds nothing is a read at a bad moment (a link just being replaced): the node
  // always has an address, and node ports must not vanish for it.
  if (local.empty()) return;
  local_ = std::move(local);
  refresh_node_view();
}

void ClusterState::refresh_node_view() {
  NodeView next = make_node_view(config_, nodes_.own(), local_);
  if (next == node_view_) return;
  const bool node_ports_moved = next.node_port_addresses != node_view_.node_port_addresses;
  std::set<ipvs::Address> moved;
  std::set_symmetric_difference(next.own_addresses.begin(), next.own_addresses.end(),
                                node_view_.own_addresses.begin(), node_view_.own_addresses.end(),
                                std::inserter(moved, moved.end()));
  node_view_ = std::move(next);
  events_.node_addresses_changed();
  services_.for_each([&](const k8s::Service& service) {
    if (depends_on(service, node_ports_moved, moved)) {
      events_.service_dirty(service.meta.key.text());
    }
  });
}

const k8s::Service* ClusterState::service(const ipvs::Owner& owner) const {
  return services_.find(service_key(owner));
}

std::optional<SyncInputs::Plan> ClusterState::plan(const ipvs::Owner& owner) const {
  const k8s::Service* service = this->service(owner);
  if (!service || !is_served(*service)) return std::nullopt;
  const SchedulerDefaults defaults{.scheduler = config_.ipvs_scheduler};
  const PlanOptions options{
      .service = read_service_options(service->meta.annotations, defaults).options};
  return SyncInputs::Plan{
      .since = service->meta.creation_timestamp,
      .plan = plan_service(*service, endpoints_.endpoints_of(*service), node_view_, options)};
}

std::optional<HealthCheck> ClusterState::health_check(const k8s::ObjectKey& key) const {
  const k8s::Service* service = services_.find(key);
  if (!service || !needs_health_check(*service)) return std::nullopt;
  return HealthCheck{
      .since = service->meta.creation_timestamp,
      .port = service->health_check_node_port,
      .local_endpoints = count_local_endpoints(*service, endpoints_.endpoints_of(*service))};
}

bool ClusterState::may_drain(const ipvs::Endpoint& endpoint, k8s::UnixSeconds now) const {
  return endpoints_.may_drain(endpoint.address, now);
}

std::vector<ClusterState::PortToRead> ClusterState::ports_to_read() const {
  std::vector<PortToRead> all;
  services_.for_each([&](const k8s::Service& service) {
    if (!is_served(service)) return;
    const std::size_t first = all.size();
    for (std::size_t index = 0; index < service.ports.size(); ++index) {
      const k8s::ServicePort& port = service.ports[index];
      all.push_back({.port = {.ns = service.meta.key.ns,
                              .service = service.meta.key.name,
                              .port = port_label(port),
                              .protocol = to_ipvs(port.protocol)},
                     .servers = {},
                     .index = index});
    }
    for (const ServerOfPort& server : servers_of(service, node_view_)) {
      all[first + server.port_index].servers.push_back(server.key);
    }
  });
  return all;
}

std::vector<EndpointTraffic> ClusterState::endpoints_of(const PortToRead& port) const {
  const k8s::Service* service = services_.find({.ns = port.port.ns, .name = port.port.service});
  if (!service || port.index >= service->ports.size()) return {};
  const ServiceEndpoints all = endpoints_.endpoints_of(*service);
  std::vector<EndpointTraffic> found;
  for (const ServiceEndpoint& e : all[port.index]) {
    found.push_back({.endpoint = e.endpoint, .pod = pod_at(e.endpoint.address)});
  }
  return found;
}

}  // namespace agent
