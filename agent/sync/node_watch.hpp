// SPDX-License-Identifier: Apache-2.0
//
// Follows the kernel's notifications. The node's addresses and gateways are read again, for the
// cluster state; changes of kube-ipvs0 and of our table are passed to the sync loop, a change of a
// forward chain to the forward guard.
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread.
// Errors: what cannot be read is logged, and the values read before it stay. run() throws where the
// kernel refuses to send notifications.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>

#include "agent/cluster/cluster_state.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/sync_loop.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {

class NodeWatch {
 public:
  // `tasks` owns what run() starts.
  NodeWatch(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
            ClusterState& cluster, SyncLoop& sync, ForwardGuard& forwarding, TaskGroup& tasks);

  // Reads the addresses and gateways once.
  boost::asio::awaitable<void> read();
  // Starts to follow the notifications, and returns. Call it once.
  boost::asio::awaitable<void> run();

 private:
  boost::asio::awaitable<void> read_families();
  boost::asio::awaitable<void> follow_families();
  boost::asio::awaitable<void> follow(std::unique_ptr<ipvs::KernelMonitor> monitor);

  boost::asio::any_io_executor executor_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  ClusterState& cluster_;
  SyncLoop& sync_;
  ForwardGuard& forwarding_;
  TaskGroup& tasks_;
};

}  // namespace agent
