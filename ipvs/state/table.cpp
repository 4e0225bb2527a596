// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/table.hpp"

#include <algorithm>
#include <array>

namespace ipvs {
namespace {

// enum datatypes of nft's include/datatype.h: what `nft list` reads a set's type from.
constexpr std::uint32_t kIpv4Addr = 7;
constexpr std::uint32_t kIpv6Addr = 8;
constexpr std::uint32_t kInetProto = 12;
constexpr std::uint32_t kInetService = 13;

constexpr std::uint32_t concatenation(std::uint32_t first, std::uint32_t second) {
  return first << 6 | second;
}
constexpr std::uint32_t kProtocolPort = concatenation(kInetProto, kInetService);
constexpr std::uint32_t kIpv4ProtocolPort = kIpv4Addr << 12 | kProtocolPort;
constexpr std::uint32_t kIpv6ProtocolPort = kIpv6Addr << 12 | kProtocolPort;

using enum ElementKind;
using enum TrafficClass;
constexpr auto kIpv4 = Family::kIpv4;
constexpr auto kIpv6 = Family::kIpv6;
constexpr auto kNone = TrafficClass{};

// What a key consists of, and a map's value.
struct Shape {
  bool has_address, has_port;
  std::uint32_t key_type_4, key_length_4, key_type_6, key_length_6;
  std::uint32_t data_type_4 = 0, data_length_4 = 0, data_type_6 = 0, data_length_6 = 0;
  bool interval = false;
};
constexpr Shape kAddress{true, false, kIpv4Addr, 4, kIpv6Addr, 16};
constexpr Shape kPort{false, true, kProtocolPort, 8, kProtocolPort, 8};
constexpr Shape kAddressPort{true, true, kIpv4ProtocolPort, 12, kIpv6ProtocolPort, 24};
constexpr Shape kAddressTwice{
    true, false, concatenation(kIpv4Addr, kIpv4Addr), 8, concatenation(kIpv6Addr, kIpv6Addr), 32};
constexpr Shape kAddressPortNetwork{.has_address = true,
                                    .has_port = true,
                                    .key_type_4 = kIpv4ProtocolPort << 6 | kIpv4Addr,
                                    .key_length_4 = 16,
                                    .key_type_6 = kIpv6ProtocolPort << 6 | kIpv6Addr,
                                    .key_length_6 = 40,
                                    .interval = true};
// `shape` as a map to an address and port.
constexpr Shape to_target(Shape shape) {
  shape.data_type_4 = concatenation(kIpv4Addr, kInetService);
  shape.data_length_4 = 8;
  shape.data_type_6 = concatenation(kIpv6Addr, kInetService);
  shape.data_length_6 = 20;
  return shape;
}

constexpr TableSet set(std::string_view name, ElementKind kind, std::optional<Family> family,
                       TrafficClass traffic_class, const Shape& shape) {
  const bool v6 = family == kIpv6;
  return {.name = name,
          .kind = kind,
          .family = family,
          .traffic_class = traffic_class,
          .has_address = shape.has_address,
          .has_port = shape.has_port,
          .interval = shape.interval,
          .key_type = v6 ? shape.key_type_6 : shape.key_type_4,
          .key_length = v6 ? shape.key_length_6 : shape.key_length_4,
          .data_type = v6 ? shape.data_type_6 : shape.data_type_4,
          .data_length = v6 ? shape.data_length_6 : shape.data_length_4};
}

constexpr std::array kSets{
    set("cluster-ips-4", kServiceIp, kIpv4, kClusterIp, kAddressPort),
    set("cluster-ips-6", kServiceIp, kIpv6, kClusterIp, kAddressPort),
    set("external-ips-4", kServiceIp, kIpv4, kExternal, kAddressPort),
    set("external-ips-6", kServiceIp, kIpv6, kExternal, kAddressPort),
    set("external-local-ips-4", kServiceIp, kIpv4, kExternalLocal, kAddressPort),
    set("external-local-ips-6", kServiceIp, kIpv6, kExternalLocal, kAddressPort),
    set("node-ports", kNodePort, std::nullopt, kExternal, kPort),
    set("node-ports-local", kNodePort, std::nullopt, kExternalLocal, kPort),
    set("node-addresses-4", kNodeAddress, kIpv4, kNone, kAddress),
    set("node-addresses-6", kNodeAddress, kIpv6, kNone, kAddress),
    set("virtual-ips-4", kVirtualIp, kIpv4, kNone, kAddress),
    set("virtual-ips-6", kVirtualIp, kIpv6, kNone, kAddress),
    set("hairpin-4", kHairpin, kIpv4, kNone, kAddressTwice),
    set("hairpin-6", kHairpin, kIpv6, kNone, kAddressTwice),
    set("refused-ips-4", kGuardedIp, kIpv4, kRefused, kAddressPort),
    set("refused-ips-6", kGuardedIp, kIpv6, kRefused, kAddressPort),
    set("refused-node-ports-4", kGuardedNodePort, kIpv4, kRefused, kPort),
    set("refused-node-ports-6", kGuardedNodePort, kIpv6, kRefused, kPort),
    set("elsewhere-ips-4", kGuardedIp, kIpv4, kElsewhere, kAddressPort),
    set("elsewhere-ips-6", kGuardedIp, kIpv6, kElsewhere, kAddressPort),
    set("elsewhere-node-ports-4", kGuardedNodePort, kIpv4, kElsewhere, kPort),
    set("elsewhere-node-ports-6", kGuardedNodePort, kIpv6, kElsewhere, kPort),
    set("short-cuts-4", kShortCutIp, kIpv4, kNone, to_target(kAddressPort)),
    set("short-cuts-6", kShortCutIp, kIpv6, kNone, to_target(kAddressPort)),
    set("short-cut-node-ports-4", kShortCutNodePort, kIpv4, kNone, to_target(kPort)),
    set("short-cut-node-ports-6", kShortCutNodePort, kIpv6, kNone, to_target(kPort)),
    set("limited-ips-4", kLimitedIp, kIpv4, kNone, kAddressPort),
    set("limited-ips-6", kLimitedIp, kIpv6, kNone, kAddressPort),
    set("allowed-sources-4", kAllowedSource, kIpv4, kNone, kAddressPortNetwork),
    set("allowed-sources-6", kAllowedSource, kIpv6, kNone, kAddressPortNetwork),
};

bool has_class(ElementKind kind) {
  return kind == kServiceIp || kind == kNodePort || kind == kGuardedIp || kind == kGuardedNodePort;
}

}  // namespace

std::span<const TableSet> table_sets() { return kSets; }

const TableSet* set_of(const Element& element) {
  const auto holds = [&](const TableSet& set) {
    return set.kind == element.kind && (!set.family || *set.family == family_of(element.address)) &&
           (!has_class(set.kind) || set.traffic_class == element.traffic_class);
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
