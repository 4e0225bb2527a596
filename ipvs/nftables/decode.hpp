// SPDX-License-Identifier: Apache-2.0
//
// From the kernel's nf_tables messages to values. Pure, and safe on any bytes: an element that we
// would not have written is left out.
//
// Layout: that of NEWSETELEM in ipvs/nftables/encode.hpp. The kernel adds attributes (flags,
// time-outs, user data) that our sets do not use.
#pragma once

#include <string_view>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/element.hpp"

namespace ipvs {

// Appends what a NEWSETELEM message holds (`payload`: after its nlmsghdr), if it is about a set of
// our table. Elements that we would not write are left out: of an unknown protocol, a hairpin pair
// of two addresses, a range that is not a network.
void decode_elements(Bytes payload, std::vector<Element>& elements);

// Whether a message of nf_tables (NEW* or DEL* of tables, chains, rules, sets, elements) is about
// our table.
bool concerns_our_table(std::uint16_t message_type, Bytes payload);

}  // namespace ipvs
