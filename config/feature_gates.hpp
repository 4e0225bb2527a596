// SPDX-License-Identifier: Apache-2.0
//
// The feature gates of kube-proxy that concern a Service proxy. kube-ipvs has no gates: what each of
// them asks for is done always, never, or is none of its business.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace config {

struct FeatureGate {
  std::string_view name;
  enum class Here : std::uint8_t { kOn, kOff, kNoMeaning } here;
};

// Those of Kubernetes 1.20 to 1.37, ordered by name.
std::span<const FeatureGate> feature_gates();

// What "Name=true" asks for and does not get, or "". Of a gate that is not in the table, that it
// is not.
std::string difference_of_gate(std::string_view name, bool enabled);

}  // namespace config
