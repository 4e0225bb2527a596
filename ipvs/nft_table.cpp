// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nft_table.hpp"

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

constexpr std::array kSets{
    TableSet{"cluster-ips-4", kServiceIp, kIpv4, kClusterIp, kIpv4ProtocolPort, 12},
    TableSet{"cluster-ips-6", kServiceIp, kIpv6, kClusterIp, kIpv6ProtocolPort, 24},
    TableSet{"external-ips-4", kServiceIp, kIpv4, kExternal, kIpv4ProtocolPort, 12},
    TableSet{"external-ips-6", kServiceIp, kIpv6, kExternal, kIpv6ProtocolPort, 24},
    TableSet{"external-local-ips-4", kServiceIp, kIpv4, kExternalLocal, kIpv4ProtocolPort, 12},
    TableSet{"external-local-ips-6", kServiceIp, kIpv6, kExternalLocal, kIpv6ProtocolPort, 24},
    TableSet{"node-ports", kNodePort, std::nullopt, kExternal, kProtocolPort, 8},
    TableSet{"node-ports-local", kNodePort, std::nullopt, kExternalLocal, kProtocolPort, 8},
    TableSet{"node-addresses-4", kNodeAddress, kIpv4, kNone, kIpv4Addr, 4},
    TableSet{"node-addresses-6", kNodeAddress, kIpv6, kNone, kIpv6Addr, 16},
    TableSet{"virtual-ips-4", kVirtualIp, kIpv4, kNone, kIpv4Addr, 4},
    TableSet{"virtual-ips-6", kVirtualIp, kIpv6, kNone, kIpv6Addr, 16},
    TableSet{"hairpin-4", kHairpin, kIpv4, kNone, concatenation(kIpv4Addr, kIpv4Addr), 8},
    TableSet{"hairpin-6", kHairpin, kIpv6, kNone, concatenation(kIpv6Addr, kIpv6Addr), 32},
};

bool has_class(ElementKind kind) { return kind == kServiceIp || kind == kNodePort; }

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
