// SPDX-License-Identifier: Apache-2.0
//
// kube-ipvs0, the dummy device that makes virtual IPs local.
//
// VipBinding::kAddress: a /32 or /128 each on the device, which stays down, as kube-proxy leaves it
// (an address is
//   local, and is answered for by ARP, whether its device is up or not).
// VipBinding::kRoute: a route `local VIP dev kube-ipvs0 table local proto 112 [src NODE_IP]` each.
// The device goes up,
//   which IPv6 routes need, and has no address of its own.
//
// Ours is every address on the device but link-local IPv6 ones, and every route to it with our
// protocol number (ipvs/host/route_codec.hpp); nothing else is looked at.
//
// Threading: not thread-safe; calls block.
//
// Errors: change() gives one errno per op: EEXIST for one that is there, EADDRNOTAVAIL (address) or
// ESRCH (route) for deleting what is not.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ipvs/host/route_codec.hpp"
#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

inline constexpr const char* kDeviceName = "kube-ipvs0";

class Device {
 public:
  static Result<Device> open();

  // Creates the device if it is missing. VIPs that are bound in another way than `settings` says
  // (the agent ran with another --vip-binding, or another node address) are bound anew: none
  // appears or goes by this, and one that cannot be moved stays as it was. The result is how many
  // were moved.
  Result<std::size_t> prepare(const HostSettings& settings);

  std::vector<int> change(std::span<const AddressOp> ops);
  // What is bound in the way that prepare() was told, routes whatever their source address (IPv6
  // takes it off them when the node loses it; prepare() puts things right); empty without the
  // device.
  Result<std::vector<Address>> read();
  // What is bound in any way, for cleaning up.
  Result<std::vector<Address>> read_all();
  // With the device go its addresses and routes. No device: nothing to do.
  Result<void> remove();

 private:
  // A VIP and how it is bound: `source` counts for routes only.
  struct Bound {
    Address address;
    VipBinding binding = VipBinding::kAddress;
    std::optional<Address> source;
  };

  explicit Device(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<std::optional<Link>> find();
  Result<Link> create();
  Result<void> configure(const Link& link, bool up);
  Result<std::vector<Bound>> read_bound(unsigned index);
  Result<void> read_addresses(unsigned index, std::vector<Bound>& bound);
  Result<void> read_routes(unsigned index, Family family, std::vector<Bound>& bound);
  bool as_wanted(const Bound& bound) const;
  void encode(const AddressOp& op);
  const std::optional<Address>& source_for(const Address& address) const;
  void encode_beside(const Address& address);
  bool replaces_in_place(const Bound& bound) const;
  void leave_old_places(const std::vector<Bound>& moved);
  void encode_bound(bool add, const Bound& bound);
  std::size_t rebind(std::vector<Bound> bound);

  NetlinkSocket socket_;
  HostSettings settings_;
  unsigned index_ = 0;  // 0: not prepared
  MessageBatch batch_;  // kept for its memory
};

}  // namespace ipvs
