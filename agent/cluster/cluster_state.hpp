// SPDX-License-Identifier: Apache-2.0
//
// Everything this node knows of the cluster: the tables, joined. Plans Services for the sync loop,
// and reports to its observer which Services may have another plan now.
//
// Threading: the agent's io_context thread.
#pragma once

#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cluster/address_users.hpp"
#include "agent/cluster/clocks.hpp"
#include "agent/cluster/cluster_observer.hpp"
#include "agent/cluster/endpoint_table.hpp"
#include "agent/cluster/first_list.hpp"
#include "agent/cluster/memory.hpp"
#include "agent/cluster/node_table.hpp"
#include "agent/cluster/other_nodes.hpp"
#include "agent/cluster/service_table.hpp"
#include "agent/cluster/source_event.hpp"
#include "agent/decide/hand_drains.hpp"
#include "agent/decide/health_checks.hpp"
#include "agent/decide/localhost_ports.hpp"
#include "agent/decide/node_view.hpp"
#include "agent/decide/service_plan.hpp"
#include "agent/decide/traffic.hpp"
#include "agent/decide/usable.hpp"
#include "ipvs/state/networks.hpp"

namespace agent {

// Owner names are ObjectKey::text() of Services, which always have a namespace.
k8s::ObjectKey service_key(const ipvs::Owner& owner);
std::vector<k8s::Cidr> to_cidrs(const std::vector<config::Network>& networks);

class ClusterState : public ServicePlans {
 public:
  ClusterState(const config::Config& config, ClusterObserver& observer, Clocks clocks = {});
  static k8s::UnixSeconds unix_now() { return std::time(nullptr); }

  // What the last agent left for this one; before the source begins.
  void remember(const ipvs::Notes& notes) { memory_.load(notes, clocks_.monotonic()); }

  // What the source fills. `pods` is null with `endpointslice`: they are not requested then.
  k8s::Sinks sinks();
  // After ClusterObserver::request_other_nodes(): nothing waits for them any more.
  void other_nodes_unavailable(const std::string& why) { other_nodes_.unavailable(why); }
  const OtherNodes& other_nodes() const { return other_nodes_; }
  // The kinds of which no complete list has come yet: "Services, Pods"; "": none.
  std::string lists_awaited() const;

  // --- ServicePlans ---
  std::optional<PlannedService> plan(const ipvs::Owner& service) override;
  bool may_drain(const ipvs::Owner& service, const ipvs::Endpoint& endpoint) const override;
  bool has_endpoint(const ipvs::Owner& service, const ipvs::Endpoint& endpoint) const override;
  void drained(const ipvs::Owner& service) override;
  std::vector<ipvs::Note> take_notes() override { return memory_.take_changes(); }
  bool scheduler_is_missing(const std::string& scheduler) override;
  ipvs::TableRules table_rules() const override;
  std::vector<ipvs::Address> node_port_addresses() const override {
    return node_view_.node_port_addresses;
  }

  // See EndpointTable.
  std::vector<Trigger> take_triggers(const ipvs::Owner& service) {
    return endpoints_.take_triggers(service_key(service));
  }
  // nullopt: the Service is deleted, or needs none.
  std::optional<HealthCheck> health_check(const k8s::ObjectKey& service) const;
  // nullptr where there is no such Service.
  const k8s::Service* service(const ipvs::Owner& owner) const;
  // For DNS; only with --dns-bind-address.
  std::vector<NamedEndpoint> named_endpoints(const k8s::Service& service) const {
    return endpoints_.named_endpoints_of(service);
  }
  // Whether an address is this node's own, or of the cluster's networks as far as they are known.
  bool is_of_cluster(const ipvs::Address& address) const;
  const NodeView& node_view() const { return node_view_; }
  // What was read of the node's interfaces and default routes.
  void set_local_addresses(std::vector<ipvs::LocalAddress> local);
  void set_gateways(const std::vector<ipvs::Address>& gateways);
  // What this node needs for something else than Services: see AddressPolicy::set().
  void set_holder(const Holder& holder, std::vector<ipvs::Endpoint> held);
  // Values of the configuration are others: the next plans and table_rules() have them. `replan`: of
  // all Services; else of those that depend on the addresses for node ports, if these are others.
  void configuration_changed(bool replan);
  // Why this host has no IPv6; "": it has. True if that is news.
  bool set_no_ipv6(std::string why);
  bool has_ipv6() const { return limits_.no_ipv6.empty(); }
  // The networks whose traffic is the cluster's own, by --detect-local-mode: --cluster-cidr, or else
  // the Pod networks of this Node; none if an interface says it.
  std::vector<k8s::Cidr> pod_sources() const;
  // The networks of the Pods on this node (Node.spec.podCIDRs), the last ones that the Node has
  // named: it may be deleted and made again while its Pods go on.
  const std::vector<k8s::Cidr>& own_pods() const { return own_pods_; }
  // --detect-local-mode=NodeCIDR, and this Node has not named any yet: nothing can be programmed.
  bool lacks_own_pods() const {
    return config_.detect_local_mode == config::LocalMode::kNodeCidr && own_pods_.empty();
  }
  // The node ports of a Service on loopback addresses: agent/decide/localhost_ports.hpp.
  std::vector<LocalhostPort> localhost_ports(const ipvs::Owner& service) const;

