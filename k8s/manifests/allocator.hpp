// SPDX-License-Identifier: Apache-2.0
//
// Gives the Services of a manifest directory what an API server would have given them: cluster IPs,
// node ports and the health check node port. Pure: all Services in, all allocations out.
//
// The rule, in this order:
//   1. What a Service asks for by number is its own. Two that ask for the same: the older wins
//      (creationTimestamp, then namespace/name); the other is refused as a whole, as an API server
//      would, until the number is free.
//   2. What a Service was given before (`previous`: while the process runs) it keeps.
//   3. The rest gets a number by the hash of its name: "namespace/name" for addresses,
//      "namespace/name/port name" (or "port/protocol" when it has no name) for node ports; when
//      that is taken the next free one, Services in order of namespace/name. Ports of one Service
//      with the same port number and different protocols share a node port, as in an API server.
// So every node that starts with the same files gives the same numbers, whatever the order of
// reading, and a Service's numbers change by no edit of another Service but one that asks for them
// by number.
//
// The one limit: two Services whose hashes collide were given their numbers in order of arrival
// while the process ran, and get them in order of name after a restart; until then a node that
// started later can differ. To rule that out, write clusterIP and nodePort down.
//
// The first addresses and ports of a range are left to those that ask by number while there are
// others (as KEP-3070 and KEP-3668: 1/16 of the addresses, 16 to 256; 1/32 of the ports, 16 to
// 128). The network address of a range is never given out, nor is the broadcast address of an IPv4
// range.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "k8s/manifests/object.hpp"

namespace k8s {

struct AllocationRanges {
  // One range, or one for each family; the first one's family is the default of a Service.
  std::vector<Cidr> cluster_ips;
  std::uint16_t node_port_first = 30000;
  std::uint16_t node_port_last = 32767;
};

struct AllocationRequest {
  const Service* service = nullptr;  // as it is written; allocation_fault() has nothing against it
  const ManifestExtras<Service>* extras = nullptr;
  const Service* previous = nullptr;  // as it was last given out; null: never
};

struct Allocation {
  bool refused = false;
  std::vector<Address> cluster_ips;
  std::vector<std::uint16_t> node_ports;  // one for each of the Service's ports; 0: none
  std::uint16_t health_check_node_port = 0;
  bool operator==(const Allocation&) const = default;
};

struct AllocationResult {
  std::vector<Allocation> allocations;  // as the requests are
  std::vector<std::string>
      conflicts;  // one line each: who asked for what, who has it, what became of it
};

// What is impossible about the Service by itself ("spec.clusterIP: 10.0.0.1 is not in ..."); empty:
// nothing.
std::string allocation_fault(const Service& service, const ManifestExtras<Service>& extras,
                             const AllocationRanges& ranges);

AllocationResult allocate(std::span<const AllocationRequest> requests,
                          const AllocationRanges& ranges);

// Whether `service` carries exactly these numbers.
bool carries(const Service& service, const Allocation& allocation);
Service with_allocation(Service service, const Allocation& allocation);

}  // namespace k8s
