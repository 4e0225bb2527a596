// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/cluster_state.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace agent {
namespace {

// Whether the Service's plan depends on what changed of the node: the addresses that serve node
// ports, or addresses (`moved`) that the node or another holder got or lost.
bool depends_on(const k8s::Service& service, bool node_ports_moved,
                const std::set<ipvs::Address>& moved) {
  const auto has_moved = [&](const ipvs::Address& address) { return moved.contains(address); };
  const auto& ports = service.ports;
  const auto external = external_addresses(service);
  return (node_ports_moved && std::any_of(ports.begin(), ports.end(),
                                          [](const auto& port) { return port.node_port != 0; })) ||
         std::any_of(service.cluster_ips.begin(), service.cluster_ips.end(), has_moved) ||
         std::any_of(external.begin(), external.end(), has_moved);
}

std::vector<ipvs::Network> to_networks(const std::vector<k8s::Cidr>& cidrs) {
  std::vector<ipvs::Network> networks;
  networks.reserve(cidrs.size());
  for (const k8s::Cidr& cidr : cidrs) networks.push_back({cidr.address, cidr.prefix_length});
  return networks;
}

}  // namespace

k8s::ObjectKey service_key(const ipvs::Owner& owner) {
  const std::size_t slash = owner.find('/');
  return {.ns = owner.substr(0, slash), .name = owner.substr(slash + 1)};
}

std::vector<k8s::Cidr> to_cidrs(const std::vector<config::Network>& networks) {
  std::vector<k8s::Cidr> cidrs;
  cidrs.reserve(networks.size());
  for (const auto& network : networks) cidrs.push_back({network.address, network.prefix_length});
  return cidrs;
}

ClusterState::ClusterState(const config::Config& config, ClusterObserver& observer, Clocks clocks)
    : config_(config),
      cluster_cidrs_(to_networks(to_cidrs(config.cluster_cidrs))),
      observer_(observer),
      clocks_(std::move(clocks)),
      services_({.changed = [this](const k8s::Service& s) { service_changed(s); },
                 .removed = [this](const k8s::Service& last) { service_removed(last); }}),
      endpoints_(
          config.endpoint_source, config.node_name,
          [this](const k8s::ObjectKey& key) {
            observer_.on_endpoint_change();
            observer_.on_dirty(key.text());
          },
          [this](const std::string& node) { return zone_of(node); }, clocks_, &memory_),
      nodes_(
          config.node_name,
          {.own_changed =
               [this] {
                 const k8s::Node* own = nodes_.own();
                 if (own && !own->pod_cidrs.empty()) own_pods_ = own->pod_cidrs;
                 refresh_node_view();
                 observer_.on_own_node();
               },
           .zones_changed = [this](bool own) { zones_changed(own); },
           .internal_ips =
               [this](const std::string& node, const auto& addresses) {
                 std::vector<ipvs::Endpoint> held;
                 held.reserve(addresses.size());
                 for (const auto& each : addresses) held.push_back({each});
                 mark_users(node_view_.addresses.set({HolderKind::kNode, node}, std::move(held)));
               }},
          config.manifests.empty()),
      other_nodes_([this] { return observer_.request_other_nodes(); },
                   [this] { other_nodes_changed(); }),
      wants_pods_(config.endpoint_source != EndpointSource::kEndpointSlice) {
  schedulers_.scheduler = config.ipvs_scheduler;
  if (!config.dns_binds.empty()) endpoints_.keep_hostnames();
  const auto delivered = [this] { list_delivered(); };
  service_sink_ =
      std::make_unique<FirstList<k8s::Service>>(services_, "Service", event_, delivered);
  pod_sink_ = std::make_unique<FirstList<k8s::Pod>>(endpoints_.pods(), "Pod", event_, delivered);
  node_sink_ = std::make_unique<FirstList<k8s::Node>>(nodes_.nodes(), "Node", event_, delivered);
  other_node_sink_ = std::make_unique<FirstList<k8s::Node>>(nodes_.other_nodes(), "Node", event_,
                                                            [this] { other_nodes_.delivered(); });
  slice_sink_ = std::make_unique<FirstList<k8s::EndpointSlice>>(endpoints_.slices(),
                                                                "EndpointSlice", event_, delivered);
  if (!wants_pods_)
    weight_sink_ =
        std::make_unique<FirstList<k8s::Pod>>(endpoints_.weighted_pods(), "Pod", event_, delivered);
  lists_awaited_ = 4;
}

