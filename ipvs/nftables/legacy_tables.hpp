// SPDX-License-Identifier: Apache-2.0
//
// The policy of iptables-legacy's FORWARD chains. Legacy tables are not part of nf_tables: they are
// read by getsockopt() (include/uapi/linux/netfilter_ipv4/ip_tables.h), as iptables-legacy does,
// and replaced as a whole, which we leave to it.
#pragma once

#include <vector>

#include "ipvs/nftables/forward_codec.hpp"

namespace ipvs {

// Those of the tables "filter" that exist; asking for one that does not would load its module. A
// table that cannot be read is left out.
std::vector<ForwardChain> legacy_forward_chains();

}  // namespace ipvs
