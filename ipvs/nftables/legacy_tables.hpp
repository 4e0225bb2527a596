// SPDX-License-Identifier: Apache-2.0
//
// The policy of iptables-legacy's FORWARD chains. Legacy tables are not part of nf_tables. They are
// read by getsockopt() (include/uapi/linux/netfilter_ipv4/ip_tables.h), as iptables-legacy does.
// They can only be replaced as a whole, so we do not change them.
#pragma once

#include <vector>

#include "ipvs/nftables/forward_codec.hpp"

namespace ipvs {

// Only of tables "filter" that exist: to read another one would load its module. A table that
// cannot be read is left out.
std::vector<ForwardChain> legacy_forward_chains();

}  // namespace ipvs