k8s::Sinks ClusterState::sinks() {
  return {.services = service_sink_.get(),
          .pods = wants_pods_ ? pod_sink_.get() : nullptr,
          .weighted_pods = weight_sink_.get(),
          .nodes = node_sink_.get(),
          .other_nodes = other_node_sink_.get(),
          .slices = slice_sink_.get(),
          .endpoints_from_pods = [this](bool pods) {
            take_endpoints_from(pods ? EndpointSource::kSelector : EndpointSource::kEndpointSlice);
          }};
}

// A source that may choose has chosen. Pods that have not come yet are not awaited any more.
void ClusterState::take_endpoints_from(EndpointSource source) {
  endpoints_.take_from(source);
  const bool awaited = wants_pods_ && !pod_sink_->is_delivered();
  wants_pods_ = source == EndpointSource::kSelector;
  if (awaited && !wants_pods_) list_delivered();
}

std::string ClusterState::lists_awaited() const {
  std::string kinds;
  const auto add = [&kinds](bool is_delivered, const char* kind) {
    if (!is_delivered) kinds += (kinds.empty() ? "" : ", ") + std::string(kind);
  };
  add(service_sink_->is_delivered(), "Services");
  add(!wants_pods_ || pod_sink_->is_delivered(), "Pods");
  add(!weight_sink_ || weight_sink_->is_delivered(), "Pods with weights");
  add(slice_sink_->is_delivered(), "EndpointSlices");
  add(node_sink_->is_delivered(), "Nodes");
  add(!other_nodes_.awaited(), "other Nodes");
  return kinds;
}

void ClusterState::list_delivered() {
  if (--lists_awaited_ != 0) return;
  // The first plans would ask for zones as well, too late for the first table to have them.
  for (const k8s::ObjectKey& key : distributed_) {
    if (const k8s::Service* service = services_.find(key)) endpoints_.endpoints_of(*service);
  }
  check_ready();
}

void ClusterState::check_ready() {
  if (lists_awaited_ != 0 || other_nodes_.awaited() || std::exchange(is_ready_, true)) return;
  remember_lingering();
  memory_.forget_other_pods();
  observer_.on_ready();
}

void ClusterState::other_nodes_changed() {
  node_view_.addresses.await_nodes(other_nodes_.awaited());
  if (other_nodes_.awaited()) return;
  users_.for_each([this](const k8s::ObjectKey& key) { observer_.on_dirty(key.text()); });
  check_ready();
}

// A Pod on another Node has no label that says its zone.
std::string_view ClusterState::zone_of(const std::string& node) {
  if (node != config_.node_name && !node.empty()) other_nodes_.need();
  return nodes_.zone_of(node);
}

void ClusterState::service_changed(const k8s::Service& service) {
  observer_.on_service(service);
  endpoints_.add_service(service.meta.key, service.selector);
  lingering_.erase(service.meta.key.text());
  users_.set(service.meta.key, external_addresses(service));
  if (may_ask_for_nodes(service, config_.service_proxy_name)) other_nodes_.need();
  if (is_kubernetes(service)) {
    mark_users(node_view_.addresses.set_kubernetes(
        {service.cluster_ips.begin(), service.cluster_ips.end()}));
  }
  if (service.traffic_distribution.empty()) {
    distributed_.erase(service.meta.key);
  } else {
    distributed_.insert(service.meta.key);
  }
  observer_.on_service_change();
  observer_.on_dirty(service.meta.key.text());
}

void ClusterState::service_removed(const k8s::Service& last) {
  const k8s::ObjectKey& key = last.meta.key;
  const std::uint32_t linger = options_for(last, 0).service.linger_seconds;
  if (linger != 0 && is_served(last)) {
    lingering_[key.text()] = {.service = last, .since = {}, .seconds = linger};
  }
  users_.set(key, {});
  if (is_kubernetes(last)) mark_users(node_view_.addresses.set_kubernetes({}));
  endpoints_.remove_service(key);
  distributed_.erase(key);
  observer_.on_service_change();
  observer_.on_dirty(key.text());
}

