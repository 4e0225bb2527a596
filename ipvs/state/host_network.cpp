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

std::string KubeProxyChains::table_text() const {
  const bool ipv4 = family == NFPROTO_IPV4;
  std::string text = ipv4 ? "ip" : "ip6";
  if (legacy) text = ipv4 ? "iptables-legacy" : "ip6tables-legacy";
  return text + " " + table;
}

std::string KubeProxyChains::text() const {
  constexpr std::size_t kShown = 4;
  std::string text = table_text() + ":";
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    text += (i == 0 ? " " : ", ") + names[i];
  }
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

}  // namespace ipvs
