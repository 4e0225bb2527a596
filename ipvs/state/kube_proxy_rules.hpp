// SPDX-License-Identifier: Apache-2.0
//
// What the packet rules of kube-proxy's ipvs mode do with the clients of each address and port: its
// ipsets, and the one rule that says which clients of cluster IPs are masqueraded.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "ipvs/state/model.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {

// Load balancer IPs with loadBalancerSourceRanges.
struct SourceLimits {
  std::set<ServerKey> limited;
  std::map<ServerKey, std::set<Network>> allowed;  // from which they are reached

  // Who may be a client of `key`, in words.
  std::string clients(const ServerKey& key) const;
  bool operator==(const SourceLimits&) const = default;
};

struct KubeProxyRules {
  using Port = std::pair<std::uint16_t, Protocol>;

  std::set<ServerKey> cluster_ips;
  std::set<ServerKey> external;        // load balancer and external IPs; SCTP node ports
  std::set<ServerKey> external_local;  // those with externalTrafficPolicy Local
  std::set<Port> node_ports;           // on every address of the node
  std::set<Port> node_ports_local;
  SourceLimits limits;
  // Which clients of cluster IPs are masqueraded, in words (clients_outside() and so on). A family
  // without an entry: not known.
  std::map<Family, std::string> cluster_ip_clients;

  // Whose packets to `key` are masqueraded, in words; nullopt: not known.
  std::optional<std::string> masqueraded(const ServerKey& key) const;
  bool operator==(const KubeProxyRules&) const = default;
};

inline constexpr const char* kAllClients = "all clients";
inline constexpr const char* kNoClients = "no clients";
inline constexpr const char* kVirtualIpClients = "clients whose address is a virtual IP";
// "clients outside 10.244.0.0/16".
std::string clients_outside(const std::set<Network>& networks);
// "clients that do not come from cni0"; with "+" at the end from any interface that begins so.
std::string clients_not_from(std::string_view interface);
// "clients in 10.1.0.0/16, this node": a network within another is left out, and the address itself
// is what this node comes from when it connects to it.
std::string clients_inside(const std::set<Network>& networks, const Address& own);

}  // namespace ipvs
