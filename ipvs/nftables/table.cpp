// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/table.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace ipvs {
namespace {

// enum datatypes of nft's include/datatype.h: what `nft list` reads a set's type from.
constexpr std::uint32_t kIpv4Addr = 7;
constexpr std::uint32_t kIpv6Addr = 8;
constexpr std::uint32_t kInetProto = 12;
constexpr std::uint32_t kInetService = 13;
constexpr int kTypeBits = 6;
constexpr std::uint32_t kRegister = 4;  // bytes

struct Layout {
  std::uint32_t type = 0;
  std::uint32_t length = 0;

  constexpr Layout& then(std::uint32_t component, std::uint32_t size) {
    type = type << kTypeBits | component;
    length += (size + kRegister - 1) / kRegister * kRegister;
    return *this;
  }
  constexpr Layout& then_address(bool v6) { return then(v6 ? kIpv6Addr : kIpv4Addr, v6 ? 16 : 4); }
};

constexpr Layout key_layout(const KeyShape& key, bool v6) {
  Layout layout;
  if (key.address) layout.then_address(v6);
  if (key.address_again) layout.then_address(v6);
  if (key.port) layout.then(kInetProto, 1).then(kInetService, 2);
  if (key.network) layout.then_address(v6);
  return layout;
}

constexpr Layout target_layout(bool v6) { return Layout().then_address(v6).then(kInetService, 2); }

constexpr TableSet make_set(const ElementKindRow& row, TrafficClass traffic_class,
                            std::optional<Family> family, std::string_view name) {
  const bool v6 = family == Family::kIpv6;
  const Layout key = key_layout(row.key, v6);
  const Layout data = row.has_target ? target_layout(v6) : Layout();
  return {.name = name,
          .kind = row.kind,
          .family = family,
          .traffic_class = traffic_class,
          .key = row.key,
          .key_type = key.type,
          .key_length = key.length,
          .data_type = data.type,
          .data_length = data.length};
}

// Calls visit(row, class, family, name without family) for every set.
template <typename Visit>
constexpr void for_each_set(Visit visit) {
  for (const ElementKindRow& row : kElementKinds) {
    for (const ElementKindRow::Set& set : row.sets) {
      if (set.name.empty()) continue;
      if (row.shares_families) {
        visit(row, set.traffic_class, std::optional<Family>(), set.name);
      } else {
        visit(row, set.traffic_class, std::optional(Family::kIpv4), set.name);
        visit(row, set.traffic_class, std::optional(Family::kIpv6), set.name);
      }
    }
  }
}

constexpr std::size_t count_sets() {
  std::size_t count = 0;
  for_each_set([&](const auto&...) { ++count; });
  return count;
}

// Names with their family's suffix: storage for TableSet::name.
struct Name {
  std::array<char, 32> text{};
  std::size_t size = 0;

  constexpr void append(std::string_view more) {
    for (const char c : more) text[size++] = c;
  }
  constexpr std::string_view view() const { return {text.data(), size}; }
};

constexpr auto kNames = [] {
  std::array<Name, count_sets()> names{};
  std::size_t i = 0;
  for_each_set([&](const ElementKindRow&, TrafficClass, std::optional<Family> family,
                   std::string_view name) {
    names[i].append(name);
    if (family) names[i].append(*family == Family::kIpv4 ? "-4" : "-6");
    ++i;
  });
  return names;
}();

constexpr auto kSets = [] {
  std::array<TableSet, kNames.size()> sets{};
  std::size_t i = 0;
  for_each_set([&](const ElementKindRow& row, TrafficClass traffic_class,
                   std::optional<Family> family, std::string_view) {
    sets[i] = make_set(row, traffic_class, family, kNames[i].view());
    ++i;
  });
  return sets;
}();

}  // namespace

std::span<const TableSet> table_sets() { return kSets; }

const TableSet* set_of(const Element& element) {
  const bool has_class = row_of(element.kind).has_class();
  const auto holds = [&](const TableSet& set) {
    return set.kind == element.kind && (!set.family || *set.family == family_of(element.address)) &&
           (!has_class || set.traffic_class == element.traffic_class);
  };
  const auto set = std::find_if(kSets.begin(), kSets.end(), holds);
  return set == kSets.end() ? nullptr : &*set;
}

const TableSet* set_named(std::string_view name) {
  const auto set =
      std::find_if(kSets.begin(), kSets.end(), [&](const TableSet& s) { return s.name == name; });
  return set == kSets.end() ? nullptr : &*set;
}

}  // namespace ipvs
