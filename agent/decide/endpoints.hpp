// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of a Service, whatever they were learnt from (Pods matched by selector, or
// EndpointSlices). Small values; the planner chooses among them at once.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

// For which nodes or zones an endpoint is meant, as seen from this node (agent/decide/topology.hpp).
enum class Hint : std::uint8_t { kNone, kElsewhere, kHere };

// One address and port that may serve one Service port.
struct ServiceEndpoint {
  ipvs::Endpoint endpoint{};
  // discovery/v1 EndpointConditions: ready = serving and not terminating (or the Service publishes
  // addresses that are not ready); serving = passes its readiness check.
  bool ready = false;
  bool serving = false;
  bool terminating = false;
  // On this node, so that traffic to it never leaves and a pod may meet itself (hairpin).
  bool local = false;
  bool bad_weight = false;  // the annotation is there, and is not a weight
  Hint node_hint = Hint::kNone;
  Hint zone_hint = Hint::kNone;
  std::uint32_t weight = 1;
  k8s::UnixSeconds ready_since = 0;  // 0: unknown, long ago
  // Into the table it comes from: good until that changes.
  std::string_view pod{};  // name of the Pod, "" where it is not one
  bool operator==(const ServiceEndpoint&) const = default;
};

// For each port of the Service, in the order of Service::ports. Both families mixed; unordered.
using ServiceEndpoints = std::vector<std::vector<ServiceEndpoint>>;

}  // namespace agent
