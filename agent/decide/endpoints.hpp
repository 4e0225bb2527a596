// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of a Service, from either source: Pods matched by selector, or EndpointSlices.
// Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

// Seconds on this node's monotonic clock: comparable with each other, not with times in objects.
using MonotonicSeconds = std::int64_t;

// What an endpoint's hint for nodes or zones says to this node (agent/decide/topology.hpp).
enum class Hint : std::uint8_t { kNone, kElsewhere, kHere };

// Where something stands that should be a weight and is none.
enum class BadWeight : std::uint8_t { kNone, kPodAnnotation, kPodLabel, kSliceAnnotation };

// One address and port that may serve one Service port.
struct ServiceEndpoint {
  ipvs::Endpoint endpoint{};
  // discovery/v1 EndpointConditions: ready = serving and not terminating (or the Service publishes
  // addresses that are not ready); serving = passes its readiness check.
  bool ready = false;
  bool serving = false;
  bool terminating = false;
  // On this node: traffic to it stays here, and the pod may be a client of itself (hairpin).
  bool local = false;
  BadWeight bad_weight = BadWeight::kNone;
  Hint node_hint = Hint::kNone;
  Hint zone_hint = Hint::kNone;
  std::uint32_t weight = 1;
  MonotonicSeconds ready_since = 0;  // 0: unknown, taken as long ago
  // Name of the Pod; "": not a Pod. Points into the endpoint table: valid until that changes.
  std::string_view pod{};
  bool operator==(const ServiceEndpoint&) const = default;
};

// One list for each port of the Service, in the order of Service::ports. Each list has both
// families and is not ordered.
using ServiceEndpoints = std::vector<std::vector<ServiceEndpoint>>;

// An endpoint as DNS has it, of a headless Service: it need not have a port.
struct NamedEndpoint {
  ipvs::Address address{};
  bool ready = false;                  // or the Service publishes addresses that are not ready
  std::string hostname{};              // "": none was given
  std::vector<std::uint16_t> ports{};  // of each port of the Service, in their order; 0: none
  bool operator==(const NamedEndpoint&) const = default;
};

}  // namespace agent
