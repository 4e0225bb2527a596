// SPDX-License-Identifier: Apache-2.0
//
// Notices when someone else changes our nftables table: `nft flush ruleset`, a firewall that
// reloads, a hand at work. Our own changes are told apart by the netlink port they come from.
// Notices, too, when a forward chain of others changes (ipvs/nftables/forward_chains.hpp).
//
// Threading: not thread-safe, but independent of the NftClient's thread: wait until fd() is
// readable, then call drain(). fd() stays the same as long as the monitor lives, and the monitor
// closes it.
//
// A false alarm is possible (messages were lost, or the client's socket was opened anew at this
// moment), a missed change of our table is not: on true, read it back and compare.
#pragma once

#include "ipvs/nftables/client.hpp"

namespace ipvs {

class NftMonitor {
 public:
  // Hears of changes from now on; what was changed before is found by reading the table.
  static Result<NftMonitor> open(NftClient::Port own);

  int fd() const { return socket_.fd(); }
  struct Heard {
    bool our_table = false;   // may have been changed by others
    bool forwarding = false;  // a chain came or changed its policy, or our rule there went
  };
  // Reads what is waiting, without blocking.
  Heard drain();

 private:
  NftMonitor(NetlinkSocket socket, NftClient::Port own);

  NetlinkSocket socket_;
  NftClient::Port own_;
};

}  // namespace ipvs
