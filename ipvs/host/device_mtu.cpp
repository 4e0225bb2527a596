// SPDX-License-Identifier: Apache-2.0
//
// The part of Device that keeps the MTU of VIP routes.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cerrno>

#include "ipvs/host/device.hpp"

namespace ipvs {

std::uint32_t Device::mtu_for(const Address& address) const {
  // IPVS refuses an IPv6 packet of the host that is larger than the MTU, fragmented or not
  // (ip_vs_xmit.c, __mtu_check_toobig_v6()).
  return address.is_v4() ? mtu_ : 0;
}

// Of the interfaces that are up. Which of them leads to an endpoint changes with every endpoint;
// a datagram of the smallest size passes all.
Result<std::uint32_t> Device::read_smallest_mtu() {
  std::uint32_t smallest = 0;
  batch_.clear();
  encode_dump_links(batch_);
  const auto result = socket_.dump(
      batch_, [&] { smallest = 0; },
      [&](const NetlinkMessage& message) {
        if (message.type != RTM_NEWLINK) return;
        const auto link = decode_link(message.payload);
        if (!link || !link->up || link->loopback || link->mtu == 0) return;
        if (link->index == index_) return;
        if (smallest == 0 || link->mtu < smallest) smallest = link->mtu;
      });
  if (!result) return KernelError{result.error().error_number, "reading the MTU of the interfaces"};
  return {boost::system::in_place_value, smallest};
}

// For all VIPs. Nothing happens to a route that has the MTU already.
Result<void> Device::apply_mtu() {
  if (mtu_ == 0) return {};
  const auto bound = read_bound(index_);
  if (!bound) return bound.error();
  send_for_each(*bound, [this](const Bound& each) {
    if (each.address.is_v6()) return;
    if (each.binding == VipBinding::kAddress) {
      encode_address_mtu(batch_, each.address, index_, mtu_);
    } else if (each.mtu != mtu_) {
      encode_route_mtu(batch_, each.address, index_, each.source, mtu_);
    }
  });
  return {};
}

Result<void> Device::follow_mtu() {
  if (index_ == 0) return {};
  const auto mtu = read_smallest_mtu();
  if (!mtu) return mtu.error();
  if (*mtu == mtu_ || *mtu == 0) return {};
  mtu_ = *mtu;
  return apply_mtu();
}

// After addresses were added. The VIP works without: errors are left to the next apply_mtu().
void Device::follow_changes(std::span<const AddressOp> ops, std::span<const int> outcomes) {
  if (settings_.vip_binding != VipBinding::kAddress || mtu_ == 0) return;
  std::vector<Address> added;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!ops[i].add || ops[i].address.is_v6()) continue;
    if (outcomes[i] == 0 || outcomes[i] == EEXIST) added.push_back(ops[i].address);
  }
  send_for_each(added,
                [this](const Address& each) { encode_address_mtu(batch_, each, index_, mtu_); });
}

}  // namespace ipvs
