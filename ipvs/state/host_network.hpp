// SPDX-License-Identifier: Apache-2.0
//
// The host's own networking, as values: its addresses, the chains of other firewalls that replies
// of endpoints pass through, and chains that kube-proxy has left. We read them; to a chain of the
// former we may add one rule, and delete it again (ipvs/nftables/forward_chains.hpp); the latter we
// may delete (ipvs/kube_proxy/remains.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipvs/state/address.hpp"

namespace ipvs {

struct LocalAddress {
  Address address;
  std::string interface_name;
  unsigned interface_index = 0;
  std::uint8_t prefix_length = 0;
  std::uint8_t scope = 0;  // RT_SCOPE_*: 0 global, 200 site, 253 link, 254 host
  bool operator==(const LocalAddress&) const = default;
};

// A chain of type filter, at the forward hook, in another firewall's table.
struct ForwardChain {
  std::uint8_t family = 0;  // NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET
  std::string table;
  std::string name;
  bool drops = false;                      // its policy
  bool legacy = false;                     // of iptables-legacy, which nf_tables does not list
  std::vector<std::uint64_t> our_rules{};  // their handles

  bool operator==(const ForwardChain&) const = default;
  std::string text() const;  // "ip filter FORWARD", "iptables-legacy filter FORWARD"
};

// Chains that kube-proxy has left in one table.
struct KubeProxyChains {
  std::uint8_t family = 0;  // as above
  std::string table;
  std::vector<std::string> names;  // ordered
  bool legacy = false;             // of iptables-legacy

  bool operator==(const KubeProxyChains&) const = default;
  std::string table_text() const;  // "ip filter", "iptables-legacy filter"
  std::string text() const;        // "ip filter: KUBE-FORWARD, KUBE-IPVS-FILTER and 3 more"
};

// What became of them.
struct RemovedChains {
  std::vector<std::string> deleted;
  std::vector<std::string> kept;  // "KUBE-SERVICES: the chain FOO leads to it"
  bool operator==(const RemovedChains&) const = default;
};

struct KubeProxyProcess {
  int pid = 0;
  std::string command;  // with its arguments
  bool operator==(const KubeProxyProcess&) const = default;
};

}  // namespace ipvs
