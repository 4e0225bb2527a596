// SPDX-License-Identifier: Apache-2.0
//
// ipsets: their names listed, and one destroyed. Pure.
//
// Layout (include/uapi/linux/netfilter/ipset/ip_set.h): struct nfgenmsg, then
//
//   LIST     IPSET_ATTR_PROTOCOL u8, IPSET_ATTR_FLAGS be32 (names only); each reply has the name
//   DESTROY  IPSET_ATTR_PROTOCOL u8, IPSET_ATTR_SETNAME; without the name: all sets
//
// Protocol 6, because kernels before 4.19 know no other and later ones take it for these commands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ipvs/netlink/message.hpp"

namespace ipvs {

void encode_list_sets(MessageBatch& batch);
// Precondition: `name` is not empty.
void encode_destroy_set(MessageBatch& batch, std::string_view name);
// `payload`: after the nlmsghdr.
std::optional<std::string> decode_set_name(Bytes payload);
// ipset has error numbers of its own, above errno's: those that we can get become an errno.
int errno_of_ipset(int error);

}  // namespace ipvs
