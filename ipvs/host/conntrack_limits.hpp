// SPDX-License-Identifier: Apache-2.0
//
// Raises what kube-proxy raises of the host's connection tracking, and reserves node ports. As in
// kube-proxy, at the start; unlike it, nothing is ever lowered.
//
//   net/netfilter/nf_conntrack_max         entries; a quarter of it is what nf_conntrack_buckets,
//                                          the size of the hash table, then has at least
//   .../nf_conntrack_tcp_timeout_*, nf_conntrack_udp_timeout*
//   .../nf_conntrack_tcp_be_liberal
//
// Errors: a setting that cannot be raised is no error: the host works, with a lower limit. In a
// network namespace that is not the host's, the size of the table belongs to the host.
#pragma once

#include <cstdint>

#include "ipvs/host/local_ports.hpp"
#include "ipvs/host/sysctl.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

inline constexpr const char* kReservedPorts = "net/ipv4/ip_local_reserved_ports";

// kube-proxy's rule: so many per CPU, at most 1,048,576, but at least `least`; 0 per CPU: 0.
std::uint32_t conntrack_entries(std::uint32_t per_cpu, std::uint32_t least, long cpus);

// All that could not be raised is one warning.
SysctlReport raise_conntrack(const Sysctls& sysctls, const ConntrackLimits& limits, long cpus);

// Adds the ports to net/ipv4/ip_local_reserved_ports and keeps what is there.
SysctlReport reserve_ports(const Sysctls& sysctls, PortRange ports);

}  // namespace ipvs
