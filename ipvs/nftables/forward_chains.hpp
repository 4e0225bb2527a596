// SPDX-License-Identifier: Apache-2.0
//
// Other firewalls that drop replies. A request leaves IPVS by the output hook, but the reply of an
// endpoint is forwarded, and a chain at the forward hook with policy drop (Docker's iptables
// FORWARD, ufw's) drops it unless one of its rules accepts it. An accept in our own table does not
// help: every chain of a hook must accept, and a drop is final. So the accepting rule must be in
// that very chain, as kube-proxy's is.
//
// Threading: not thread-safe; calls block.
// Errors: as in ipvs/nftables/client.hpp.
#pragma once

#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/nftables/forward_codec.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

class ForwardChains {
 public:
  static Result<ForwardChains> open();

  // Every filtering chain of others at the forward hook, those of iptables-legacy last. Loads no
  // module.
  Result<std::vector<ForwardChain>> read();
  // Puts our rule first. Not for legacy chains: EOPNOTSUPP.
  int accept_replies(const ForwardChain& chain);
  // Deletes our rules there.
  int withdraw(const ForwardChain& chain);

 private:
  explicit ForwardChains(NetlinkSocket socket);
  int read_our_rules(ForwardChain& chain);

  NetlinkSocket socket_;
};

}  // namespace ipvs
