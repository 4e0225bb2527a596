// SPDX-License-Identifier: Apache-2.0
//
// One number for what a node has planned, to be compared with that of other nodes. Pure.
//
// It is about what all nodes of a cluster have in common: the Services that are served, with their
// addresses, ports, policies and options, and the endpoints of the whole cluster with their weights,
// as the API says them. It leaves out what differs between healthy nodes: which endpoints are local
// or near, node addresses, families that a host lacks, weights while they ramp, IPs that one node
// needs for itself. What is drained by hand counts, because that node does differ.
//
// Two nodes with the same digest want the same; with another one they do not, or one of them has not
// heard of something yet. The number is the same for every build of one version; CHANGELOG.md says
// when a version computes it otherwise.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/decide/endpoints.hpp"
#include "agent/decide/service_options.hpp"
#include "ipvs/state/desired.hpp"
#include "k8s/types.hpp"

namespace agent {

// Of one Service. `endpoints` has one list for each of its ports, in any order.
std::uint64_t service_digest(const k8s::Service& service, const ServiceEndpoints& endpoints,
                             const ServiceOptions& options);

// Of all Services of a node: now, and at a moment that all nodes choose alike.
//
// Nodes are asked at different times, and what changes just then would look like a difference. So a
// node keeps the digest of a common moment: the first one after each full five minutes of the clock
// at which nothing had changed for half a second. Every node sees the same changes within less, and
// so takes the same one. A node on which something changes all the time keeps the older one.
class PlanDigest {
 public:
  using WallClock = std::chrono::system_clock;
  using Clock = std::chrono::steady_clock;
  struct Moment {
    WallClock::time_point wall;
    Clock::time_point steady;
    static Moment now() { return {.wall = WallClock::now(), .steady = Clock::now()}; }
  };
  static constexpr std::chrono::minutes kEvery{5};
  static constexpr std::chrono::milliseconds kQuiet{500};

  // nullopt: the Service is not served any more.
  void set(std::string_view service, std::optional<std::uint64_t> digest, Moment now);
  // The plans of all Services are there: from now on there are common moments.
  void complete(Moment now);

  // From 1 to 2^52: a double holds it exactly.
  std::uint64_t current() const { return reduced(sum_); }
  // Of the last common moment; 0: there was none yet.
  std::uint64_t common(Moment now);

 private:
  static std::uint64_t reduced(std::uint64_t sum);
  void take_common(Moment now);

  // By a hash of the Service's name.
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> of_services_;
  std::uint64_t sum_ = 0;
  Clock::time_point changed_{};
  std::optional<WallClock::time_point>
      taken_;  // the full five minutes it was for; not before complete()
  std::uint64_t common_ = 0;
};

}  // namespace agent
