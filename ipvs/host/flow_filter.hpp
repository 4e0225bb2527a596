// SPDX-License-Identifier: Apache-2.0
//
// A program for the kernel (classic BPF) that drops events of connection tracking which are about no
// virtual server of a list, before they take space in a socket's buffer. Pure.
//
// It reads at fixed places, where every kernel writes the original tuple: it comes first
// (ctnetlink_conntrack_event(), nf_conntrack_netlink.c). A message that looks otherwise passes: the
// reader compares again.
//
//   offset  0 nlmsghdr, 16 nfgenmsg { family, ... }, 20 CTA_TUPLE_ORIG, 24 CTA_TUPLE_IP
//   IPv4:  28 CTA_IP_V4_SRC, 36 CTA_IP_V4_DST, 40 address, 44 CTA_TUPLE_PROTO, 48 CTA_PROTO_NUM,
//          56 CTA_PROTO_SRC_PORT, 64 CTA_PROTO_DST_PORT, 68 port
//   IPv6:  28 CTA_IP_V6_SRC, 48 CTA_IP_V6_DST, 52 address, 68 CTA_TUPLE_PROTO, 72 CTA_PROTO_NUM,
//          80 CTA_PROTO_SRC_PORT, 88 CTA_PROTO_DST_PORT, 92 port
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

#include "ipvs/state/model.hpp"

namespace ipvs {

// At most 4,096 instructions, the kernel's limit (BPF_MAXINSNS); empty if more were needed: then no
// filter is possible.
std::vector<sock_filter> filter_of_events(std::span<const ServerKey> servers);

}  // namespace ipvs
