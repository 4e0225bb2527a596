// SPDX-License-Identifier: Apache-2.0
//
// Notices when someone else changes our nftables table: `nft flush ruleset`, a firewall that
// reloads, a hand at work. Our own changes are told apart by the netlink port they come from.
// Notices, too, when a forward chain of others changes (ipvs/nftables/forward_chains.hpp).
//
// Threading: as KernelMonitor's. A false alarm is possible, too, when the client's socket was opened
// again at this moment.
#pragma once

#include "ipvs/nftables/client.hpp"
#include "ipvs/state/kernel_monitor.hpp"

namespace ipvs {

class NftMonitor : public KernelMonitor {
 public:
  // Hears of changes from now on; what was changed before is found by reading the table.
  static Result<NftMonitor> open(NftClient::Port own);

  int fd() const override { return socket_.fd(); }
  KernelEvents drain() override;

 private:
  NftMonitor(NetlinkSocket socket, NftClient::Port own);

  NetlinkSocket socket_;
  NftClient::Port own_;
};

}  // namespace ipvs
