// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/host_network.hpp"

#include <linux/netfilter.h>

namespace ipvs {

std::string ForwardChain::text() const {
  const bool ipv4 = family == NFPROTO_IPV4, ipv6 = family == NFPROTO_IPV6;
  std::string prefix = ipv4 ? "ip" : ipv6 ? "ip6" : "inet";
  if (legacy) prefix = ipv4 ? "iptables-legacy" : "ip6tables-legacy";
  return prefix + " " + table + " " + name;
}

}  // namespace ipvs
