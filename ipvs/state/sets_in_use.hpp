// SPDX-License-Identifier: Apache-2.0
//
// Which sets of our nftables table have had elements since the agent started: a bit for each. A rule
// that looks something up in an empty set matches nothing, so it is installed with the set's first
// element (ipvs/nftables/adr-idle-rules.md).
#pragma once

#include <bitset>
#include <cstddef>
#include <iterator>
#include <span>

#include "ipvs/state/element.hpp"
#include "ipvs/state/operations.hpp"

namespace ipvs {

class SetsInUse {
 public:
  SetsInUse() = default;
  static SetsInUse all() {
    SetsInUse sets;
    sets.bits_.set();
    return sets;
  }

  // The set of such elements; where both families share it, `family` does not matter.
  bool contains(ElementKind kind, TrafficClass traffic_class, Family family) const {
    return bits_[place_of(kind, traffic_class, family)];
  }
  bool contains(const Element& element) const { return bits_[place_of(element)]; }
  void add(const Element& element) { bits_.set(place_of(element)); }
  void add(std::span<const Element> elements) {
    for (const Element& element : elements) add(element);
  }
  // Of the elements that are to be added.
  void add_added(std::span<const ElementOp> ops) {
    for (const ElementOp& op : ops) {
      if (op.add) add(op.element);
    }
  }
  bool operator==(const SetsInUse&) const = default;

 private:
  static constexpr std::size_t kClasses = std::size(ElementKindRow{}.sets);

  static std::size_t place_of(const Element& element) {
    return place_of(element.kind, element.traffic_class, family_of(element.address));
  }
  static std::size_t place_of(ElementKind kind, TrafficClass traffic_class, Family family) {
    const ElementKindRow& row = row_of(kind);
    const auto* set = set_of_class({.kind = kind, .traffic_class = traffic_class});
    // An element of a class that its kind does not have is refused elsewhere.
    const auto number = set ? static_cast<std::size_t>(set - row.sets.data()) : std::size_t{0};
    const bool is_second = !row.shares_families && family == Family::kIpv6;
    return (static_cast<std::size_t>(kind) * kClasses + number) * 2 + (is_second ? 1 : 0);
  }

  std::bitset<kElementKinds.size() * kClasses * 2> bits_;
};

}  // namespace ipvs
