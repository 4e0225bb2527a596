// SPDX-License-Identifier: Apache-2.0
//
// What is known of a candidate for an endpoint and its object, to explain its state. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/decide/endpoints.hpp"
#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent {

struct EndpointFacts {
  ServiceEndpoint endpoint{};  // `pod` is empty here: see `pod`
  bool from_pod = false;       // else from an EndpointSlice
  k8s::ObjectKey object{};     // the Pod or the EndpointSlice
  std::string pod{};           // name; "": not a Pod
  std::string node{};          // "": not known
  bool finished = false;       // the Pod's phase is Succeeded or Failed
  // As the Pod says; 0: it does not, or the facts are an EndpointSlice's.
  k8s::UnixSeconds readiness_changed = 0;
  k8s::UnixSeconds deletion_requested = 0;
  std::uint32_t deletion_grace = 0;  // seconds
};

// The candidates of one port, each endpoint once, in their order.
class Candidates {
 public:
  // Where several objects list one endpoint, the first that is ready counts.
  void add(EndpointFacts facts);
  bool any_ready(ipvs::Family family) const {
    return family == ipvs::Family::kIpv4 ? has_ready_ipv4_ : has_ready_ipv6_;
  }
  // The first endpoint; nullptr: there is none.
  const ipvs::Endpoint* first() const {
    return by_endpoint_.empty() ? nullptr : &by_endpoint_.begin()->first;
  }
  // Takes it out. Precondition: there is one.
  EndpointFacts take_first() {
    return std::move(by_endpoint_.extract(by_endpoint_.begin()).mapped());
  }

 private:
  std::map<ipvs::Endpoint, EndpointFacts> by_endpoint_;
  bool has_ready_ipv4_ = false, has_ready_ipv6_ = false;
};

// For each port of the Service, as in ServiceEndpoints.
using ServiceFacts = std::vector<Candidates>;

}  // namespace agent
