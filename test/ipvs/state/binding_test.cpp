// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/binding.hpp"

#include <catch2/catch_test_macros.hpp>

using ipvs::chosen_binding;
using ipvs::VipBinding;

TEST_CASE("few virtual IPs are bound by addresses and many by routes, whatever was before") {
  for (const VipBinding now : {VipBinding::kAddress, VipBinding::kRoute}) {
    CHECK(chosen_binding(0, now) == VipBinding::kAddress);
    CHECK(chosen_binding(2047, now) == VipBinding::kAddress);
    CHECK(chosen_binding(4096, now) == VipBinding::kRoute);
    CHECK(chosen_binding(44125, now) == VipBinding::kRoute);
  }
}

TEST_CASE("between few and many nothing moves") {
  for (const std::size_t vips : {2048, 3000, 4095}) {
    CHECK(chosen_binding(vips, VipBinding::kAddress) == VipBinding::kAddress);
    CHECK(chosen_binding(vips, VipBinding::kRoute) == VipBinding::kRoute);
  }
}
