// SPDX-License-Identifier: Apache-2.0
//
// A table of nftables that gives conntrack events to new connections of some virtual servers, and takes
// them from others. It exists while this object does: the kernel deletes it with our socket, also when
// the process is killed (NFT_TABLE_F_OWNER, Linux 5.12).
//
//   table inet kube-ipvs-observe-PORT { flags owner
//     chain prerouting { type filter hook prerouting priority -190        and `output` alike
//       ct state new ct original ip daddr 10.96.0.1 meta l4proto tcp ct original proto-dst 80
//         ct event set new,destroy,protoinfo accept
//       ...
//       ct state new ct event set 0x0             with `silences_others`
//     }
//   }
//
// After conntrack (-200). The first packet of a connection may come by more than once, because IPVS sends
// what it has translated through the output hook: so the addresses are those that the client wrote. The
// mask of events that a connection gets outlives the table.
//
// What the mask does depends on net.netfilter.nf_conntrack_events (nf_ct_ecache_ext_add(),
// nf_conntrack_ecache.c; nft_ct_set_eval(), nft_ct.c):
//   0  connections have no events, except those that get a mask here.
//   1  all have all events; the mask only narrows that, for every listener.
//   2  (default since Linux 5.19) as 1 for connections that begin while somebody listens, else as 0.
//
// Threading: not thread-safe; calls block some milliseconds.
// Errors: KernelError; EOPNOTSUPP or EINVAL of a kernel without owners of tables, ENOENT of one without
// the module nft_ct.
#pragma once

#include <span>
#include <string>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

// The whole table as one transaction, in place of the one that is there if `replaces`. Pure.
MessageBatch encode_event_table(const std::string& name, std::span<const ServerKey> servers,
                                bool silences_others, bool replaces);

class EventTable {
 public:
  static Result<EventTable> open();

  Result<void> install(std::span<const ServerKey> servers, bool silences_others);
  const std::string& name() const { return name_; }

 private:
  explicit EventTable(NetlinkSocket socket);

  NetlinkSocket socket_;
  std::string name_;
  bool is_installed_ = false;
};

}  // namespace ipvs
