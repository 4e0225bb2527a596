// SPDX-License-Identifier: Apache-2.0
//
// How VIPs move from addresses to routes, from routes to addresses, and from one source address to
// another.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipvs/host/device.hpp"

namespace ipvs {
namespace {

// Of the loopback device in every network namespace (include/net/flow.h, LOOPBACK_IFINDEX).
constexpr unsigned kLoopbackIndex = 1;

}  // namespace

// Moves each VIP that is not bound as configured. The new binding is added before the old one is
// deleted: while a virtual IP is not local, its packets are sent to the network, and the kernel
// ends masqueraded connections that leave through another interface (nf_nat_core.c,
// nf_nat_oif_changed()).
std::size_t Device::rebind(std::vector<Bound> bound) {
  std::vector<Address> routed;  // the IPv4 VIPs that have a route as wanted
  for (const Bound& each : bound) {
    if (each.binding == VipBinding::kRoute && each.address.is_v4() && as_wanted(each)) {
      routed.push_back(each.address);
    }
  }
  std::erase_if(bound, [&](const Bound& each) { return as_wanted(each); });
  std::vector<Bound> moved;
  for (std::size_t done = 0; done < bound.size();) {
    batch_.clear();
    const std::size_t first = done;
    std::vector<std::size_t> added;  // the index of the message that adds each
    for (; done < bound.size() && batch_.byte_size() < kBatchBytes; ++done) {
      // Of two IPv6 routes to one address with the same metric, one alone cannot be deleted.
      if (replaces_in_place(bound[done])) encode_bound(false, bound[done]);
      added.push_back(batch_.size());
      encode_beside(bound[done].address);
    }
    const auto outcomes = socket_.transact(batch_);
    for (std::size_t i = first; i < done; ++i) {
      const int error = outcomes[added[i - first]];
      // On an error, for instance because the node does not have the source address (any more), the
      // VIP stays bound as before.
      if (error == 0 || error == EEXIST) {
        moved.push_back(bound[i]);
      } else if (replaces_in_place(bound[i])) {
        batch_.clear();
        encode_bound(true, bound[i]);
        socket_.transact(batch_);
      }
    }
  }
  leave_old_places(moved, std::move(routed));
  return moved.size();
}

bool Device::replaces_in_place(const Bound& bound) const {
  return bound.binding == VipBinding::kRoute && bound.address.is_v6() &&
         settings_.vip_binding == VipBinding::kRoute;
}

// When the last IPv4 address of a device is deleted, the kernel deletes all IPv4 routes to the
// device (fib_frontend.c, fib_inetaddr_event()). Meanwhile routes to the loopback device hold the
// VIPs: to IPVS it is the same which device a local route names.
void Device::leave_old_places(const std::vector<Bound>& moved, std::vector<Address> routed) {
  const bool from_address = settings_.vip_binding == VipBinding::kRoute &&
                            std::any_of(moved.begin(), moved.end(), [](const Bound& each) {
                              return each.binding == VipBinding::kAddress && each.address.is_v4();
                            });
  if (from_address) {
    for (const Bound& each : moved) {
      if (each.address.is_v4()) routed.push_back(each.address);
    }
    send_for_each(routed, [this](const Address& each) {
      encode_route_beside(batch_, each, kLoopbackIndex, source_for(each), mtu_for(each));
    });
  }
  send_for_each(moved, [this](const Bound& each) {
    if (!replaces_in_place(each)) encode_bound(false, each);
  });
  if (!from_address) return;
  send_for_each(routed, [this](const Address& each) { encode_beside(each); });
  end_holding();
}

void Device::end_holding() {
  std::vector<Bound> held;
  if (!read_routes(kLoopbackIndex, Family::kIpv4, held)) return;
  send_for_each(held, [this](const Bound& each) {
    encode_route(batch_, false, each.address, kLoopbackIndex, each.source);
  });
}

void Device::encode_beside(const Address& address) {
  if (settings_.vip_binding == VipBinding::kAddress) {
    encode_address(batch_, true, address, index_);
  } else {
    encode_route_beside(batch_, address, index_, source_for(address), mtu_for(address));
  }
}

}  // namespace ipvs
