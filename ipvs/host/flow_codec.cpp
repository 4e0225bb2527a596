// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flow_codec.hpp"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace ipvs {
namespace {

// CTA_FILTER_F_CTA_*, net/netfilter/nf_internals.h: part of the interface, but in no uapi header.
constexpr std::uint32_t kFilterProtocol = 1U << 3;

// The attributes that hold one end of a direction, and the flag of each in the filter.
struct FilterEnd {
  std::uint16_t address_v4;
  std::uint16_t port;
  std::uint32_t address_flag;
  std::uint32_t port_flag;
};
constexpr FilterEnd kSourceEnd{CTA_IP_V4_SRC, CTA_PROTO_SRC_PORT, 1U << 0, 1U << 4};
constexpr FilterEnd kDestinationEnd{CTA_IP_V4_DST, CTA_PROTO_DST_PORT, 1U << 1, 1U << 5};

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

// CTA_COUNTERS_*: the bytes.
std::optional<std::uint64_t> decode_bytes(Bytes nest) {
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    if (attribute->type == CTA_COUNTERS_BYTES) return attribute->be64();
  }
  return std::nullopt;
}

// CTA_TIMESTAMP: how long it lasted.
std::optional<double> decode_seconds(Bytes nest) {
  std::uint64_t start = 0, stop = 0;
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    if (attribute->type == CTA_TIMESTAMP_START) start = attribute->be64().value_or(0);
    if (attribute->type == CTA_TIMESTAMP_STOP) stop = attribute->be64().value_or(0);
  }
  constexpr double kNanoseconds = 1e9;
  if (start == 0 || stop < start) return std::nullopt;
  return static_cast<double>(stop - start) / kNanoseconds;
}

// CTA_PROTOINFO: TCP_CONNTRACK_*.
std::optional<std::uint8_t> decode_tcp_state(Bytes nest) {
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    if (attribute->type != CTA_PROTOINFO_TCP) continue;
    for (AttributeReader tcp(attribute->payload); const auto each = tcp.next();) {
      if (each->type == CTA_PROTOINFO_TCP_STATE) return each->u8();
    }
  }
  return std::nullopt;
}

Tuple decode_tuple(Bytes nest) {
  Tuple tuple;
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    if (attribute->type == CTA_TUPLE_IP) decode_addresses(attribute->payload, tuple);
    if (attribute->type == CTA_TUPLE_PROTO) decode_ports(attribute->payload, tuple);
  }
  return tuple;
}

// Writes one direction that a dump must match: the protocol and, if given, one end. An IPv6 address is left
// out and compared by the caller: the kernel negates that comparison by mistake
// (ctnetlink_filter_match_tuple(), seen in 6.1) and would send all other entries. Returns the flags
// of what was written.
std::uint32_t put_direction(MessageBatch& batch, std::uint16_t direction, Protocol protocol,
                            const std::optional<Endpoint>& end, const FilterEnd& names) {
  std::uint32_t flags = kFilterProtocol;
  const std::size_t tuple = batch.begin_nest(direction);
  if (end && end->address.is_v4()) {
    flags |= names.address_flag;
    const std::size_t ip = batch.begin_nest(CTA_TUPLE_IP);
    batch.put_address(names.address_v4, end->address);
    batch.end_nest(ip);
  }
  const std::size_t proto = batch.begin_nest(CTA_TUPLE_PROTO);
  batch.put_u8(CTA_PROTO_NUM, static_cast<std::uint8_t>(protocol));
  if (end) {
    flags |= names.port_flag;
    batch.put_be16(names.port, end->port);
  }
  batch.end_nest(proto);
  batch.end_nest(tuple);
  return flags;
}

void put_filter(MessageBatch& batch, const FlowFilter& only) {
  const std::uint32_t there =
      put_direction(batch, CTA_TUPLE_ORIG, only.protocol, only.destination, kDestinationEnd);
  const std::uint32_t back =
      only.reply_source
          ? put_direction(batch, CTA_TUPLE_REPLY, only.protocol, only.reply_source, kSourceEnd)
          : 0;
  const std::size_t filter = batch.begin_nest(CTA_FILTER);
  batch.put_u32(CTA_FILTER_ORIG_FLAGS, there);
  if (only.reply_source) batch.put_u32(CTA_FILTER_REPLY_FLAGS, back);
  batch.end_nest(filter);
}

}  // namespace

void encode_dump_flows(MessageBatch& batch, Family family, const std::optional<FlowFilter>& only) {
  begin(batch, IPCTNL_MSG_CT_GET, family, NLM_F_DUMP);
  if (only) put_filter(batch, *only);
}

