// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/route_codec.hpp"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace ipvs {
namespace {

// INFINITY_LIFE_TIME of net/addrconf.h.
constexpr std::uint32_t kForEver = 0xffffffff;

unsigned char af_of(Family family) {
  return static_cast<unsigned char>(family == Family::kIpv4 ? AF_INET : AF_INET6);
}

unsigned char full_length(const Address& address) { return address.is_v4() ? 32 : 128; }

template <typename Header>
std::optional<Header> header_of(Bytes payload) {
  return Attribute{.type = 0, .payload = payload}.read<Header>();
}

// The address, if it has the family that is in the message's header.
std::optional<Address> address_of(const Attribute& attribute, unsigned char af) {
  auto address = attribute.address();
  if (address && af_of(family_of(*address)) != af) address.reset();
  return address;
}

void begin_link(MessageBatch& batch, std::uint16_t type, std::uint16_t flags, unsigned index) {
  batch.begin_message(type, flags);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  batch.put_header(header);
}

}  // namespace

void encode_get_link(MessageBatch& batch, const std::string& name) {
  begin_link(batch, RTM_GETLINK, 0, 0);
  batch.put_string(IFLA_IFNAME, name);
}

void encode_dump_links(MessageBatch& batch) {
  begin_link(batch, RTM_GETLINK, NLM_F_DUMP, 0);
  batch.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

void encode_get_link(MessageBatch& batch, unsigned index) {
  begin_link(batch, RTM_GETLINK, 0, index);
}

void encode_set_down(MessageBatch& batch, unsigned index) {
  batch.begin_message(RTM_NEWLINK);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_UP;
  batch.put_header(header);
}

void encode_rename_link(MessageBatch& batch, unsigned index, const std::string& name) {
  begin_link(batch, RTM_NEWLINK, 0, index);
  batch.put_string(IFLA_IFNAME, name);
}

void encode_leave_master(MessageBatch& batch, unsigned index) {
  begin_link(batch, RTM_NEWLINK, 0, index);
  batch.put_u32(IFLA_MASTER, 0);
}

void encode_create_dummy(MessageBatch& batch, const std::string& name) {
  begin_link(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
  batch.put_string(IFLA_IFNAME, name);
  const std::size_t info = batch.begin_nest(IFLA_LINKINFO);
  batch.put_string(IFLA_INFO_KIND, "dummy");
  batch.end_nest(info);
}

void encode_set_flags(MessageBatch& batch, unsigned index, bool up) {
  batch.begin_message(RTM_NEWLINK);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_flags = IFF_NOARP;
  if (up) header.ifi_flags |= IFF_UP;
  header.ifi_change = header.ifi_flags;
  batch.put_header(header);
}

void encode_set_addr_gen_mode_none(MessageBatch& batch, unsigned index) {
  begin_link(batch, RTM_NEWLINK, 0, index);
  const std::size_t families = batch.begin_nest(IFLA_AF_SPEC);
  const std::size_t ipv6 = batch.begin_nest(AF_INET6);
  batch.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  batch.end_nest(ipv6);
  batch.end_nest(families);
}

void encode_delete_link(MessageBatch& batch, unsigned index) {
  begin_link(batch, RTM_DELLINK, 0, index);
}

namespace {

std::optional<std::uint8_t> decode_addr_gen_mode(const Attribute& families) {
  std::optional<std::uint8_t> mode;
  for (AttributeReader reader(families.payload); const auto family = reader.next();) {
    if (family->type != AF_INET6) continue;
    for (AttributeReader ipv6(family->payload); const auto entry = ipv6.next();) {
      if (entry->type == IFLA_INET6_ADDR_GEN_MODE) mode = entry->read<std::uint8_t>();
    }
  }
  return mode;
}

}  // namespace

std::optional<Link> decode_link(Bytes payload) {
  const auto header = header_of<ifinfomsg>(payload);
  if (!header) return std::nullopt;
  Link link{.index = static_cast<unsigned>(header->ifi_index),
            .name = {},
            .kind = {},
            .up = (header->ifi_flags & IFF_UP) != 0,
            .no_arp = (header->ifi_flags & IFF_NOARP) != 0,
            .loopback = (header->ifi_flags & IFF_LOOPBACK) != 0,
            .mtu = 0};
  for (AttributeReader reader(payload, sizeof(ifinfomsg)); const auto attribute = reader.next();) {
    if (attribute->type == IFLA_MTU) link.mtu = attribute->u32().value_or(0);
    if (attribute->type == IFLA_IFNAME) link.name = attribute->string();
    if (attribute->type == IFLA_MASTER) link.master = attribute->u32().value_or(0);
    if (attribute->type == IFLA_AF_SPEC) link.addr_gen_mode = decode_addr_gen_mode(*attribute);
    if (attribute->type != IFLA_LINKINFO) continue;
    for (AttributeReader info(attribute->payload); const auto entry = info.next();) {
      if (entry->type == IFLA_INFO_KIND) link.kind = entry->string();
    }
  }
  return link;
}

void encode_address(MessageBatch& batch, bool add, const Address& address, unsigned index) {
  const auto create = static_cast<std::uint16_t>(NLM_F_CREATE | NLM_F_EXCL);
  batch.begin_message(add ? RTM_NEWADDR : RTM_DELADDR, add ? create : std::uint16_t{0});
  ifaddrmsg header{};
  header.ifa_family = af_of(family_of(address));
  header.ifa_prefixlen = full_length(address);
  // The kernel must not choose a virtual IP as a source address. `masquerade` would
  // (inet_select_addr() searches all devices), and its connections would end when the virtual IP is
  // deleted (nf_nat_masquerade.c). In IPv4 the scope prevents that; in IPv6 the preferred lifetime
  // of 0 below does, by rule 3 of RFC 6724.
  header.ifa_scope = address.is_v4() ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  header.ifa_index = index;
  batch.put_header(header);
  batch.put_address(IFA_LOCAL, address);
  if (address.is_v4()) {
    batch.put_address(IFA_ADDRESS, address);
  } else if (add) {
    // No second route to the /128 besides the one in table local, and no duplicate address
    // detection, because there are no other hosts on this link.
    batch.put_u32(IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
    batch.put_struct(
        IFA_CACHEINFO,
        ifa_cacheinfo{.ifa_prefered = 0, .ifa_valid = kForEver, .cstamp = 0, .tstamp = 0});
  }
}

void encode_dump_addresses(MessageBatch& batch, unsigned index) {
  batch.begin_message(RTM_GETADDR, NLM_F_DUMP);
  ifaddrmsg header{};
  header.ifa_family = AF_UNSPEC;
  header.ifa_index = index;
  batch.put_header(header);
}

std::optional<AddressReading> decode_address(Bytes payload) {
  const auto header = header_of<ifaddrmsg>(payload);
  if (!header) return std::nullopt;
  std::optional<Address> local;
  std::optional<Address> address;
  std::uint32_t flags = header->ifa_flags;
  for (AttributeReader reader(payload, sizeof(ifaddrmsg)); const auto attribute = reader.next();) {
    if (attribute->type == IFA_LOCAL) local = address_of(*attribute, header->ifa_family);
    if (attribute->type == IFA_ADDRESS) address = address_of(*attribute, header->ifa_family);
    if (attribute->type == IFA_FLAGS) flags = attribute->u32().value_or(flags);
  }
  // On a point-to-point link IFA_ADDRESS is the peer's address; IPv6 has IFA_LOCAL only there.
  if (!local) local = address;
  if (!local) return std::nullopt;
  return AddressReading{.address = *local,
                        .index = header->ifa_index,
                        .prefix_length = header->ifa_prefixlen,
                        .scope = header->ifa_scope,
                        .flags = flags};
}

namespace {

struct Route {
  const Address& address;
  unsigned index;
  const std::optional<Address>& source;
  std::uint32_t mtu = 0;
  std::uint8_t protocol = kRouteProtocol;
};

void put_route(MessageBatch& batch, std::uint16_t command, int flags, const Route& route) {
  batch.begin_message(command, static_cast<std::uint16_t>(flags));
  rtmsg header{};
  header.rtm_family = af_of(family_of(route.address));
  header.rtm_dst_len = full_length(route.address);
  header.rtm_table = RT_TABLE_LOCAL;
  header.rtm_protocol = route.protocol;
  header.rtm_scope = RT_SCOPE_HOST;
  header.rtm_type = RTN_LOCAL;
  batch.put_header(header);
  batch.put_address(RTA_DST, route.address);
  batch.put_u32(RTA_OIF, route.index);
  if (route.source) batch.put_address(RTA_PREFSRC, *route.source);
  if (route.mtu == 0) return;
  const std::size_t metrics = batch.begin_nest(RTA_METRICS);
  batch.put_u32(RTAX_MTU, route.mtu);
  batch.end_nest(metrics);
}

}  // namespace

void encode_route(MessageBatch& batch, bool add, const Address& address, unsigned index,
                  const std::optional<Address>& source, std::uint32_t mtu) {
  const Route route{.address = address, .index = index, .source = source, .mtu = mtu};
  if (add) {
    put_route(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
  } else {
    put_route(batch, RTM_DELROUTE, 0, route);
  }
}

void encode_route_beside(MessageBatch& batch, const Address& address, unsigned index,
                         const std::optional<Address>& source, std::uint32_t mtu) {
  // IPv6 always allows several routes with different metrics (that of the address itself has metric
  // 0), and would treat NLM_F_APPEND as a request for another path of the same route.
  const int beside = address.is_v4() ? NLM_F_APPEND : NLM_F_EXCL;
  put_route(batch, RTM_NEWROUTE, NLM_F_CREATE | beside,
            {.address = address, .index = index, .source = source, .mtu = mtu});
}

void encode_route_mtu(MessageBatch& batch, const Address& address, unsigned index,
                      const std::optional<Address>& source, std::uint32_t mtu) {
  put_route(batch, RTM_NEWROUTE, NLM_F_REPLACE,
            {.address = address, .index = index, .source = source, .mtu = mtu});
}

void encode_address_mtu(MessageBatch& batch, const Address& address, unsigned index,
                        std::uint32_t mtu) {
  // With the kernel's protocol and source, by which it finds the route when the address goes.
  put_route(batch, RTM_NEWROUTE, NLM_F_REPLACE,
            {.address = address,
             .index = index,
             .source = address,
             .mtu = mtu,
             .protocol = RTPROT_KERNEL});
}

void encode_get_route(MessageBatch& batch, const Address& destination) {
  batch.begin_message(RTM_GETROUTE);
  rtmsg header{};
  header.rtm_family = af_of(family_of(destination));
  header.rtm_dst_len = full_length(destination);
  batch.put_header(header);
  batch.put_address(RTA_DST, destination);
}

std::optional<Address> decode_chosen_source(Bytes payload) {
  const auto header = header_of<rtmsg>(payload);
  if (!header || header->rtm_type != RTN_UNICAST) return std::nullopt;
  std::optional<Address> source;
  for (AttributeReader reader(payload, sizeof(rtmsg)); const auto attribute = reader.next();) {
    if (attribute->type == RTA_PREFSRC) source = address_of(*attribute, header->rtm_family);
  }
  return source;
}

void encode_dump_routes(MessageBatch& batch, Family family, unsigned index, std::uint8_t protocol) {
  batch.begin_message(RTM_GETROUTE, NLM_F_DUMP);
  rtmsg header{};
  header.rtm_family = af_of(family);
  header.rtm_table = RT_TABLE_LOCAL;
  header.rtm_protocol = protocol;
  header.rtm_type = RTN_LOCAL;
  batch.put_header(header);
  batch.put_u32(RTA_OIF, index);
}

void encode_dump_main_routes(MessageBatch& batch, Family family) {
  batch.begin_message(RTM_GETROUTE, NLM_F_DUMP);
  rtmsg header{};
  header.rtm_family = af_of(family);
  header.rtm_table = RT_TABLE_MAIN;
  batch.put_header(header);
}

bool is_forwarding_off(Bytes payload) {
  std::optional<std::uint32_t> index;
  std::optional<std::uint32_t> forwarding;
  for (AttributeReader reader(payload, NLMSG_ALIGN(sizeof(netconfmsg)));
       const auto attribute = reader.next();) {
    if (attribute->type == NETCONFA_IFINDEX) index = attribute->u32();
    if (attribute->type == NETCONFA_FORWARDING) forwarding = attribute->u32();
  }
  const auto header = header_of<netconfmsg>(payload);
  return header && header->ncm_family == AF_INET && forwarding == 0U &&
         index == static_cast<std::uint32_t>(NETCONFA_IFINDEX_ALL);
}

bool is_default_route(Bytes payload) {
  const auto header = header_of<rtmsg>(payload);
  return header && header->rtm_dst_len == 0 && header->rtm_table == RT_TABLE_MAIN;
}

namespace {

// RTA_VIA, struct rtvia: u16 family, then an address of that family.
std::optional<Address> decode_via(const Attribute& via) {
  const auto family = via.u16();
  if (!family) return std::nullopt;
  const Attribute address{.type = RTA_VIA, .payload = via.payload.subspan(sizeof(*family))};
  return address_of(address, static_cast<unsigned char>(*family));
}

void take_gateway(const Attribute& attribute, unsigned char af, std::vector<Address>& gateways) {
  std::optional<Address> gateway;
  if (attribute.type == RTA_GATEWAY) gateway = address_of(attribute, af);
  if (attribute.type == RTA_VIA) gateway = decode_via(attribute);
  if (gateway) gateways.push_back(*gateway);
}

// RTA_MULTIPATH: for each next hop struct rtnexthop { u16 length; u8 flags, hops; int index; },
// followed by attributes. The length covers both; the next one begins at a multiple of 4.
void take_next_hops(Bytes hops, unsigned char af, std::vector<Address>& gateways) {
  while (hops.size() >= sizeof(rtnexthop)) {
    std::uint16_t length = 0;
    std::memcpy(&length, hops.data(), sizeof(length));
    if (length < sizeof(rtnexthop) || length > hops.size()) return;
    for (AttributeReader reader(hops.subspan(sizeof(rtnexthop), length - sizeof(rtnexthop)));
         const auto attribute = reader.next();) {
      take_gateway(*attribute, af, gateways);
    }
    hops = hops.subspan(std::min<std::size_t>(RTNH_ALIGN(length), hops.size()));
  }
}

}  // namespace

std::vector<Address> decode_default_gateways(Bytes payload) {
  std::vector<Address> gateways;
  if (!is_default_route(payload)) return gateways;
  const auto header = header_of<rtmsg>(payload);
  for (AttributeReader reader(payload, sizeof(rtmsg)); const auto attribute = reader.next();) {
    take_gateway(*attribute, header->rtm_family, gateways);
    if (attribute->type == RTA_MULTIPATH) {
      take_next_hops(attribute->payload, header->rtm_family, gateways);
    }
  }
  return gateways;
}

namespace {

std::uint32_t decode_mtu(Bytes metrics) {
  for (AttributeReader reader(metrics); const auto metric = reader.next();) {
    if (metric->type == RTAX_MTU) return metric->u32().value_or(0);
  }
  return 0;
}

}  // namespace

std::optional<RouteReading> decode_route(Bytes payload, std::uint8_t protocol) {
  const auto header = header_of<rtmsg>(payload);
  if (!header || header->rtm_table != RT_TABLE_LOCAL || header->rtm_type != RTN_LOCAL ||
      header->rtm_protocol != protocol) {
    return std::nullopt;
  }
  std::optional<Address> address;
  std::optional<Address> source;
  unsigned index = 0;
  std::uint32_t mtu = 0;
  for (AttributeReader reader(payload, sizeof(rtmsg)); const auto attribute = reader.next();) {
    if (attribute->type == RTA_METRICS) mtu = decode_mtu(attribute->payload);
    if (attribute->type == RTA_DST) address = address_of(*attribute, header->rtm_family);
    if (attribute->type == RTA_OIF) index = attribute->u32().value_or(0);
    if (attribute->type == RTA_PREFSRC) source = address_of(*attribute, header->rtm_family);
  }
  if (!address || header->rtm_dst_len != full_length(*address)) return std::nullopt;
  return RouteReading{.address = *address, .index = index, .source = source, .mtu = mtu};
}

}  // namespace ipvs
