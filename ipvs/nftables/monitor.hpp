// SPDX-License-Identifier: Apache-2.0
//
// Reports when someone else changes our nftables table: `nft flush ruleset`, a firewall that
// reloads, an administrator. Our own changes are recognised by the netlink port they come from.
// Also reports when a forward chain of others changes (ipvs/nftables/forward_chains.hpp).
//
// It hears nothing during a large transaction of the client, some seconds at most: for each element
// the kernel would write a notification, at five times the cost of the transaction itself. That the
// table is still there is checked after it; a change of single rules by others meanwhile is missed.
//
// Threading: as KernelMonitor's. A false alarm is also possible when the client has just reopened
// its socket.
#pragma once

#include "ipvs/nftables/client.hpp"
#include "ipvs/state/kernel_monitor.hpp"

namespace ipvs {

class NftMonitor : public KernelMonitor {
 public:
  // Reports changes from now on; earlier ones are found by reading the table.
  static Result<NftMonitor> open(NftClient::Port own);
  ~NftMonitor() override;
  NftMonitor(NftMonitor&&) = default;
  NftMonitor& operator=(NftMonitor&&) = delete;

  int fd() const override { return socket_.fd(); }
  KernelEvents drain() override;

 private:
  NftMonitor(NetlinkSocket socket, NftClient::Port own);

  NetlinkSocket socket_;
  NftClient::Port own_;
};

}  // namespace ipvs
