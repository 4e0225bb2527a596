// SPDX-License-Identifier: Apache-2.0
//
// Compares the kernel with what we entered as programmed, part by part, and reports what somebody
// else changed. The Reconciler then holds what was found, and its next changes repair it.
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread.
// Errors: what cannot be read is skipped; its turn comes again. Each error is reported once while it
// lasts.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/reconciler.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/repairs.hpp"
#include "agent/sync/sync_observer.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

class Audit {
 public:
  // `slice`: how many virtual servers next_servers() reads.
  Audit(ipvs::Kernel& kernel, KernelThread& thread, Reconciler& reconciler, Repairs& repairs,
        SyncObserver& observer, std::size_t slice);

  // kube-ipvs0 itself.
  boost::asio::awaitable<void> device();
  // All addresses of kube-ipvs0.
  boost::asio::awaitable<void> addresses();
  // The foreign virtual servers that a Service wants the address and port of. Returns the Services
  // that can have theirs now, because the foreign one was deleted: to be planned again.
  boost::asio::awaitable<std::set<ipvs::Owner>> foreign_servers();
  // The next virtual servers of ours, with their destinations; after the last come the first again.
  boost::asio::awaitable<void> next_servers();

 private:
  std::vector<ipvs::ServerKey> next_slice();
  void take(const std::string& check, const ipvs::HostCheck& found);
  bool is_readable(const std::string& what, const std::optional<ipvs::KernelError>& error);

  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  Reconciler& reconciler_;
  Repairs& repairs_;
  SyncObserver& observer_;
  const std::size_t slice_;
  std::vector<ipvs::ServerKey> queue_;         // still to be read in this round
  std::map<std::string, std::string> faults_;  // by check: the error that lasts
};

}  // namespace agent
