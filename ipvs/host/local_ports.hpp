// SPDX-License-Identifier: Apache-2.0
//
// Whether connections of this node may get a node port as their own port. IPVS takes the replies to
// such a connection for new connections to the node port (ip_vs_in() sees them where the kernel
// delivers them, after every translation), so it never comes about. The kernel avoids the ports in
// net.ipv4.ip_local_reserved_ports. We set neither range, both are the host's, unless the operator asks
// for it by --reserve-node-ports. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace ipvs {

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const PortRange&) const = default;
};

// One line for the log if net/ipv4/ip_local_port_range ("32768 60999") has ports of `node_ports`
// that net/ipv4/ip_local_reserved_ports ("8080,9148-9150") does not reserve; else "", also for texts
// that are not such ranges.
std::string overlap_warning(const std::string& local_ports, const std::string& reserved_ports,
                            PortRange node_ports);

// net/ipv4/ip_local_reserved_ports with these ports added, in the kernel's form: ordered, and ranges
// that touch as one. Unchanged if it has them all.
std::string with_reserved(const std::string& reserved_ports, PortRange added);

}  // namespace ipvs