void ClusterState::zones_changed(bool own) {
  for (const k8s::ObjectKey& key : distributed_) observer_.on_dirty(key.text());
  if (!own) return;
  for (const k8s::ObjectKey& key : endpoints_.services_with_zone_hints()) {
    observer_.on_dirty(key.text());
  }
}

void ClusterState::set_local_addresses(std::vector<ipvs::LocalAddress> local) {
  // A node always has an address. None is read while a link is being replaced, for example; node
  // ports must survive that.
  if (local.empty()) return;
  local_ = std::move(local);
  refresh_node_view();
  set_limits(limits_of(local_, limits_.no_ipv6));
}

bool ClusterState::set_no_ipv6(std::string why) {
  if (why == limits_.no_ipv6) return false;
  set_limits(limits_of(local_, std::move(why)));
  return true;
}

// Pods do not get broadcast addresses: what names one is a Service, or an EndpointSlice that people
// have written.
void ClusterState::set_limits(HostLimits limits) {
  if (limits == limits_) return;
  const bool family_changed = limits.no_ipv6.empty() != limits_.no_ipv6.empty();
  const bool broadcasts_changed = limits.broadcasts != limits_.broadcasts;
  limits_ = std::move(limits);
  const auto is_v6 = [](const k8s::Address& address) { return address.is_v6(); };
  services_.for_each([&](const k8s::Service& service) {
    const auto& vips = service.cluster_ips;
    const bool depends =
        (family_changed && std::any_of(vips.begin(), vips.end(), is_v6)) ||
        (broadcasts_changed && (service.selector.empty() || !external_addresses(service).empty()));
    if (depends) observer_.on_dirty(service.meta.key.text());
  });
}

void ClusterState::drain_by_hand(HandDrain drain) {
  const ipvs::Address address = drain.endpoint.address;
  hand_drains_.set(std::move(drain));
  event_ = {
      .kind = "kube-ipvs drain", .verb = "asked", .key = {.ns = {}, .name = address.to_string()}};
  endpoints_.touch(address);
  event_.kind = "";
}

bool ClusterState::undrain_by_hand(const ipvs::Endpoint& endpoint) {
  if (!hand_drains_.remove(endpoint)) return false;
  event_ = {.kind = "kube-ipvs undrain",
            .verb = "asked",
            .key = {.ns = {}, .name = endpoint.address.to_string()}};
  endpoints_.touch(endpoint.address);
  event_.kind = "";
  return true;
}

void ClusterState::refresh_node_view() {
  NodeView next = make_node_view(config_, nodes_.own(), local_);
  const bool node_ports_changed = next.node_port_addresses != node_view_.node_port_addresses;
  node_view_.node_port_addresses = std::move(next.node_port_addresses);
  const auto changed = node_view_.addresses.set_own(next.addresses.own());
  if (!node_ports_changed && changed.empty()) return;
  observer_.on_node_view();
  mark_dependants(changed, node_ports_changed);
}

void ClusterState::configuration_changed(bool replan) {
  cluster_cidrs_ = to_networks(to_cidrs(config_.cluster_cidrs));
  schedulers_.scheduler = config_.ipvs_scheduler;
  schedulers_.unavailable.erase(config_.ipvs_scheduler);  // it has been tried
  refresh_node_view();
  if (!replan) return;
  services_.for_each(
      [this](const k8s::Service& each) { observer_.on_dirty(each.meta.key.text()); });
  for (const auto& [owner, lingering] : lingering_) observer_.on_dirty(owner);
}

void ClusterState::set_gateways(const std::vector<ipvs::Address>& gateways) {
  std::vector<ipvs::Endpoint> held;
  held.reserve(gateways.size());
  for (const ipvs::Address& gateway : gateways) held.push_back({gateway});
  set_holder({HolderKind::kGateway}, std::move(held));
}

