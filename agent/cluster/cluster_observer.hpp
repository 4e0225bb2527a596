// SPDX-License-Identifier: Apache-2.0
//
// Whoever follows what happens in the cluster. Called on the io_context thread.
#pragma once

#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

class ClusterObserver {
 public:
  virtual ~ClusterObserver() = default;
  // The plan of this Service may be another one now.
  virtual void on_dirty(const ipvs::Owner& service) = 0;
  // A Service was added or changed; called before on_dirty() of it.
  virtual void on_service(const k8s::Service&) {}
  // A Service was added, changed or deleted; endpoints of a Service were. For counters.
  virtual void on_service_change() {}
  virtual void on_endpoint_change() {}
  // ClusterState::node_view() is another one. Services that depend on it follow as dirty ones.
  virtual void on_node_view() {}
  // Every source has delivered its first list.
  virtual void on_ready() {}
};

}  // namespace agent
