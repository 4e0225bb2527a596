// SPDX-License-Identifier: Apache-2.0
//
// Connection tracking entries of UDP as netlink messages: reading them and deleting one. Pure.
//
// Layout (include/uapi/linux/netfilter/nfnetlink_conntrack.h; numbers big-endian but the filter's
// flags), behind nlmsghdr and nfgenmsg { family, version 0, res_id 0 }:
//
//   CTA_TUPLE_ORIG, CTA_TUPLE_REPLY nests
//     CTA_TUPLE_IP nest     IP_V4_SRC, IP_V4_DST | IP_V6_SRC, IP_V6_DST
//     CTA_TUPLE_PROTO nest  PROTO_NUM u8, SRC_PORT be16, DST_PORT be16
//     CTA_TUPLE_ZONE be16
//   CTA_ZONE be16, CTA_ID be32 (differs when an entry was made anew for the same addresses)
//   CTA_FILTER nest         ORIG_FLAGS, REPLY_FLAGS u32: which parts of CTA_TUPLE_ORIG and _REPLY
//                           a dump must match; Linux 5.8
//
// IPVS rewrites the reply tuple of a connection to come from the destination it chose.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

struct Flow {
  Endpoint original_destination;
  Endpoint reply_source;
  // What names the entry to the kernel, as it was read.
  std::vector<std::byte> original_tuple;
  std::optional<std::uint32_t> id;
  std::optional<std::uint16_t> zone;
};

// What the kernel is asked to choose by, besides UDP. Both nullopt: nothing more.
struct FlowFilter {
  std::optional<Endpoint> destination;   // original destination
  std::optional<Endpoint> reply_source;  // where answers come from
};

// All UDP entries of a family, or those that match. The answer may hold others too (kernels before
// 5.8 send all entries, any kernel those to the same ports for IPv6). Without a filter the kernel
// is not asked to choose at all.
void encode_dump_flows(MessageBatch& batch, Family family, const std::optional<FlowFilter>& only);
void encode_delete_flow(MessageBatch& batch, const Flow& flow);

// Nullopt for what is no UDP entry.
std::optional<Flow> decode_flow(Bytes payload);

}  // namespace ipvs
