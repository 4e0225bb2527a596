// SPDX-License-Identifier: Apache-2.0
//
// Firewalls of others on the way of replies. A request leaves IPVS by the output hook, but the
// reply of an endpoint is forwarded, and a chain there whose policy is drop (Docker's iptables
// FORWARD, ufw's) loses it unless one of its rules accepts it. An accept in a table of our own does
// not help: each chain of a hook decides for itself, and a drop is final. So the accepting rule
// must stand in that very chain, as kube-proxy's does.
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

  // Every filtering chain of others at the forward hook, those of iptables-legacy last. No module
  // is loaded for it.
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
