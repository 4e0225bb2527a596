// SPDX-License-Identifier: Apache-2.0
//
// Encodes our commands to IPVS (ServerOp, Timeouts, requests to read) as generic netlink messages,
// and decodes the virtual servers and destinations that the kernel replies with. Pure; IpvsClient
// (ipvs/virtual_servers/client.hpp) sends and receives them.
//
// Layout after nlmsghdr and genlmsghdr { cmd IPVS_CMD_*, version 1 } (include/uapi/linux/ip_vs.h;
// net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_genl_parse_service() and ip_vs_genl_parse_dest()):
//
//   IPVS_CMD_ATTR_SERVICE nest
//     AF u16, and either  PROTOCOL u16, ADDR 4 or 16 bytes (the kernel always sends 16), PORT be16
//                 or      FWMARK u32
//     NEW_SERVICE, SET_SERVICE also need
//     SCHED_NAME string, FLAGS struct ip_vs_flags { u32 flags, mask }, TIMEOUT u32 s,
//     NETMASK u32: IPv4 a mask in network order, IPv6 a prefix length in host order
//     readings also have STATS nest (u32; bytes u64), STATS64 nest (all u64; Linux 4.1)
//   IPVS_CMD_ATTR_DEST nest
//     ADDR, PORT be16, ADDR_FAMILY u16 (Linux 3.18; without it, that of the service)
//     NEW_DEST, SET_DEST also need FWD_METHOD u32, WEIGHT u32, U_THRESH u32, L_THRESH u32
//     readings also have ACTIVE_CONNS, INACT_CONNS, PERSIST_CONNS u32, STATS nest, STATS64 nest
//   without a nest: VERSION u32 and CONN_TAB_SIZE u32, the reply to GET_INFO;
//     TIMEOUT_TCP, TIMEOUT_TCP_FIN and TIMEOUT_UDP u32 s, for SET_CONFIG
//
// Errors: an invalid reply (no family, an unknown protocol, a truncated value) decodes to nullopt.
#pragma once

#include <cstdint>
#include <optional>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

// Each appends one message; `family` is the number of the generic netlink family IPVS.
void encode_op(MessageBatch& batch, std::uint16_t family, const ServerOp& op);
void encode_get_service(MessageBatch& batch, std::uint16_t family, const ServerKey& key);
void encode_dump_services(MessageBatch& batch, std::uint16_t family);
void encode_dump_destinations(MessageBatch& batch, std::uint16_t family, const ServerKey& key);
void encode_get_info(MessageBatch& batch, std::uint16_t family);
// Timeouts in seconds; those that are 0 are left out, and so keep their value.
void encode_get_timeouts(MessageBatch& batch, std::uint16_t family);
void encode_set_timeouts(MessageBatch& batch, std::uint16_t family, const Timeouts& timeouts);

struct IpvsInfo {
  std::uint32_t version = 0;  // 0x010201 = 1.2.1
  std::uint32_t connection_table_size = 0;
};

// `payload` is what follows nlmsghdr.
std::optional<ServerReading> decode_service(Bytes payload);  // without destinations
std::optional<DestinationReading> decode_destination(Bytes payload, Family service_family);
std::optional<IpvsInfo> decode_info(Bytes payload);
Timeouts decode_timeouts(Bytes payload);  // 0: none is given

}  // namespace ipvs
