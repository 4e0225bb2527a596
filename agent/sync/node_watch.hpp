// SPDX-License-Identifier: Apache-2.0
//
// Follows the kernel's notifications. The node's addresses and gateways are read again, for the
// cluster state; changes of kube-ipvs0 and of our table are passed to the sync loop, a change of a
// forward chain to the forward guard.
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread.
// Errors: what cannot be read is logged once, and read again after growing pauses; the values read
// before it stay. So it is where the kernel refuses to send notifications.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/cluster/cluster_state.hpp"
#include "agent/sync/forward_guard.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/sync_loop.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/async/task_group.hpp"

namespace agent {

struct NodeWatchOptions {
  std::chrono::milliseconds retry_first{100};
  std::chrono::milliseconds retry_limit{30'000};
  // The kernel does not report that IPv6 is turned on or off.
  std::chrono::milliseconds families_period{10'000};
  // The node's addresses were read for the first time.
  std::function<void()> on_first_read = [] {};
};

class NodeWatch {
 public:
  // `tasks` owns what run() starts.
  NodeWatch(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
            ClusterState& cluster, SyncLoop& sync, ForwardGuard& forwarding, TaskGroup& tasks,
            NodeWatchOptions options = {});

  // Reads the addresses and gateways once; after an error again when run() is at work.
  boost::asio::awaitable<void> read();
  // Starts to follow the notifications, and returns when the kernel sends them. Call it once.
  boost::asio::awaitable<void> run();
  // Whether the node's addresses are known. Until then node ports that an earlier run has left in
  // the kernel would seem to be unwanted.
  bool has_read() const { return has_read_; }

 private:
  boost::asio::awaitable<bool> read_families();
  boost::asio::awaitable<bool> read_addresses();
  boost::asio::awaitable<bool> read_gateways();
  boost::asio::awaitable<void> read_when_due();
  boost::asio::awaitable<void> follow_families();
  boost::asio::awaitable<void> check_everything();
  bool report(const std::string& what, const ipvs::KernelError& error);
  boost::asio::awaitable<void> follow(std::unique_ptr<ipvs::KernelMonitor> monitor);

  boost::asio::any_io_executor executor_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  ClusterState& cluster_;
  SyncLoop& sync_;
  ForwardGuard& forwarding_;
  TaskGroup& tasks_;
  const NodeWatchOptions options_;
  boost::asio::steady_timer again_;            // when to read again what could not be read
  std::chrono::milliseconds pause_;            // before the next time
  std::map<std::string, std::string> faults_;  // by what cannot be read: the error, reported
  bool has_read_ = false;
};

}  // namespace agent
