// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/local_addresses.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "ipvs/host/device.hpp"
#include "ipvs/host/route_codec.hpp"

namespace ipvs {
namespace {

// IPv6 link-local addresses mean nothing without their interface; those of IPv4 are like others.
bool serves_node_ports(const Address& address) {
  const bool needs_interface = address.is_v6() && address.is_link_local();
  return !address.is_loopback() && !address.is_multicast() && !address.is_unspecified() &&
         !needs_interface;
}

// The name of an interface; empty if it was deleted.
std::string name_of_interface(unsigned index) {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(index, name.data()) != nullptr ? std::string(name.data()) : std::string();
}

}  // namespace

Result<std::vector<LocalAddress>> read_local_addresses() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return socket.error();
  const unsigned device = ::if_nametoindex(kDeviceName);  // 0: there is none
  std::vector<LocalAddress> addresses;
  MessageBatch request;
  encode_dump_addresses(request, 0);
  const auto result = socket->dump(
      request, [&] { addresses.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.type != RTM_NEWADDR) return;
        const auto reading = decode_address(message.payload);
        if (!reading || reading->index == device || !serves_node_ports(reading->address)) return;
        if ((reading->flags & IFA_F_DADFAILED) != 0) return;
        addresses.push_back({.address = reading->address,
                             .interface_name = {},
                             .interface_index = reading->index,
                             .prefix_length = reading->prefix_length,
                             .scope = reading->scope});
      });
  if (!result) {
    return KernelError{result.error().error_number, "reading the node's addresses (RTM_GETADDR)"};
  }
  std::map<unsigned, std::string> names;
  for (LocalAddress& address : addresses) {
    auto [name, is_new] = names.try_emplace(address.interface_index);
    if (is_new) name->second = name_of_interface(address.interface_index);
    address.interface_name = name->second;
  }
  std::erase_if(addresses, [](const LocalAddress& each) { return each.interface_name.empty(); });
  std::sort(addresses.begin(), addresses.end(), [](const LocalAddress& a, const LocalAddress& b) {
    return std::tie(a.address, a.interface_index) < std::tie(b.address, b.interface_index);
  });
  return addresses;
}

Result<std::vector<Address>> read_gateways() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return socket.error();
  std::vector<Address> gateways;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    std::vector<Address> found;
    MessageBatch request;
    encode_dump_main_routes(request, family);
    const auto result = socket->dump(
        request, [&] { found.clear(); },
        [&](const NetlinkMessage& message) {
          if (message.type != RTM_NEWROUTE) return;
          const auto several = decode_default_gateways(message.payload);
          found.insert(found.end(), several.begin(), several.end());
        });
    const int error = result ? 0 : result.error().error_number;
    // There is no gateway if the kernel does not have the address family or its table.
    if (error != 0 && error != EAFNOSUPPORT && error != EOPNOTSUPP && error != ENOENT) {
      return KernelError{error, "reading the node's default routes (RTM_GETROUTE)"};
    }
    gateways.insert(gateways.end(), found.begin(), found.end());
  }
  std::sort(gateways.begin(), gateways.end());
  gateways.erase(std::unique(gateways.begin(), gateways.end()), gateways.end());
  return gateways;
}

namespace {

// Offsets in a message: nlmsghdr { length, type, ... } is 16 bytes, then rtmsg { family, dst_len,
// src_len, tos, table, protocol, ... }. BPF loads in network order.
constexpr std::uint32_t kTypeOffset = 4, kDstLength = 17, kTable = 20, kProtocol = 21;

// Drops messages about routes that are neither default routes, nor VIP routes, nor routes deleted
// that the kernel had made for a local address.
int drop_other_routes(int fd) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kTypeOffset),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 9),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kDstLength),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 7, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kTable),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_LOCAL, 0, 6),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kProtocol),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kRouteProtocol, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTPROT_KERNEL, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kTypeOffset),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  const int result = ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
  return result == 0 ? 0 : errno;
}

}  // namespace

Result<AddressMonitor> AddressMonitor::open() {
  auto socket = NetlinkSocket::open(
      NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_NETCONF});
  if (!socket) return socket.error();
  if (const int error = drop_other_routes(socket->fd())) {
    return KernelError{error, "filtering the notifications of routes (SO_ATTACH_FILTER)"};
  }
  return AddressMonitor(std::move(*socket));
}

bool AddressMonitor::is_device(unsigned index) const {
  return index != 0 && (index == device_ || index == device_before_);
}

// A device that gets our name, or had it, is a change, too.
void AddressMonitor::take_link(Bytes payload, KernelEvents& events) const {
  const auto link = decode_link(payload);
  if (link && (is_device(link->index) || link->name == kDeviceName)) events.device = true;
}

void AddressMonitor::take_address(bool added, Bytes payload, KernelEvents& events) const {
  const auto reading = decode_address(payload);
  if (!reading) return;
  if (is_device(reading->index)) {
    const bool ignored = reading->address.is_v6() && reading->address.is_link_local();
    if (!ignored) events.vips.push_back({.address = reading->address, .bound = added});
  } else if (serves_node_ports(reading->address)) {
    events.node_addresses = true;
  }
}

void AddressMonitor::take_route(bool added, Bytes payload, KernelEvents& events) const {
  if (is_default_route(payload)) {
    events.node_addresses = true;
    return;
  }
  const auto route = decode_route(payload);
  if (route && is_device(route->index)) {
    events.vips.push_back({.address = route->address, .bound = added});
  }
  if (added) return;
  // One that came with an address, which may be there still; but it is not local without.
  const auto of_address = decode_route(payload, RTPROT_KERNEL);
  if (!of_address || !is_device(of_address->index)) return;
  const VipEvent lost{.address = of_address->address, .bound = false};
  // When the address itself is deleted, that was the event before.
  if (events.vips.empty() || events.vips.back() != lost) events.vips.push_back(lost);
}

KernelEvents AddressMonitor::drain() {
  // Read each time, because the device may have been created again.
  const unsigned device = ::if_nametoindex(kDeviceName);
  if (device != device_) device_before_ = std::exchange(device_, device);
  KernelEvents events;
  const bool complete = socket_.read_events([&](const NetlinkMessage& message) {
    switch (message.type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        return take_link(message.payload, events);
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return take_address(message.type == RTM_NEWADDR, message.payload, events);
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return take_route(message.type == RTM_NEWROUTE, message.payload, events);
      case RTM_NEWNETCONF:
        events.settings = events.settings || is_forwarding_off(message.payload);
        return;
      default:
        return;
    }
  });
  if (!complete) return {.node_addresses = true, .device = true, .settings = true};
  return events;
}

}  // namespace ipvs
