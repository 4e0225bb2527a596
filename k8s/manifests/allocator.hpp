// SPDX-License-Identifier: Apache-2.0
//
// Allocates cluster IPs, node ports and the health check node port to the Services of a manifest
// directory, in place of an API server. Pure: all Services in, all allocations out.
//
// Rules, in this order:
//   1. A number in the manifest is explicit and belongs to its Service. If two Services have the
//      same explicit number, the older gets it (creationTimestamp, then namespace/name); the other
//      is refused as a whole, as an API server would, until the number is free.
//   2. A Service keeps the numbers it was given before (`previous`, while the process runs).
//   3. Any other number is chosen by a hash of "namespace/name" for addresses, and of
//      "namespace/name/port name" (or ".../port/protocol" without a name) for node ports. If it is
//      taken, the next free one is used; Services are served in order of namespace/name. Ports of
//      one Service with the same port number and different protocols share a node port, as in an
//      API server.
// So all nodes that start with the same files allocate the same numbers, in whatever order they
// read them. Editing one Service changes the numbers of another only by claiming them explicitly.
//
// Limit: if the hashes of two Services collide, a running process gives the numbers in order of
// arrival, and a restarted one in order of name, so nodes may differ until all have restarted.
// Explicit clusterIP and nodePort avoid that.
//
// Automatic numbers leave the start of a range to explicit ones as long as others are free (as in
// KEP-3070 and KEP-3668: 1/16 of the addresses, at least 16 and at most 256; 1/32 of the ports, at
// least 16 and at most 128). The network address of a range is never allocated, nor is the
// broadcast address of an IPv4 range.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "k8s/manifests/object.hpp"

namespace k8s {

struct AllocationRanges {
  // One range, or one per family. The family of the first is the default for Services.
  std::vector<Cidr> cluster_ips;
  std::uint16_t node_port_first = 30000;
  std::uint16_t node_port_last = 32767;
};

struct AllocationRequest {
  const Service* service = nullptr;  // as in the manifest; allocation_fault() must be empty for it
  const ManifestExtras<Service>* extras = nullptr;
  const Service* previous = nullptr;  // as delivered last, with its numbers; null: never
};

struct Allocation {
  bool refused = false;
  std::vector<Address> cluster_ips;
  std::vector<std::uint16_t> node_ports;  // per port of the Service; 0: none
  std::uint16_t health_check_node_port = 0;
  bool operator==(const Allocation&) const = default;
};

struct AllocationResult {
  std::vector<Allocation> allocations;  // in the order of the requests
  std::vector<std::string> conflicts;   // one line each: Service, number, its owner, consequence
};

// Why the Service is invalid by itself: "spec.clusterIP: 10.0.0.1 is not an address of the range
// ..."; "" if it is valid.
std::string allocation_fault(const Service& service, const ManifestExtras<Service>& extras,
                             const AllocationRanges& ranges);

AllocationResult allocate(std::span<const AllocationRequest> requests,
                          const AllocationRanges& ranges);

// Whether `service` has exactly these numbers.
bool carries(const Service& service, const Allocation& allocation);
Service with_allocation(Service service, const Allocation& allocation);

}  // namespace k8s