  // One entry per served Service port, with the virtual servers to read for it.
  struct PortToRead {
    PortTraffic port;
    std::vector<ipvs::ServerKey> servers;
    std::size_t index = 0;  // of the port, in the Service
    bool has_endpoints =
        false;  // --metrics-endpoints and the Service ask for its endpoints' series
  };
  // A place among the Services, which may change between two calls.
  struct PortCursor {
    k8s::ObjectKey after{};
    bool at_end = false;
  };
  // The ports of the next `services` Services.
  std::vector<PortToRead> ports_to_read(PortCursor& cursor, std::size_t services) const;
  // All endpoints of that port now, those without traffic included, with their Pods and without
  // counters.
  std::vector<EndpointTraffic> endpoints_of(const PortToRead& port) const;
  // What is drained by hand: see HandDrains. The plans of the Services concerned change.
  void drain_by_hand(HandDrain drain);
  bool undrain_by_hand(const ipvs::Endpoint& endpoint);  // false: it is not drained by hand
  const HandDrains& hand_drains() const { return hand_drains_; }
  // The options that this Service's plan has now.
  ServiceOptions service_options(const k8s::Service& service) const {
    return options_for(service, 0).service;
  }
  bool is_served(const k8s::Service& service) const;
  std::string_view pod_at(const ipvs::Address& address, const k8s::ObjectKey& service) const {
    return endpoints_.pod_at(address, service);
  }

  // What is being taken in now: the cause of on_dirty().
  const SourceEvent& event() const { return event_; }

  const ServiceTable& services() const { return services_; }
  const EndpointTable& endpoints() const { return endpoints_; }
  const NodeTable& nodes() const { return nodes_; }

 private:
  void service_changed(const k8s::Service& service);
  void service_removed(const k8s::Service& last);
  void zones_changed(bool own);
  void note_api_servers(const k8s::Service* kubernetes);
  void mark_users(const AddressPolicy::Addresses& changed);
  void mark_dependants(const AddressPolicy::Addresses& changed, bool node_ports_changed);
  void remember_lingering();
  void note_linger(const ipvs::Owner& service, const PlannedService& plan, std::uint32_t seconds,
                   std::optional<MonotonicSeconds> since);
  std::optional<PlannedService> plan_lingering(const ipvs::Owner& owner, MonotonicSeconds now);
  PlanOptions options_for(const k8s::Service& service, MonotonicSeconds now,
                          std::vector<Notice>* notices = nullptr) const;
  void refresh_node_view();
  void set_limits(HostLimits limits);
  // What can be planned of it; adds notices about the rest, if there is a place for them.
  const k8s::Service& usable(const k8s::Service& service, std::optional<UsableService>& changed,
                             std::vector<Notice>* notices = nullptr) const;
  // Of the whole cluster, as the API and drains by hand say them.
  ServiceEndpoints candidates_of(const k8s::Service& service) const;
  void drop_unusable(ServiceEndpoints& endpoints, const k8s::Service& service,
                     std::vector<Notice>* notices) const;
  ServiceEndpoints usable_endpoints(const k8s::Service& service) const;
  void list_delivered();
  void take_endpoints_from(EndpointSource source);
  void other_nodes_changed();
  std::string_view zone_of(const std::string& node);
  void check_ready();

  const config::Config& config_;
  std::vector<ipvs::Network> cluster_cidrs_;
  ClusterObserver& observer_;
  const Clocks clocks_;
  Memory memory_;
  ServiceTable services_;
  EndpointTable endpoints_;
  NodeTable nodes_;
  OtherNodes other_nodes_;
  std::vector<k8s::Cidr> own_pods_;
  std::vector<ipvs::LocalAddress> local_;
  NodeView node_view_;
  HostLimits limits_;
  AddressUsers users_;
  // Deleted Services that are served until their connections have ended.
  struct Lingering {
    std::optional<k8s::Service> service{};    // nullopt: it was deleted before this start
    std::vector<ipvs::ServerKey> kept{};      // then these stay as the kernel has them
    std::optional<MonotonicSeconds> since{};  // set by the first plan
    std::uint32_t seconds = 0;
  };
  std::map<ipvs::Owner, Lingering> lingering_;
  HandDrains hand_drains_;
  SchedulerDefaults schedulers_;
  // Services with a trafficDistribution: their plans depend on the zones of Nodes.
  std::set<k8s::ObjectKey> distributed_;

  SourceEvent event_;
  bool wants_pods_ = true;
  int lists_awaited_ = 0;
  bool is_ready_ = false;
  std::unique_ptr<FirstList<k8s::Service>> service_sink_;
  std::unique_ptr<FirstList<k8s::Pod>> pod_sink_;
  std::unique_ptr<FirstList<k8s::Pod>> weight_sink_;  // with `endpointslice`
  std::unique_ptr<FirstList<k8s::Node>> node_sink_;
  std::unique_ptr<FirstList<k8s::Node>> other_node_sink_;
  std::unique_ptr<FirstList<k8s::EndpointSlice>> slice_sink_;
};

}  // namespace agent
