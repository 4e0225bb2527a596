// SPDX-License-Identifier: Apache-2.0
//
// kube-ipvs0, the dummy device that makes virtual IPs local.
//
//   VipBinding::kAddress
//     Each VIP is an address of the device, /32 or /128. The device stays down, as with kube-proxy:
//     an address is local, and the host answers ARP requests for it, even if its device is down.
//   VipBinding::kRoute
//     Each VIP is a route, `local VIP dev kube-ipvs0 table local proto 112 [src NODE_IP]`. The
//     device is up, because IPv6 routes need that, and has no address. Where the settings have no
//     source address, it is the one that the kernel chooses for connections by the default route,
//     asked for at each prepare() and check(). Without a default route there is none in the route:
//     then connections of the host have the VIP itself (IPv4), or an address by RFC 6724 (IPv6).
//
// Every IPv4 route to a VIP has an MTU: the smallest of the node's interfaces. A local route has
// that of the loopback device otherwise, 65536, and datagrams of this host to a VIP would not be
// fragmented, and be lost where they leave (ipvs/host/adr-vip-mtu.md).
//
// Ours are all addresses of the device except link-local IPv6 ones, and all routes to it with our
// protocol number (ipvs/host/route_codec.hpp). Everything else is ignored.
//
// Threading: not thread-safe; calls block.
//
// Errors: change() has one errno per op: EEXIST when adding a VIP that is bound already,
// EADDRNOTAVAIL (address) or ESRCH (route) when deleting one that is not.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ipvs/host/route_codec.hpp"
#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

inline constexpr const char* kDeviceName = "kube-ipvs0";

class Device {
 public:
  static Result<Device> open();

  // Creates the device if it is missing. VIPs that are not bound as in `settings` (the agent ran
  // before with another --vip-binding, or the node had another address) are moved to that binding.
  // This neither adds nor removes a VIP; one that cannot be moved stays bound as it was. The result
  // is how many were moved.
  Result<std::size_t> prepare(const HostSettings& settings);

  // Gives VIP routes the MTU that is right now, if it is not what it was. After prepare(); costs one
  // dump of the node's links if there is nothing to do.
  Result<void> follow_mtu();

  // Does the same with the device that the last prepare() left: puts right what somebody else did
  // to it since then, and reports each repair. A device that was renamed gets its name back, with
  // everything it has. One of that name that is not a dummy device is EEXIST: it is not ours.
  // Thousands of VIP routes are not read each time, unless their source address is another one now.
  Result<std::vector<Repair>> check(const HostSettings& settings);

  // A route whose source address the node does not have (any more) is added without one. An address
  // that is there already is added again, and with it the route to it. If somebody else deleted the
  // device since the last check, it is made again.
  std::vector<int> change(std::span<const AddressOp> ops);
  // The VIPs bound in the way that the last prepare() set. An address counts if the route is there
  // that the kernel made for it. Our routes count whatever their source address (IPv6 removes it
  // from them when the node loses that address; the next check() repairs them). Before prepare():
  // those bound in either way. Empty if the device does not exist.
  Result<std::vector<Address>> read();
  // For cleanup: the VIPs bound in either way, how many of them by a route, and whether there is the
  // device.
  Result<std::vector<Address>> read_all();
  Result<std::size_t> count_routes();
  Result<bool> exists();
  // For cleanup, too: unbinds these, however they are bound. The first error; those that are not
  // bound are none.
  Result<void> unbind(std::span<const Address> addresses);
  // Deletes the device, and with it its addresses and routes. Success, too, if it does not exist.
  Result<void> remove();

 private:
  // A VIP and how it is bound. Only routes have a `source`, and of them alone `mtu` is read.
  struct Bound {
    Address address;
    VipBinding binding = VipBinding::kAddress;
    std::optional<Address> source;
    std::uint32_t mtu = 0;
  };

  explicit Device(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<std::optional<Link>> find();
  Result<std::optional<Link>> ask_for_link();
  Result<Link> create();
  Result<Link> restore_link(std::vector<Repair>& repairs);
  Result<std::optional<Link>> restore_name(std::vector<Repair>& repairs);
  Result<std::vector<std::string>> configure(const Link& link, bool up);
  bool send(std::span<const AddressOp> ops, std::vector<int>& outcomes);
  void add_again(std::span<const AddressOp> ops, std::vector<int>& outcomes);
  void add_without_source(std::span<const AddressOp> ops, std::vector<int>& outcomes);
  Result<std::vector<Bound>> read_bound(unsigned index);
  Result<void> read_addresses(unsigned index, std::vector<Bound>& bound);
  Result<void> read_routes(unsigned index, Family family, std::vector<Bound>& bound,
                           std::uint8_t protocol = kRouteProtocol);
  Result<std::vector<Bound>> read_local(unsigned index);
  bool as_wanted(const Bound& bound) const;
  bool is_turn_of_routes();
  void encode(const AddressOp& op);
  const std::optional<Address>& source_for(const Address& address) const;
  void encode_beside(const Address& address);
  bool replaces_in_place(const Bound& bound) const;
  template <typename Items, typename Encode>
  void send_for_each(const Items& items, Encode encode);
  void leave_old_places(const std::vector<Bound>& moved, std::vector<Address> routed);
  void end_holding();
  void encode_bound(bool add, const Bound& bound);
  std::size_t rebind(std::vector<Bound> bound);

  std::optional<Address> ask_for_source(const Address& destination);
  HostSettings with_sources(HostSettings settings);

  std::uint32_t mtu_for(const Address& address) const;
  Result<std::uint32_t> read_smallest_mtu();
  Result<void> apply_mtu();
  void follow_changes(std::span<const AddressOp> ops, std::span<const int> outcomes);

  NetlinkSocket socket_;
  HostSettings settings_;   // with the source addresses that the kernel chose
  unsigned index_ = 0;      // of the device; 0: not prepared
  std::uint32_t mtu_ = 0;   // of VIP routes; 0: no interface has one
  std::size_t routes_ = 0;  // when check() read them last
  std::size_t checks_without_routes_ = 0;
  MessageBatch batch_;  // kept for its memory
};

// Sends what `encode` puts into the batch for each item. Outcomes are not asked for: what did not
// succeed is found by the next check().
template <typename Items, typename Encode>
void Device::send_for_each(const Items& items, Encode encode) {
  batch_.clear();
  for (const auto& each : items) {
    encode(each);
    if (batch_.byte_size() < kBatchBytes) continue;
    socket_.transact(batch_);
    batch_.clear();
  }
  if (!batch_.empty()) socket_.transact(batch_);
}

}  // namespace ipvs
