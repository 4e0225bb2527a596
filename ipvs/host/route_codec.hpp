// SPDX-License-Identifier: Apache-2.0
//
// Encodes and decodes the rtnetlink messages that kube-ipvs0 and the node's addresses need: links,
// addresses and routes. Pure.
//
// Layout after nlmsghdr (include/uapi/linux/if_link.h, if_addr.h, rtnetlink.h): the header of the
// kind, then attributes.
//
//   RTM_*LINK    ifinfomsg { family, type, index, flags, change }
//     IFLA_IFNAME    string
//     IFLA_MTU       u32
//     IFLA_EXT_MASK  u32
//     IFLA_MASTER    u32
//     IFLA_LINKINFO  nest: IFLA_INFO_KIND string
//     IFLA_AF_SPEC   nest: AF_INET6 nest: IFLA_INET6_ADDR_GEN_MODE u8
//   RTM_*ADDR    ifaddrmsg { family, prefixlen, flags, scope, index }
//     IFA_LOCAL, IFA_ADDRESS   4 or 16 bytes
//     IFA_FLAGS                u32
//     IFA_CACHEINFO            ifa_cacheinfo { prefered, valid, cstamp, tstamp }
//   RTM_*ROUTE   rtmsg { family, dst_len, ..., table, protocol, scope, type }
//     RTA_DST, RTA_PREFSRC, RTA_GATEWAY   4 or 16 bytes
//     RTA_OIF                             u32
//     RTA_METRICS                         nest: RTAX_MTU u32
//
// Requests for dumps leave all other header fields 0, as NETLINK_GET_STRICT_CHK requires.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipvs/netlink/message.hpp"
#include "ipvs/state/model.hpp"

namespace ipvs {

// rtm_protocol of our VIP routes, by which we recognise them. Unused in iproute2's rt_protos and in
// include/uapi/linux/rtnetlink.h. `ip route show table local proto 112` lists them.
inline constexpr std::uint8_t kRouteProtocol = 112;

struct Link {
  unsigned index = 0;
  std::string name;
  std::string kind;  // IFLA_INFO_KIND: "dummy", "veth"; empty for hardware
  bool up = false;
  bool no_arp = false;
  bool loopback = false;
  std::uint32_t mtu = 0;
  unsigned master = 0;  // index of the bridge, bond or VRF that it belongs to; 0: none
  // IN6_ADDR_GEN_MODE_*; nullopt: the link has no IPv6
  std::optional<std::uint8_t> addr_gen_mode{};
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
  std::uint32_t mtu = 0;  // 0: that of the loopback device, as for every local route
};

void encode_get_link(MessageBatch& batch, const std::string& name);
void encode_get_link(MessageBatch& batch, unsigned index);
void encode_create_dummy(MessageBatch& batch, const std::string& name);
// Sets IFF_NOARP, and IFF_UP if `up`; never clears a flag. To be sent in a message without other
// changes: if the kernel refuses the flags, it makes none of them.
void encode_set_flags(MessageBatch& batch, unsigned index, bool up);
// Clears IFF_UP.
void encode_set_down(MessageBatch& batch, unsigned index);
// Refused with EBUSY before Linux 6.2 if the link is up.
void encode_rename_link(MessageBatch& batch, unsigned index, const std::string& name);
// Takes the link out of its bridge, bond or VRF.
void encode_leave_master(MessageBatch& batch, unsigned index);
// The link gets no link-local IPv6 address when it is set up (IN6_ADDR_GEN_MODE_NONE).
void encode_set_addr_gen_mode_none(MessageBatch& batch, unsigned index);
void encode_delete_link(MessageBatch& batch, unsigned index);
// Every link, without statistics.
void encode_dump_links(MessageBatch& batch);
std::optional<Link> decode_link(Bytes payload);

// A /32 or /128. Adding an address that exists fails with EEXIST.
void encode_address(MessageBatch& batch, bool add, const Address& address, unsigned index);
// Addresses of one interface, or of all if `index` is 0. Kernels before 4.20 always send all.
void encode_dump_addresses(MessageBatch& batch, unsigned index);
std::optional<AddressReading> decode_address(Bytes payload);

// `local ADDRESS dev INDEX table local proto 112 [src SOURCE] [mtu MTU]`. Adding a route that exists
// fails with EEXIST.
void encode_route(MessageBatch& batch, bool add, const Address& address, unsigned index,
                  const std::optional<Address>& source, std::uint32_t mtu = 0);
// Adds the route even if there is another one to the address; EEXIST only for an identical one.
void encode_route_beside(MessageBatch& batch, const Address& address, unsigned index,
                         const std::optional<Address>& source, std::uint32_t mtu = 0);
// Gives the route, which exists, another MTU.
void encode_route_mtu(MessageBatch& batch, const Address& address, unsigned index,
                      const std::optional<Address>& source, std::uint32_t mtu);
// The same for the IPv4 route that the kernel made for an address of the interface `index`. It
// remains the kernel's, which deletes it with the address.
void encode_address_mtu(MessageBatch& batch, const Address& address, unsigned index,
                        std::uint32_t mtu);
// The way that a packet of this host to `destination` would take.
void encode_get_route(MessageBatch& batch, const Address& destination);
// The source address in the answer; nullopt if there is none, or packets would not be sent.
std::optional<Address> decode_chosen_source(Bytes payload);
// The local routes to the interface `index` with this protocol number: ours, or RTPROT_KERNEL, those
// that the kernel made for its addresses. Older kernels send others, too.
void encode_dump_routes(MessageBatch& batch, Family family, unsigned index,
                        std::uint8_t protocol = kRouteProtocol);
// All routes of the main table.
void encode_dump_main_routes(MessageBatch& batch, Family family);
// A message RTM_NEWNETCONF: forwarding of IPv4 was turned off for all interfaces. Each of them sends
// one as well; the kernel sends none about other settings that we need.
bool is_forwarding_off(Bytes payload);
// Of the main table, with a gateway or without.
bool is_default_route(Bytes payload);
// The gateways of a default route: one, or with several next hops one of each; the gateway of an IPv4
// route may have an IPv6 address. None for other routes. Routes with a nexthop object say the same,
// as long as net.ipv4.nexthop_compat_mode is 1, as it is by default.
std::vector<Address> decode_default_gateways(Bytes payload);
// Nullopt if it is no local route to one address with this protocol number.
std::optional<RouteReading> decode_route(Bytes payload, std::uint8_t protocol = kRouteProtocol);

}  // namespace ipvs
