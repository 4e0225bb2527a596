// SPDX-License-Identifier: Apache-2.0
//
// The annotations that kube-ipvs reads of Services and Pods. Pure. Invalid values are ignored and
// reported.
//
//   on a Service
//     kube-ipvs.io/scheduler             one of config::known_schedulers()
//     kube-router.io/service.scheduler   the same; read if the one above is missing
//     kube-ipvs.io/scheduler-flags       for sh and mh: "fallback", "port", "fallback,port", "none"
//     kube-ipvs.io/slow-start            seconds (1-3600) until a new endpoint has its full weight
//     kube-ipvs.io/drain-timeout         seconds (0-86400) for which connections to a removed
//                                        endpoint may continue; replaces the Pod's grace period
//     kube-ipvs.io/linger                seconds (1-86400) for which a deleted Service keeps its
//                                        addresses, so that open connections can finish
//     kube-ipvs.io/metrics               "endpoints": each endpoint has series on /metrics
//   on a Pod, as an annotation or, if there is none, as a label
//     kube-ipvs.io/weight                0-65535; 0: no new connections
//   on an EndpointSlice, for its endpoints whose Pods say none
//     service.cilium.io/weight           the same
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "k8s/types.hpp"

namespace agent {

// The default scheduler, and the schedulers that this node's kernel does not have.
struct SchedulerDefaults {
  std::string scheduler = "rr";
  std::set<std::string> unavailable{};  // found missing when they were first used
};

struct ServiceOptions {
  std::string scheduler = "rr";
  std::uint32_t scheduler_flags = 0;  // ipvs::kFlagSched*
  std::uint32_t slow_start_seconds = 0;
  std::optional<std::uint32_t> drain_seconds{};
  std::uint32_t linger_seconds = 0;
  bool endpoint_metrics = false;  // as asks_for_endpoint_metrics() says
  bool operator==(const ServiceOptions&) const = default;
};

// Annotations that are ignored, one text each, to follow "Service ns/name: ":
// `annotation kube-ipvs.io/slow-start: "x" is not a number from 1 to 3600`.
using AnnotationFaults = std::vector<std::string>;

struct ServiceOptionsReading {
  ServiceOptions options{};
  AnnotationFaults faults{};
};
ServiceOptionsReading read_service_options(const k8s::Labels& annotations,
                                           const SchedulerDefaults& defaults);

// Read at each scrape. False for an invalid value, too.
bool asks_for_endpoint_metrics(const k8s::Labels& annotations);

inline constexpr std::uint32_t kDefaultWeight = 1;
// The weight that a Pod or an EndpointSlice asks for, and where it says something that is no weight;
// nullopt: none, or an invalid one.
struct WeightReading {
  std::optional<std::uint32_t> weight{};
  BadWeight bad = BadWeight::kNone;
  bool operator==(const WeightReading&) const = default;
};
WeightReading read_pod_weight(const k8s::Meta& pod);
WeightReading read_slice_weight(const k8s::Meta& slice);
// "annotation kube-ipvs.io/weight", for a message.
std::string_view name_of(BadWeight place);

// Whether a scheduler distinguishes weights other than 0: rr, lc and dh do not (ip_vs_rr.c, _lc.c,
// _dh.c); sh uses them only as numbers of slots in its table (ip_vs_sh.c), and counts as one that
// does not.
bool uses_weights(const std::string& scheduler);

}  // namespace agent
