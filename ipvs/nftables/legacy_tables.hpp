// SPDX-License-Identifier: Apache-2.0
//
// The policy of iptables-legacy's FORWARD chains, and the chains that users made.
// Legacy tables are not part of nf_tables. They are read by getsockopt()
// (include/uapi/linux/netfilter_ipv4/ip_tables.h), as iptables-legacy does. They can only be
// replaced as a whole, so we do not change them ourselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipvs/nftables/forward_codec.hpp"

namespace ipvs {

struct ChainName {
  std::uint8_t family = 0;  // NFPROTO_*
  std::string table;
  std::string name;
};

// Only of tables "filter" that exist: to read another one would load its module. A table that
// cannot be read is left out.
std::vector<ForwardChain> legacy_forward_chains();
// Of every table that exists; again without those that cannot be read.
std::vector<ChainName> legacy_chain_names();
// False also where there is no such chain, or it cannot be read.
bool legacy_chain_has_rules(const ChainName& chain);

}  // namespace ipvs
