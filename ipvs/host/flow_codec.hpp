// SPDX-License-Identifier: Apache-2.0
//
// Encodes and decodes the netlink messages about TCP, UDP and SCTP entries of connection tracking:
// reading the entries, deleting one, and the events about them. Pure.
//
// Layout after nlmsghdr and nfgenmsg { family, version 0, res_id 0 }
// (include/uapi/linux/netfilter/nfnetlink_conntrack.h). Numbers are big-endian, except the flags of
// the filter.
//
//   CTA_TUPLE_ORIG, CTA_TUPLE_REPLY nests
//     CTA_TUPLE_IP nest     IP_V4_SRC, IP_V4_DST | IP_V6_SRC, IP_V6_DST
//     CTA_TUPLE_PROTO nest  PROTO_NUM u8, SRC_PORT be16, DST_PORT be16
//     CTA_TUPLE_ZONE be16
//   CTA_ZONE be16
//   CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY nests    PACKETS, BYTES be64
//   CTA_TIMESTAMP nest      START, STOP be64, nanoseconds
//   CTA_PROTOINFO nest      TCP nest  STATE u8
//   CTA_ID be32             changes if an entry is deleted and created again for the same addresses
//   CTA_FILTER nest         ORIG_FLAGS, REPLY_FLAGS u32: which parts of CTA_TUPLE_ORIG and _REPLY
//                           the entries of a dump must match; from Linux 5.8 on
//
// IPVS changes the reply tuple of a connection: its source is the destination that IPVS chose.
//
// Events (ctnetlink_conntrack_event(), nf_conntrack_netlink.c) are messages of the same layout:
// CT_NEW with NLM_F_CREATE of a new entry, CT_NEW without of a changed one, CT_DELETE. The counters
// are only in CT_DELETE, the state of TCP where it has changed and, in newer kernels, in CT_DELETE (seen
// in 6.1, not in 5.10).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/netlink/replies.hpp"
#include "ipvs/state/flow_observer.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

struct Flow {
  Protocol protocol = Protocol::kUdp;
  Address client;
  Endpoint original_destination;
  Endpoint reply_source;
  // What identifies the entry for the kernel, as it was read.
  std::vector<std::byte> original_tuple;
  std::optional<std::uint32_t> id;
  std::optional<std::uint16_t> zone;
};

// Which entries the kernel should send; without either endpoint, all of the protocol.
struct FlowFilter {
  Protocol protocol = Protocol::kUdp;
  std::optional<Endpoint> destination{};   // original destination
  std::optional<Endpoint> reply_source{};  // where replies come from
};

// With `only`, the entries of a family that match it; the reply may contain others, too (for
// IPv6 every kernel compares the ports alone). Kernels before 5.8 refuse or ignore the filter.
// Without `only`, all entries of the family, whatever their protocol.
void encode_dump_flows(MessageBatch& batch, Family family, const std::optional<FlowFilter>& only);
// Of all connection tracking: how many entries there are.
void encode_get_statistics(MessageBatch& batch);
void encode_delete_flow(MessageBatch& batch, const Flow& flow);

// Nullopt if it is not a complete entry of TCP, UDP or SCTP.
std::optional<Flow> decode_flow(Bytes payload);

// The one entry of a connection.
void encode_get_flow(MessageBatch& batch, const FlowKey& key, std::optional<std::uint16_t> zone);
// Nullopt: it has no counters.
std::optional<FlowBytes> decode_flow_bytes(Bytes payload);
// Nullopt for a change that neither begins nor ends a connection, and for what is no event of TCP, UDP
// or SCTP.
std::optional<FlowEvent> decode_flow_event(const NetlinkMessage& message);

}  // namespace ipvs
