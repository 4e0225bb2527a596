// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/topology.hpp"

#include <algorithm>
#include <utility>

namespace agent {
namespace {

using HintField = Hint ServiceEndpoint::*;

// True if hints of this kind apply: all ready endpoints have one, and some match this node.
bool decides(const std::vector<ServiceEndpoint>& chosen, HintField hint) {
  bool found_here = false;
  for (const ServiceEndpoint& endpoint : chosen) {
    if (!endpoint.ready) continue;
    if (endpoint.*hint == Hint::kNone) return false;
    found_here = found_here || endpoint.*hint == Hint::kHere;
  }
  return found_here;
}

}  // namespace

Hint hint_of(const std::vector<std::string>& names, std::string_view own) {
  if (names.empty()) return Hint::kNone;
  if (own.empty()) return Hint::kElsewhere;
  return std::find(names.begin(), names.end(), own) == names.end() ? Hint::kElsewhere : Hint::kHere;
}

Hint hint_of(std::string_view name, std::string_view own) {
  if (name.empty()) return Hint::kNone;
  return name == own ? Hint::kHere : Hint::kElsewhere;
}

std::vector<ServiceEndpoint> prefer_near(std::vector<ServiceEndpoint> chosen) {
  for (const HintField hint : {&ServiceEndpoint::node_hint, &ServiceEndpoint::zone_hint}) {
    if (!decides(chosen, hint)) continue;
    std::erase_if(chosen, [&](const ServiceEndpoint& e) { return e.*hint != Hint::kHere; });
    break;
  }
  return chosen;
}

}  // namespace agent
