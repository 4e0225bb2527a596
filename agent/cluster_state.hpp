// SPDX-License-Identifier: Apache-2.0
//
// Everything this node knows of the cluster, and the questions the sync loop and the scrape ask of
// it. Joins the tables: a Service's selector goes to the endpoint table, a change of either names
// the Service to plan anew.
//
// Threading: the agent's io_context thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/endpoint_table.hpp"
#include "agent/first_list.hpp"
#include "agent/health_check_ports.hpp"
#include "agent/node_table.hpp"
#include "agent/node_view.hpp"
#include "agent/service_table.hpp"
#include "agent/sync_loop.hpp"
#include "agent/traffic_metrics.hpp"

namespace agent {

// Owner names are ObjectKey::text() of Services, which always have a namespace.
k8s::ObjectKey service_key(const ipvs::Owner& owner);

class ClusterState {
 public:
  struct Events {
    std::function<void(const ipvs::Owner&)> service_dirty;
    std::function<void()> service_changed;  // for counters
    std::function<void()> endpoint_changed;
    std::function<void(const k8s::Service&)> service_seen;
    std::function<void()> node_addresses_changed;
    std::function<void()> ready;  // every source has delivered its first list
  };
  ClusterState(const config::Config& config, Events events);

  // What the source is to fill. Pods are not asked for in `endpointslice` mode.
  k8s::Sinks sinks();

  std::optional<SyncInputs::Plan> plan(const ipvs::Owner& service) const;
  // nullopt: the Service is gone, or needs none.
  std::optional<HealthCheck> health_check(const k8s::ObjectKey& service) const;
  bool may_drain(const ipvs::Endpoint& endpoint, k8s::UnixSeconds now) const;
  // nullptr where there is no such Service.
  const k8s::Service* service(const ipvs::Owner& owner) const;
  const NodeView& node_view() const { return node_view_; }
  // The interfaces of the node were read again.
  void set_local_addresses(std::vector<ipvs::LocalAddress> local);

  // One entry per served Service port, with the virtual servers to read for it.
  struct PortToRead {
    PortTraffic port;
    std::vector<ipvs::ServerKey> servers;
    std::size_t index = 0;  // of the port, in the Service
  };
  std::vector<PortToRead> ports_to_read() const;
  // The endpoints such a port has now, whether traffic goes to them or not, with their Pods;
  // without counters.
  std::vector<EndpointTraffic> endpoints_of(const PortToRead& port) const;
  std::string_view pod_at(const ipvs::Address& address) const { return endpoints_.pod_at(address); }

  const ServiceTable& services() const { return services_; }
  const EndpointTable& endpoints() const { return endpoints_; }
  const NodeTable& nodes() const { return nodes_; }

 private:
  void service_changed(const k8s::Service& service);
  void service_removed(const k8s::ObjectKey& key);
  void zones_changed(bool own);
  void refresh_node_view();
  void list_delivered();

  const config::Config& config_;
  Events events_;
  ServiceTable services_;
  EndpointTable endpoints_;
  NodeTable nodes_;
  std::vector<ipvs::LocalAddress> local_;
  NodeView node_view_;
  // With a trafficDistribution: what the zones of Nodes decide.
  std::set<k8s::ObjectKey> distributed_;

  bool wants_pods_ = true;
  int lists_awaited_ = 0;
  std::unique_ptr<FirstList<k8s::Service>> service_sink_;
  std::unique_ptr<FirstList<k8s::Pod>> pod_sink_;
  std::unique_ptr<FirstList<k8s::Node>> node_sink_;
  std::unique_ptr<FirstList<k8s::EndpointSlice>> slice_sink_;
};

}  // namespace agent
