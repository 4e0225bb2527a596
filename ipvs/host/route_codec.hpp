// SPDX-License-Identifier: Apache-2.0
//
// Links, addresses and routes as rtnetlink messages: those few that kube-ipvs0 and node addresses
// need. Pure.
//
// Layout (include/uapi/linux/if_link.h, if_addr.h, rtnetlink.h), behind nlmsghdr:
//   RTM_*LINK   ifinfomsg { family, type, index, flags, change }   IFLA_IFNAME, IFLA_LINKINFO {
//   KIND string },
//               IFLA_AF_SPEC { AF_INET6 { ADDR_GEN_MODE u8 } }
//   RTM_*ADDR   ifaddrmsg { family, prefixlen, flags, scope, index }   IFA_LOCAL, IFA_ADDRESS,
//   IFA_FLAGS u32 RTM_*ROUTE  rtmsg { family, dst_len, ..., table, protocol, scope, type } RTA_DST,
//   RTA_OIF, RTA_PREFSRC
// Requests for dumps leave all other header fields 0: NETLINK_GET_STRICT_CHK asks for that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

// rtm_protocol of our VIP routes, by which we know them again. Free in iproute2's rt_protos and in
// include/uapi/linux/rtnetlink.h; `ip route show table local proto 112` lists them.
inline constexpr std::uint8_t kRouteProtocol = 112;

struct Link {
  unsigned index = 0;
  std::string kind;  // IFLA_INFO_KIND: "dummy", "veth"; empty for hardware
  bool up = false;
  bool no_arp = false;
};

struct AddressReading {
  Address address;
  unsigned index = 0;  // of the interface
  std::uint8_t prefix_length = 0;
  std::uint8_t scope = 0;   // RT_SCOPE_*
  std::uint32_t flags = 0;  // IFA_F_*
};

struct RouteReading {
  Address address;
  unsigned index = 0;  // RTA_OIF
  std::optional<Address> source;
};

void encode_get_link(MessageBatch& batch, const std::string& name);
void encode_create_dummy(MessageBatch& batch, const std::string& name);
// IFF_NOARP on, and IFF_UP if asked for (never off). Sent by itself: a failure leaves the rest
// undone.
void encode_set_flags(MessageBatch& batch, unsigned index, bool up);
// No link-local IPv6 address when the link goes up (IN6_ADDR_GEN_MODE_NONE).
void encode_set_addr_gen_mode_none(MessageBatch& batch, unsigned index);
void encode_delete_link(MessageBatch& batch, unsigned index);
std::optional<Link> decode_link(Bytes payload);

// A /32 or /128. Adding one that is there fails with EEXIST.
void encode_address(MessageBatch& batch, bool add, const Address& address, unsigned index);
// Of one interface, or of all if `index` is 0. Kernels before 4.20 send all anyway.
void encode_dump_addresses(MessageBatch& batch, unsigned index);
std::optional<AddressReading> decode_address(Bytes payload);

// `local ADDRESS dev INDEX table local proto 112 [src SOURCE]`. Adding one that is there fails with
// EEXIST.
void encode_route(MessageBatch& batch, bool add, const Address& address, unsigned index,
                  const std::optional<Address>& source);
// Adds it whether or not there is another route to the address; EEXIST only for the very same one.
void encode_route_beside(MessageBatch& batch, const Address& address, unsigned index,
                         const std::optional<Address>& source);
void encode_dump_routes(MessageBatch& batch, Family family, unsigned index);
// All routes of the main table.
void encode_dump_main_routes(MessageBatch& batch, Family family);
// Where a default route leads; nullopt for every other route, and for one through no gateway.
std::optional<Address> decode_default_gateway(Bytes payload);
// Nullopt for a route that is not one of ours.
std::optional<RouteReading> decode_route(Bytes payload);

}  // namespace ipvs
