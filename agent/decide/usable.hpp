// SPDX-License-Identifier: Apache-2.0
//
// Which addresses can never work, as an endpoint or as a virtual IP, on this host: they are left out
// before a Service is planned, with the reason, so that the kernel is not asked again and again.
// Pure.
//
// What the kernel checks (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_new_dest()): an IPv4 destination must
// be of type unicast or local, by the routing table `local` and not by the others; so 0.0.0.0/8,
// multicast, and the broadcast addresses of the node's own networks are refused with EINVAL, and
// 240.0.0.0/4, which some clusters use for Pods, is not. An IPv6 destination must be unicast, and not
// link-local, because IPVS has no zone; an IPv4-mapped one is neither. Loopback passes that check,
// but IPVS does not forward to it (ip_vs_xmit.c). It checks no virtual IP, nor does the device.
//
// What is not here is the kernel's to refuse, and becomes the object's condition: the first address
// of a network is a broadcast address before Linux 5.14 only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "agent/decide/node_view.hpp"
#include "ipvs/state/host_network.hpp"
#include "k8s/types.hpp"

namespace agent {

struct HostLimits {
  std::set<ipvs::Address> own;  // on interfaces of this node
  // With what to say of each: "the broadcast address of 203.0.113.0/24 on eth0".
  std::map<ipvs::Address, std::string> broadcasts;
  std::string no_ipv6;  // why this host has no IPv6; "": it has
  bool operator==(const HostLimits&) const = default;
};

HostLimits limits_of(const std::vector<ipvs::LocalAddress>& local, std::string no_ipv6);

// "a multicast address"; "": nothing is known against it.
std::string why_no_endpoint(const ipvs::Address& address, const HostLimits& limits);
std::string why_no_virtual_ip(const ipvs::Address& address, const HostLimits& limits);

// The Service without the addresses that cannot be virtual IPs; nullopt: it is usable as it is, which
// is nearly always so. Without any cluster IP of a family it is not served in that family. A family
// that the host does not have leaves no note, unless the Service has no other: the host says it once.
struct UsableService {
  k8s::Service service;
  std::vector<std::string> notes;  // "192.0.2.255 is the broadcast address of ...: not served"
};
std::optional<UsableService> usable_part(const k8s::Service& service, const HostLimits& limits);

// Removes the endpoints that cannot receive traffic. Returns the notes for people; of many endpoints,
// the first three and their number. An endpoint that is a virtual IP of its own Service, served here,
// leads to this host, where nothing listens, unless the address is the node's own.
std::vector<std::string> remove_unusable(ServiceEndpoints& endpoints, const k8s::Service& service,
                                         const NodeView& node, const HostLimits& limits);

}  // namespace agent