void encode_get_statistics(MessageBatch& batch) {
  begin(batch, IPCTNL_MSG_CT_GET_STATS, Family::kIpv4, 0);
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
  const auto protocol = protocol_numbered(there.protocol);
  if (!protocol || !there.source || !there.destination || !back.source) return std::nullopt;
  flow.protocol = *protocol;
  flow.client = *there.source;
  flow.original_destination = {*there.destination, there.destination_port};
  flow.reply_source = {*back.source, back.source_port};
  flow.original_tuple.assign(original.begin(), original.end());
  return flow;
}

void encode_get_flow(MessageBatch& batch, const FlowKey& key, std::optional<std::uint16_t> zone) {
  const bool v4 = key.client.address.is_v4();
  begin(batch, IPCTNL_MSG_CT_GET, family_of(key.client.address), 0);
  const std::size_t tuple = batch.begin_nest(CTA_TUPLE_ORIG);
  const std::size_t ip = batch.begin_nest(CTA_TUPLE_IP);
  batch.put_address(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, key.client.address);
  batch.put_address(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, key.entrance.address);
  batch.end_nest(ip);
  const std::size_t proto = batch.begin_nest(CTA_TUPLE_PROTO);
  batch.put_u8(CTA_PROTO_NUM, static_cast<std::uint8_t>(key.protocol));
  batch.put_be16(CTA_PROTO_SRC_PORT, key.client.port);
  batch.put_be16(CTA_PROTO_DST_PORT, key.entrance.port);
  batch.end_nest(proto);
  batch.end_nest(tuple);
  if (zone) batch.put_be16(CTA_ZONE, *zone);
}

std::optional<FlowBytes> decode_flow_bytes(Bytes payload) {
  std::optional<std::uint64_t> in, out;
  for (AttributeReader reader(payload, sizeof(nfgenmsg)); const auto attribute = reader.next();) {
    if (attribute->type == CTA_COUNTERS_ORIG) in = decode_bytes(attribute->payload);
    if (attribute->type == CTA_COUNTERS_REPLY) out = decode_bytes(attribute->payload);
  }
  if (!in || !out) return std::nullopt;
  return FlowBytes{.in = *in, .out = *out};
}

std::optional<FlowEvent> decode_flow_event(const NetlinkMessage& message) {
  if (NFNL_SUBSYS_ID(message.type) != NFNL_SUBSYS_CTNETLINK) return std::nullopt;
  const int command = NFNL_MSG_TYPE(message.type);
  if (command != IPCTNL_MSG_CT_NEW && command != IPCTNL_MSG_CT_DELETE) return std::nullopt;
  FlowEvent event;
  Bytes original, reply;
  std::optional<std::uint8_t> state;
  for (AttributeReader reader(message.payload, sizeof(nfgenmsg));
       const auto attribute = reader.next();) {
    if (attribute->type == CTA_TUPLE_ORIG) original = attribute->payload;
    if (attribute->type == CTA_TUPLE_REPLY) reply = attribute->payload;
    if (attribute->type == CTA_PROTOINFO) state = decode_tcp_state(attribute->payload);
    if (attribute->type == CTA_ZONE) event.zone = attribute->be16();
    if (attribute->type == CTA_TIMESTAMP) event.seconds = decode_seconds(attribute->payload);
  }
  const bool is_over = state == TCP_CONNTRACK_TIME_WAIT || state == TCP_CONNTRACK_CLOSE;
  if (command == IPCTNL_MSG_CT_DELETE) {
    event.kind = FlowEvent::Kind::kDeleted;
    event.was_closed = is_over;
    event.bytes = decode_flow_bytes(message.payload);
  } else if (is_over) {
    event.kind = FlowEvent::Kind::kClosed;
    event.is_reset = state == TCP_CONNTRACK_CLOSE;
  } else if ((message.flags & NLM_F_CREATE) == 0) {
    return std::nullopt;
  }
  const Tuple there = decode_tuple(original);
  const Tuple back = decode_tuple(reply);
  const auto protocol = protocol_numbered(there.protocol);
  if (!protocol || !there.source || !there.destination || !back.source) return std::nullopt;
  event.key = {.protocol = *protocol,
               .client = {*there.source, there.source_port},
               .entrance = {*there.destination, there.destination_port}};
  event.endpoint = {*back.source, back.source_port};
  // Most TCP entries that are deleted were closed before.
  const bool is_unknown = event.kind == FlowEvent::Kind::kDeleted && !state;
  if (is_unknown && event.key.protocol == Protocol::kTcp) event.was_closed = true;
  return event;
}

}  // namespace ipvs