void ClusterState::set_holder(const Holder& holder, std::vector<ipvs::Endpoint> held) {
  const auto changed = node_view_.addresses.set(holder, std::move(held));
  // Of an address of this node's own, a port is held: it may be a node port.
  const bool own_changed = std::any_of(changed.begin(), changed.end(), [&](const auto& address) {
    return node_view_.addresses.is_own(address);
  });
  mark_dependants(changed, own_changed);
}

// The endpoints of default/kubernetes are API servers; by its cluster IP all Pods here reach them.
void ClusterState::note_api_servers(const k8s::Service* kubernetes) {
  std::vector<ipvs::Endpoint> servers;
  if (kubernetes) {
    for (const auto& of_port : endpoints_.endpoints_of(*kubernetes)) {
      for (const ServiceEndpoint& each : of_port) servers.push_back(each.endpoint);
    }
  }
  std::sort(servers.begin(), servers.end());
  set_holder({HolderKind::kApiServer, "endpoints"}, std::move(servers));
}

// For what other Nodes hold: only external addresses of Services depend on it.
void ClusterState::mark_users(const AddressPolicy::Addresses& changed) {
  for (const ipvs::Address& address : changed) {
    users_.for_each_of(address,
                       [this](const k8s::ObjectKey& key) { observer_.on_dirty(key.text()); });
  }
}

void ClusterState::mark_dependants(const AddressPolicy::Addresses& changed,
                                   bool node_ports_changed) {
  if (changed.empty() && !node_ports_changed) return;
  services_.for_each([&](const k8s::Service& service) {
    if (depends_on(service, node_ports_changed, changed)) {
      observer_.on_dirty(service.meta.key.text());
    }
  });
}

const k8s::Service* ClusterState::service(const ipvs::Owner& owner) const {
  return services_.find(service_key(owner));
}

bool ClusterState::is_served(const k8s::Service& service) const {
  return agent::is_served(service, config_.service_proxy_name);
}

std::vector<k8s::Cidr> ClusterState::pod_sources() const {
  switch (config_.detect_local_mode) {
    case config::LocalMode::kClusterCidr:
      break;
    case config::LocalMode::kNodeCidr:
      return own_pods();
    case config::LocalMode::kBridge:
    case config::LocalMode::kNamePrefix:
      return {};
  }
  const std::vector<k8s::Cidr> sources = to_cidrs(config_.cluster_cidrs);
  return sources.empty() ? own_pods() : sources;
}

bool ClusterState::is_of_cluster(const ipvs::Address& address) const {
  return address.is_loopback() || node_view_.addresses.is_own(address) ||
         ipvs::is_in_any(address, cluster_cidrs_) ||
         std::any_of(own_pods_.begin(), own_pods_.end(), [&](const k8s::Cidr& pods) {
           return ipvs::is_in(address, pods.address, pods.prefix_length);
         });
}

std::vector<LocalhostPort> ClusterState::localhost_ports(const ipvs::Owner& owner) const {
  const k8s::Service* service = this->service(owner);
  if (!service || !is_served(*service)) return {};
  std::optional<UsableService> changed;
  return agent::localhost_ports(usable(*service, changed), node_view_, config_);
}

ipvs::TableRules ClusterState::table_rules() const {
  ipvs::TableRules rules{.masquerade_all = config_.masquerade_all,
                         .cluster_cidrs = cluster_cidrs_,
                         .pod_sources = to_networks(pod_sources()),
                         .own_pods = to_networks(own_pods())};
  switch (config_.detect_local_mode) {
    case config::LocalMode::kClusterCidr:
      break;
    case config::LocalMode::kNodeCidr:
      rules.local_by = ipvs::LocalBy::kOwnPods;
      break;
    case config::LocalMode::kBridge:
      rules.local_by = ipvs::LocalBy::kInterface;
      rules.pod_interface = config_.pod_bridge_interface;
      break;
    case config::LocalMode::kNamePrefix:
      rules.local_by = ipvs::LocalBy::kNamePrefix;
      rules.pod_interface = config_.pod_interface_name_prefix;
      break;
  }
  return rules;
}

}  // namespace agent
