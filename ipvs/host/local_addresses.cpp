// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/local_addresses.hpp"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
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
          if (const auto gateway = decode_default_gateway(message.payload)) {
            found.push_back(*gateway);
          }
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

Result<AddressMonitor> AddressMonitor::open() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE, {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR});
  if (!socket) return socket.error();
  return AddressMonitor(std::move(*socket));
}

KernelEvents AddressMonitor::drain() {
  // Read each time, because the device may have been created again. Events of the old one then
  // count as a change, which is harmless.
  const unsigned device = ::if_nametoindex(kDeviceName);
  bool changed = false;
  const bool complete = socket_.read_events([&](const NetlinkMessage& message) {
    if (message.type != RTM_NEWADDR && message.type != RTM_DELADDR) return;
    const auto reading = decode_address(message.payload);
    if (!reading) return;
    if (reading->index != device && serves_node_ports(reading->address)) changed = true;
  });
  return {.node_addresses = changed || !complete};
}

}  // namespace ipvs
