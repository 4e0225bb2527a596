// SPDX-License-Identifier: Apache-2.0
//
// Queries, counted by what is bounded: the types that clients of a cluster ask for have counters of
// their own, all other types one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/dns/records.hpp"
#include "agent/dns/wire.hpp"

namespace agent::dns {

class Counters {
 public:
  struct TypeName {
    Type type;
    std::string_view name;
  };
  static constexpr std::array kTypes = {
      TypeName{Type::kA, "A"},     TypeName{Type::kAaaa, "AAAA"},   TypeName{Type::kSrv, "SRV"},
      TypeName{Type::kPtr, "PTR"}, TypeName{Type::kCname, "CNAME"}, TypeName{Type::kTxt, "TXT"},
      TypeName{Type::kSoa, "SOA"}, TypeName{Type::kNs, "NS"},       TypeName{Type::kAny, "ANY"},
  };
  // By code; "other" for what another resolver has answered beside these.
  static constexpr std::array<std::string_view, 8> kRcodes = {
      "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS", "other"};
  static constexpr std::array<std::string_view, 2> kTransports = {"udp", "tcp"};

  void count(Transport transport, Type type, Rcode rcode) {
    ++counts_[static_cast<std::size_t>(transport)][index_of(type)][index_of(rcode)];
  }

  // Calls visit(protocol, type, rcode, count) for each that is not 0.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t transport = 0; transport < counts_.size(); ++transport) {
      for (std::size_t type = 0; type <= kTypes.size(); ++type) {
        for (std::size_t rcode = 0; rcode < kRcodes.size(); ++rcode) {
          const std::uint64_t count = counts_[transport][type][rcode];
          if (count == 0) continue;
          visit(kTransports[transport], type < kTypes.size() ? kTypes[type].name : "other",
                kRcodes[rcode], count);
        }
      }
    }
  }

 private:
  static std::size_t index_of(Type type) {
    std::size_t at = 0;
    while (at < kTypes.size() && kTypes[at].type != type) ++at;
    return at;
  }
  static std::size_t index_of(Rcode rcode) {
    if (rcode == Rcode::kBadVersion) return 6;
    const auto code = static_cast<std::size_t>(rcode);
    return code <= 5 ? code : kRcodes.size() - 1;
  }

  std::array<std::array<std::array<std::uint64_t, kRcodes.size()>, kTypes.size() + 1>, 2> counts_{};
};

}  // namespace agent::dns
