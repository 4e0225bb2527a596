// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/codec.hpp"

#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace ipvs {
namespace {

std::uint16_t af_of(const Address& address) {
  return static_cast<std::uint16_t>(address.is_v4() ? AF_INET : AF_INET6);
}

void begin(MessageBatch& batch, std::uint16_t family, std::uint8_t command, int flags = 0) {
  batch.begin_message(family, static_cast<std::uint16_t>(flags));
  batch.put_header(genlmsghdr{.cmd = command, .version = IPVS_GENL_VERSION, .reserved = 0});
}

void put_key(MessageBatch& batch, const ServerKey& key) {
  batch.put_u16(IPVS_SVC_ATTR_AF, af_of(key.address));
  if (key.fwmark != 0) {
    batch.put_u32(IPVS_SVC_ATTR_FWMARK, key.fwmark);
    return;
  }
  batch.put_u16(IPVS_SVC_ATTR_PROTOCOL, static_cast<std::uint16_t>(key.protocol));
  batch.put_address(IPVS_SVC_ATTR_ADDR, key.address);
  batch.put_be16(IPVS_SVC_ATTR_PORT, key.port);
}

void put_settings(MessageBatch& batch, const VirtualServer& server) {
  const bool persistent = (server.flags & kFlagPersistent) != 0;
  batch.put_string(IPVS_SVC_ATTR_SCHED_NAME, server.scheduler);
  // The mask says which flags the kernel should set to our value: all. It keeps its own
  // kFlagHashed.
  batch.put_struct(IPVS_SVC_ATTR_FLAGS,
                   ip_vs_flags{.flags = server.flags & ~kFlagHashed, .mask = ~__u32{0}});
  batch.put_u32(IPVS_SVC_ATTR_TIMEOUT, persistent ? server.timeout_seconds : 0);
  // Session affinity compares the client's whole address.
  batch.put_u32(IPVS_SVC_ATTR_NETMASK, server.key.address.is_v4() ? 0xffffffff : 128);
}

void put_service(MessageBatch& batch, const ServerKey& key) {
  const std::size_t nest = batch.begin_nest(IPVS_CMD_ATTR_SERVICE);
  put_key(batch, key);
  batch.end_nest(nest);
}

void put_destination(MessageBatch& batch, const Destination& destination, bool complete) {
  const std::size_t nest = batch.begin_nest(IPVS_CMD_ATTR_DEST);
  batch.put_u16(IPVS_DEST_ATTR_ADDR_FAMILY, af_of(destination.endpoint.address));
  batch.put_address(IPVS_DEST_ATTR_ADDR, destination.endpoint.address);
  batch.put_be16(IPVS_DEST_ATTR_PORT, destination.endpoint.port);
  if (complete) {
    batch.put_u32(IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
    batch.put_u32(IPVS_DEST_ATTR_WEIGHT, destination.weight);
    batch.put_u32(IPVS_DEST_ATTR_U_THRESH, 0);
    batch.put_u32(IPVS_DEST_ATTR_L_THRESH, 0);
  }
  batch.end_nest(nest);
}

std::uint8_t command_of(ServerCommand command) {
  switch (command) {
    case ServerCommand::kNewService:
      return IPVS_CMD_NEW_SERVICE;
    case ServerCommand::kSetService:
      return IPVS_CMD_SET_SERVICE;
    case ServerCommand::kDelService:
      return IPVS_CMD_DEL_SERVICE;
    case ServerCommand::kNewDest:
      return IPVS_CMD_NEW_DEST;
    case ServerCommand::kSetDest:
      return IPVS_CMD_SET_DEST;
    case ServerCommand::kDelDest:
      return IPVS_CMD_DEL_DEST;
  }
  return IPVS_CMD_UNSPEC;
}

// The kernel sends 16 bytes for either family.
std::optional<Address> address_of(std::optional<std::uint16_t> af, const Attribute& attribute) {
  using namespace boost::asio::ip;
  if (af == AF_INET) {
    if (const auto bytes = attribute.read<address_v4::bytes_type>()) return address_v4(*bytes);
  } else if (af == AF_INET6) {
    if (const auto bytes = attribute.read<address_v6::bytes_type>()) return address_v6(*bytes);
  }
  return std::nullopt;
}

// In STATS the counters are u32 except the bytes, which are u64; in STATS64 all are u64. The length
// of the attribute shows which it is.
std::uint64_t counter_of(const Attribute& attribute) {
  if (const auto wide = attribute.u64()) return *wide;
  return attribute.u32().value_or(0);
}

Counters decode_counters(Bytes nest) {
  Counters counters;
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    switch (attribute->type) {
      case IPVS_STATS_ATTR_CONNS:
        counters.connections = counter_of(*attribute);
        break;
      case IPVS_STATS_ATTR_INPKTS:
        counters.packets_in = counter_of(*attribute);
        break;
      case IPVS_STATS_ATTR_OUTPKTS:
        counters.packets_out = counter_of(*attribute);
        break;
      case IPVS_STATS_ATTR_INBYTES:
        counters.bytes_in = counter_of(*attribute);
        break;
      case IPVS_STATS_ATTR_OUTBYTES:
        counters.bytes_out = counter_of(*attribute);
        break;
      default:
        break;
    }
  }
  return counters;
}

// The nest of the given type after the generic netlink header.
std::optional<Bytes> find_nest(Bytes payload, std::uint16_t type) {
  for (AttributeReader reader(payload, GENL_HDRLEN); const auto attribute = reader.next();) {
    if (attribute->type == type) return attribute->payload;
  }
  return std::nullopt;
}

// The attributes of a nest by number. They may come in any order, and the meaning of some depends
// on others.
template <std::size_t kCount>
std::array<std::optional<Attribute>, kCount> index_attributes(Bytes nest) {
  std::array<std::optional<Attribute>, kCount> table;
  for (AttributeReader reader(nest); const auto attribute = reader.next();) {
    if (attribute->type < kCount) table[attribute->type] = attribute;
  }
  return table;
}

std::optional<std::uint16_t> u16_of(const std::optional<Attribute>& attribute) {
  return attribute ? attribute->u16() : std::nullopt;
}

std::uint32_t u32_of(const std::optional<Attribute>& attribute) {
  return attribute ? attribute->u32().value_or(0) : 0;
}

template <typename Table>
Counters counters_of(const Table& table, std::size_t stats64, std::size_t stats) {
  if (table[stats64]) return decode_counters(table[stats64]->payload);
  if (table[stats]) return decode_counters(table[stats]->payload);
  return {};
}

template <typename Table>
std::optional<ServerKey> decode_key(const Table& table) {
  const auto af = u16_of(table[IPVS_SVC_ATTR_AF]);
  if (af != AF_INET && af != AF_INET6) return std::nullopt;
  ServerKey key;
  key.fwmark = u32_of(table[IPVS_SVC_ATTR_FWMARK]);
  if (key.fwmark != 0) {
    if (af == AF_INET6) key.address = boost::asio::ip::address_v6::any();
    return key;
  }
  const auto protocol = protocol_numbered(u16_of(table[IPVS_SVC_ATTR_PROTOCOL]));
  if (!protocol || !table[IPVS_SVC_ATTR_ADDR] || !table[IPVS_SVC_ATTR_PORT]) return std::nullopt;
  const auto address = address_of(af, *table[IPVS_SVC_ATTR_ADDR]);
  const auto port = table[IPVS_SVC_ATTR_PORT]->be16();
  if (!address || !port) return std::nullopt;
  key.address = *address;
  key.port = *port;
  key.protocol = *protocol;
  return key;
}

}  // namespace

