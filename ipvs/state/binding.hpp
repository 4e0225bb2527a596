// SPDX-License-Identifier: Apache-2.0
//
// VipBinding::kAuto: how virtual IPs are bound, by their number (ipvs/host/adr-vip-binding.md). Pure.
#pragma once

#include <cstddef>

#include "ipvs/state/kernel.hpp"

namespace ipvs {

// From so many virtual IPs on they are bound by routes, and below so few by addresses. In between
// what there is stays, so that a few Services more or less move nothing.
inline constexpr std::size_t kRoutesFrom = 4096;
inline constexpr std::size_t kAddressesBelow = 2048;

// `now`: how they are bound.
constexpr VipBinding chosen_binding(std::size_t vips, VipBinding now) {
  if (vips >= kRoutesFrom) return VipBinding::kRoute;
  return vips < kAddressesBelow ? VipBinding::kAddress : now;
}

}  // namespace ipvs
