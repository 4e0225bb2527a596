// SPDX-License-Identifier: Apache-2.0
//
// What a Service or a Pod asks of us by annotation. Pure. A value that cannot be is as if it were
// not there, and is named, so that its owner can be told.
//
//   on a Service
//     kube-ipvs.io/scheduler             one of config::known_schedulers()
//     kube-router.io/service.scheduler   the same, read where the one above is not there
//     kube-ipvs.io/scheduler-flags       of sh and mh, with commas: fallback, port; "none"
//     kube-ipvs.io/slow-start            seconds (1-3600) until a new endpoint has its full weight
//     kube-ipvs.io/drain-timeout         seconds (0-86400) an endpoint that goes may keep its
//                                        connections, in place of the Pod's grace period
//     kube-ipvs.io/linger                seconds (1-86400) a deleted Service keeps its addresses
//                                        for the connections that are open
//   on a Pod
//     kube-ipvs.io/weight                0-65535; 0: no new connections
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "k8s/types.hpp"

namespace agent {

// Defaults, and what the kernel of this node cannot do.
struct SchedulerDefaults {
  std::string scheduler = "rr";
  std::set<std::string> unavailable{};  // schedulers the kernel turned out not to have
};

struct ServiceOptions {
  std::string scheduler = "rr";
  std::uint32_t scheduler_flags = 0;  // ipvs::kFlagSched*
  std::uint32_t slow_start_seconds = 0;
  std::optional<std::uint32_t> drain_seconds{};
  std::uint32_t linger_seconds = 0;
  bool operator==(const ServiceOptions&) const = default;
};

// One annotation that is not honoured, as a sentence without its subject: `annotation
// kube-ipvs.io/slow-start: "x" is not a number from 1 to 3600`.
using AnnotationFaults = std::vector<std::string>;

struct ServiceOptionsReading {
  ServiceOptions options{};
  AnnotationFaults faults{};
};
ServiceOptionsReading read_service_options(const k8s::Labels& annotations,
                                           const SchedulerDefaults& defaults);

inline constexpr std::uint32_t kDefaultWeight = 1;
// The weight a Pod asks for; nullopt: none, or (then `is_bad`) one that cannot be.
std::optional<std::uint32_t> read_weight(const k8s::Labels& annotations, bool* is_bad = nullptr);

// Whether a scheduler looks at weights other than 0 at all (ip_vs_rr.c, _lc.c, _dh.c do not; _sh.c
// does, but only as the number of its table's places).
bool uses_weights(const std::string& scheduler);

}  // namespace agent
