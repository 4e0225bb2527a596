// SPDX-License-Identifier: Apache-2.0
//
// From the kernel's nf_tables messages to values. Pure, and safe on any bytes: what is not as we
// write it is left out, never guessed at.
//
// Layout: that of NEWSETELEM in ipvs/nftables/encode.hpp. The kernel adds attributes (flags, time-outs,
// user data) that matter to other people's sets only.
#pragma once

#include <string_view>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/element.hpp"

namespace ipvs {

// Appends what a NEWSETELEM message holds (`payload`: after its nlmsghdr), if it is about a set of
// our table. Elements that cannot be ours (a protocol we do not know, a hairpin pair of two
// addresses, an element of an interval) are left out.
void decode_elements(Bytes payload, std::vector<Element>& elements);

// Whether a message of nf_tables (NEW* or DEL* of tables, chains, rules, sets, elements) is about
// our table.
bool concerns_our_table(std::uint16_t message_type, Bytes payload);

}  // namespace ipvs