void encode_op(MessageBatch& batch, std::uint16_t family, const ServerOp& op) {
  begin(batch, family, command_of(op.command));
  switch (op.command) {
    case ServerCommand::kNewService:
    case ServerCommand::kSetService: {
      const std::size_t nest = batch.begin_nest(IPVS_CMD_ATTR_SERVICE);
      put_key(batch, op.server.key);
      put_settings(batch, op.server);
      batch.end_nest(nest);
      break;
    }
    case ServerCommand::kDelService:
      put_service(batch, op.server.key);
      break;
    case ServerCommand::kNewDest:
    case ServerCommand::kSetDest:
      put_service(batch, op.server.key);
      put_destination(batch, op.destination, true);
      break;
    case ServerCommand::kDelDest:
      put_service(batch, op.server.key);
      put_destination(batch, op.destination, false);
      break;
  }
}

void encode_get_service(MessageBatch& batch, std::uint16_t family, const ServerKey& key) {
  begin(batch, family, IPVS_CMD_GET_SERVICE);
  put_service(batch, key);
}

void encode_dump_services(MessageBatch& batch, std::uint16_t family) {
  begin(batch, family, IPVS_CMD_GET_SERVICE, NLM_F_DUMP);
}

void encode_dump_destinations(MessageBatch& batch, std::uint16_t family, const ServerKey& key) {
  begin(batch, family, IPVS_CMD_GET_DEST, NLM_F_DUMP);
  put_service(batch, key);
}

void encode_get_info(MessageBatch& batch, std::uint16_t family) {
  begin(batch, family, IPVS_CMD_GET_INFO);
}

