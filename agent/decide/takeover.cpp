// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/takeover.hpp"

#include <algorithm>

namespace agent {
namespace {

using ipvs::Element;
using ipvs::ElementKind;

// Flags that kube-proxy sets: ClientIP affinity, and mh-port.
constexpr std::uint32_t kItsFlags = ipvs::kFlagPersistent | ipvs::kFlagSched1 | ipvs::kFlagSched2;

// A cluster IP or a node port. The latter have no element of their address and port.
bool is_given_out(const ipvs::ServerKey& key, const ipvs::ServicePlan& plan) {
  const auto named = std::lower_bound(plan.elements.begin(), plan.elements.end(),
                                      Element{.kind = ElementKind::kServiceIp,
                                              .address = key.address,
                                              .protocol = key.protocol,
                                              .port = key.port},
                                      ipvs::ElementKeyLess{});
  const bool is_vip = named != plan.elements.end() && named->kind == ElementKind::kServiceIp &&
                      named->address == key.address && named->protocol == key.protocol &&
                      named->port == key.port;
  return !is_vip || named->traffic_class == ipvs::TrafficClass::kClusterIp;
}

}  // namespace

bool looks_like_kube_proxys(const ipvs::Server& found, const ipvs::Observed& observed) {
  const ipvs::VirtualServer& settings = found.settings;
  if (settings.key.fwmark != 0 || (settings.flags & ~kItsFlags) != 0) return false;
  if (observed.not_masqueraded.contains(settings.key)) return false;
  return std::all_of(found.destinations.begin(), found.destinations.end(),
                     [](const ipvs::Destination& d) { return d.weight <= 1; });
}

bool is_leftover(const ipvs::Server& found, const ipvs::Server& wanted,
                 const ipvs::ServicePlan& plan, const LeftoverEvidence& evidence) {
  if (evidence.on_our_device) return true;
  if (found.destinations.empty()) {
    return evidence.has_kube_proxy_chains && is_given_out(found.settings.key, plan);
  }
  if (is_given_out(found.settings.key, plan)) return true;
  return std::all_of(
      found.destinations.begin(), found.destinations.end(),
      [&](const ipvs::Destination& d) { return wanted.find(d.endpoint) != nullptr; });
}

bool is_loopback_leftover(const ipvs::ServerKey& found, const ipvs::ServicePlan& plan,
                          const LeftoverEvidence& evidence) {
  if (!evidence.has_kube_proxy_chains || !found.address.is_loopback()) return false;
  return std::any_of(plan.elements.begin(), plan.elements.end(), [&](const Element& element) {
    return element.kind == ElementKind::kNodePort && element.protocol == found.protocol &&
           element.port == found.port;
  });
}

}  // namespace agent
