// SPDX-License-Identifier: Apache-2.0
#include "ipvs/flow_codec.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace ipvs {
namespace {

// CTA_FILTER_F_CTA_*, net/netfilter/nf_internals.h: part of the interface, but in no uapi header.
constexpr std::uint32_t kFilterDestination = 1U << 1;
constexpr std::uint32_t kFilterProtocol = 1U << 3;
constexpr std::uint32_t kFilterDestinationPort = 1U << 5;

void begin(MessageBatch& batch, int message, Family family, int flags) {
  batch.begin_message(static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | message),
                      static_cast<std::uint16_t>(flags));
  nfgenmsg header{};
  header.nfgen_family = static_cast<__u8>(family == Family::kIpv4 ? AF_INET : AF_INET6);
  header.version = NFNETLINK_V0;
  batch.put_header(header);
}

struct Tuple {
  std::optional<Address> source;
  std::optional<Address> destination;
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

void decode_addresses(Bytes nest, Tuple& tuple) {
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    switch (attribute->type) {
      case CTA_IP_V4_SRC:
      case CTA_IP_V6_SRC:
        tuple.source = attribute->address();
        break;
      case CTA_IP_V4_DST:
      case CTA_IP_V6_DST:
        tuple.destination = attribute->address();
        break;
      default:
        break;
    }
  }
}

void decode_ports(Bytes nest, Tuple& tuple) {
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    switch (attribute->type) {
      case CTA_PROTO_NUM:
        tuple.protocol = attribute->u8().value_or(0);
        break;
      case CTA_PROTO_SRC_PORT:
        tuple.source_port = attribute->be16().value_or(0);
        break;
      case CTA_PROTO_DST_PORT:
        tuple.destination_port = attribute->be16().value_or(0);
        break;
      default:
        break;
    }
  }
}

Tuple decode_tuple(Bytes nest) {
  Tuple tuple;
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    if (attribute->type == CTA_TUPLE_IP) decode_addresses(attribute->payload, tuple);
    if (attribute->type == CTA_TUPLE_PROTO) decode_ports(attribute->payload, tuple);
  }
  return tuple;
}

// What a dump shall match: UDP, and where given the destination. An IPv6 address is left to us: the
// kernel takes the comparison the wrong way round (ctnetlink_filter_match_tuple(), seen in 6.1) and
// would send all others.
void put_filter(MessageBatch& batch, const std::optional<Endpoint>& destination) {
  std::uint32_t flags = kFilterProtocol;
  const std::size_t tuple = batch.begin_nest(CTA_TUPLE_ORIG);
  if (destination && destination->address.is_v4()) {
    flags |= kFilterDestination;
    const std::size_t ip = batch.begin_nest(CTA_TUPLE_IP);
    batch.put_address(CTA_IP_V4_DST, destination->address);
    batch.end_nest(ip);
  }
  const std::size_t proto = batch.begin_nest(CTA_TUPLE_PROTO);
  batch.put_u8(CTA_PROTO_NUM, IPPROTO_UDP);
  if (destination) {
    flags |= kFilterDestinationPort;
    batch.put_be16(CTA_PROTO_DST_PORT, destination->port);
  }
  batch.end_nest(proto);
  batch.end_nest(tuple);
  const std::size_t filter = batch.begin_nest(CTA_FILTER);
  batch.put_u32(CTA_FILTER_ORIG_FLAGS, flags);
  batch.end_nest(filter);
}

}  // namespace

void encode_dump_flows(MessageBatch& batch, Family family,
                       const std::optional<Endpoint>& destination, bool filtered) {
  begin(batch, IPCTNL_MSG_CT_GET, family, NLM_F_DUMP);
  if (!filtered) return;
  put_filter(batch, destination);
}

void encode_delete_flow(MessageBatch& batch, const Flow& flow) {
  begin(batch, IPCTNL_MSG_CT_DELETE, family_of(flow.original_destination.address), 0);
  batch.put_bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.original_tuple);
  if (flow.zone) batch.put_be16(CTA_ZONE, *flow.zone);
  if (flow.id) batch.put_be32(CTA_ID, *flow.id);
}

std::optional<Flow> decode_flow(Bytes payload) {
  Bytes original;
  Bytes reply;
  Flow flow;
  for (AttributeReader reader(payload, sizeof(nfgenmsg)); const auto attribute = reader.next();) {
    switch (attribute->type) {
      case CTA_TUPLE_ORIG:
        original = attribute->payload;
        break;
      case CTA_TUPLE_REPLY:
        reply = attribute->payload;
        break;
      case CTA_ZONE:
        flow.zone = attribute->be16();
        break;
      case CTA_ID:
        flow.id = attribute->be32();
        break;
      default:
        break;
    }
  }
  const Tuple there = decode_tuple(original);
  const Tuple back = decode_tuple(reply);
  if (there.protocol != IPPROTO_UDP || !there.destination || !back.source) return std::nullopt;
  flow.original_destination = {*there.destination, there.destination_port};
  flow.reply_source = {*back.source, back.source_port};
  flow.original_tuple.assign(original.begin(), original.end());
  return flow;
}

}  // namespace ipvs