void encode_set_timeouts(MessageBatch& batch, std::uint16_t family, const Timeouts& timeouts) {
  begin(batch, family, IPVS_CMD_SET_CONFIG);
  if (timeouts.tcp != 0) batch.put_u32(IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp);
  if (timeouts.tcp_fin != 0) batch.put_u32(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcp_fin);
  if (timeouts.udp != 0) batch.put_u32(IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp);
}

void encode_get_timeouts(MessageBatch& batch, std::uint16_t family) {
  begin(batch, family, IPVS_CMD_GET_CONFIG);
}

std::optional<ServerReading> decode_service(Bytes payload) {
  const auto nest = find_nest(payload, IPVS_CMD_ATTR_SERVICE);
  if (!nest) return std::nullopt;
  const auto table = index_attributes<IPVS_SVC_ATTR_MAX + 1>(*nest);
  const auto key = decode_key(table);
  if (!key) return std::nullopt;
  ServerReading reading;
  reading.settings.key = *key;
  if (const auto& name = table[IPVS_SVC_ATTR_SCHED_NAME]) {
    reading.settings.scheduler = name->string();
  }
  if (const auto& flags = table[IPVS_SVC_ATTR_FLAGS]) {
    if (const auto value = flags->read<ip_vs_flags>()) {
      reading.settings.flags = value->flags & ~kFlagHashed;
    }
  }
  if ((reading.settings.flags & kFlagPersistent) != 0) {
    reading.settings.timeout_seconds = u32_of(table[IPVS_SVC_ATTR_TIMEOUT]);
  }
  reading.counters = counters_of(table, IPVS_SVC_ATTR_STATS64, IPVS_SVC_ATTR_STATS);
  return reading;
}

std::optional<DestinationReading> decode_destination(Bytes payload, Family service_family) {
  const auto nest = find_nest(payload, IPVS_CMD_ATTR_DEST);
  if (!nest) return std::nullopt;
  const auto table = index_attributes<IPVS_DEST_ATTR_MAX + 1>(*nest);
  if (!table[IPVS_DEST_ATTR_ADDR] || !table[IPVS_DEST_ATTR_PORT]) return std::nullopt;
  std::optional<std::uint16_t> af = u16_of(table[IPVS_DEST_ATTR_ADDR_FAMILY]);
  if (!af) af = static_cast<std::uint16_t>(service_family == Family::kIpv4 ? AF_INET : AF_INET6);
  const auto address = address_of(af, *table[IPVS_DEST_ATTR_ADDR]);
  const auto port = table[IPVS_DEST_ATTR_PORT]->be16();
  if (!address || !port) return std::nullopt;
  return DestinationReading{
      .destination = {.endpoint = {*address, *port},
                      .weight = u32_of(table[IPVS_DEST_ATTR_WEIGHT])},
      .active_connections = u32_of(table[IPVS_DEST_ATTR_ACTIVE_CONNS]),
      .inactive_connections = u32_of(table[IPVS_DEST_ATTR_INACT_CONNS]),
      .persistent_connections = u32_of(table[IPVS_DEST_ATTR_PERSIST_CONNS]),
      .is_masqueraded =
          (u32_of(table[IPVS_DEST_ATTR_FWD_METHOD]) & IP_VS_CONN_F_FWD_MASK) == IP_VS_CONN_F_MASQ,
      .counters = counters_of(table, IPVS_DEST_ATTR_STATS64, IPVS_DEST_ATTR_STATS)};
}

std::optional<IpvsInfo> decode_info(Bytes payload) {
  IpvsInfo info;
  bool found = false;
  for (AttributeReader reader(payload, GENL_HDRLEN); const auto attribute = reader.next();) {
    if (attribute->type == IPVS_INFO_ATTR_VERSION) {
      info.version = attribute->u32().value_or(0);
      found = true;
    } else if (attribute->type == IPVS_INFO_ATTR_CONN_TAB_SIZE) {
      info.connection_table_size = attribute->u32().value_or(0);
    }
  }
  return found ? std::optional(info) : std::nullopt;
}

Timeouts decode_timeouts(Bytes payload) {
  Timeouts timeouts;
  for (AttributeReader reader(payload, GENL_HDRLEN); const auto attribute = reader.next();) {
    const std::uint32_t seconds = attribute->u32().value_or(0);
    if (attribute->type == IPVS_CMD_ATTR_TIMEOUT_TCP) timeouts.tcp = seconds;
    if (attribute->type == IPVS_CMD_ATTR_TIMEOUT_TCP_FIN) timeouts.tcp_fin = seconds;
    if (attribute->type == IPVS_CMD_ATTR_TIMEOUT_UDP) timeouts.udp = seconds;
  }
  return timeouts;
}

}  // namespace ipvs
