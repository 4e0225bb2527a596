// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/sets_in_use.hpp"

#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "ipvs/nftables/table.hpp"

using namespace ipvs;

TEST_CASE("each set of the table has a bit of its own") {
  std::vector<Element> elements;
  for (const ElementKindRow& row : kElementKinds) {
    for (const ElementKindRow::Set& set : row.sets) {
      if (set.name.empty()) continue;
      for (const char* family : {"10.96.0.1", "fd00::1"}) {
        elements.push_back({.kind = row.kind,
                            .address = boost::asio::ip::make_address(family),
                            .traffic_class = set.traffic_class});
      }
    }
  }
  for (const Element& one : elements) {
    SetsInUse sets;
    CHECK_FALSE(sets.contains(one));
    sets.add(one);
    for (const Element& other : elements) {
      CHECK(sets.contains(other) == (set_of(one) == set_of(other)));
    }
  }
}

TEST_CASE("of changes, only what is added needs rules") {
  const Element added{.kind = ElementKind::kLimitedIp, .port = 80};
  const Element deleted{.kind = ElementKind::kHairpin};
  SetsInUse sets;
  sets.add_added(
      std::vector<ElementOp>{{.add = true, .element = added}, {.add = false, .element = deleted}});
  CHECK(sets.contains(added));
  CHECK_FALSE(sets.contains(deleted));
  CHECK(SetsInUse::all().contains(deleted));
}
