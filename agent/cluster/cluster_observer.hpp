// SPDX-License-Identifier: Apache-2.0
//
// The interface by which ClusterState reports changes of the cluster.
//
// Threading: called on the io_context thread.
#pragma once

#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

class ClusterObserver {
 public:
  virtual ~ClusterObserver() = default;
  // The plan of this Service may have changed: plan it again.
  virtual void on_dirty(const ipvs::Owner& service) = 0;
  // A Service was added or changed; called before its on_dirty().
  virtual void on_service(const k8s::Service&) {}
  // For counters: a Service, or the endpoints of a Service, were added, changed or deleted.
  virtual void on_service_change() {}
  virtual void on_endpoint_change() {}
  // ClusterState::node_view() changed. on_dirty() follows for each Service that depends on it.
  virtual void on_node_view() {}
  // What this agent reads of its own Node changed, or there is none any more.
  virtual void on_own_node() {}
  // Other Nodes are needed from now on; called once. True: the sink `other_nodes` gets them, and is
  // awaited until ClusterState::other_nodes_unavailable(). False: the sink `nodes` gets all Nodes.
  virtual bool request_other_nodes() { return false; }
  // Every source has delivered its first list.
  virtual void on_ready() {}
};

}  // namespace agent
