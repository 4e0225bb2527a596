// SPDX-License-Identifier: Apache-2.0
//
// The part of Device that finds the source address of VIP routes.
#include <linux/rtnetlink.h>

#include "ipvs/host/device.hpp"

namespace ipvs {
namespace {

// The kernel is asked for the way to these; nothing is sent. They are root name servers
// (a.root-servers.net): addresses for which nobody has a route of their own, so that it is the
// default route, whichever of them the kernel prefers.
const Address kFarV4 = boost::asio::ip::make_address("198.41.0.4");
const Address kFarV6 = boost::asio::ip::make_address("2001:503:ba3e::2:30");

}  // namespace

// Nullopt if there is no such way: the family has no default route, or is off.
std::optional<Address> Device::ask_for_source(const Address& destination) {
  std::optional<Address> source;
  batch_.clear();
  encode_get_route(batch_, destination);
  socket_.transact(batch_, [&](std::size_t, const NetlinkMessage& message) {
    if (message.type == RTM_NEWROUTE) source = decode_chosen_source(message.payload);
  });
  return source;
}

HostSettings Device::with_sources(HostSettings settings) {
  if (settings.vip_binding != VipBinding::kRoute) return settings;
  if (!settings.route_source_v4) settings.route_source_v4 = ask_for_source(kFarV4);
  if (!settings.route_source_v6) settings.route_source_v6 = ask_for_source(kFarV6);
  return settings;
}

}  // namespace ipvs
