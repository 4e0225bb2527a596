// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/device.hpp"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace ipvs {
namespace {

const std::string kName = kDeviceName;

KernelError error_of(int error, std::string what, const std::string& extended) {
  if (error == EPERM) what += " (run as root or grant CAP_NET_ADMIN)";
  if (error == EOPNOTSUPP)
    what += " (the kernel has no dummy device: load it with `modprobe dummy`)";
  if (!extended.empty()) what += " (" + extended + ")";
  return {error, std::move(what)};
}

KernelError not_ours(const Link& link) {
  return {EEXIST, "there is a device " + kName + " that is not a dummy device (" + link.kind +
                      "); remove or rename it"};
}

}  // namespace

Result<Device> Device::open() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return socket.error();
  return Device(std::move(*socket));
}

Result<std::optional<Link>> Device::find() {
  batch_.clear();
  encode_get_link(batch_, kName);
  return ask_for_link();
}

// Sends the request in the batch.
Result<std::optional<Link>> Device::ask_for_link() {
  std::optional<Link> link;
  const auto outcomes = socket_.transact(batch_, [&](std::size_t, const NetlinkMessage& message) {
    if (message.type == RTM_NEWLINK) link = decode_link(message.payload);
  });
  if (outcomes[0] != 0 && outcomes[0] != ENODEV) {
    return error_of(outcomes[0], "looking for " + kName, socket_.extended());
  }
  return link;
}

Result<Link> Device::create() {
  batch_.clear();
  encode_create_dummy(batch_, kName);
  const int error = socket_.transact(batch_)[0];
  if (error != 0 && error != EEXIST) {
    return error_of(error, "creating the dummy device " + kName, socket_.extended());
  }
  const auto link = find();
  if (!link) return link.error();
  if (!*link) return KernelError{ENODEV, "creating the dummy device " + kName};
  return **link;
}

// What was not as it must be, as parts of a sentence.
Result<std::vector<std::string>> Device::configure(const Link& link, bool up) {
  std::vector<std::string> changes;
  if (link.master != 0) {
    batch_.clear();
    encode_leave_master(batch_, link.index);
    if (const int error = socket_.transact(batch_)[0]) {
      return error_of(error, "taking " + kName + " out of its master", socket_.extended());
    }
    changes.push_back("belonged to another device");
  }
  const bool other_mode = link.addr_gen_mode.value_or(IN6_ADDR_GEN_MODE_NONE) !=
                          static_cast<std::uint8_t>(IN6_ADDR_GEN_MODE_NONE);
  if (up && (!link.up || other_mode)) {
    // Refused if IPv6 is off; then the device gets no link-local address anyway.
    batch_.clear();
    encode_set_addr_gen_mode_none(batch_, link.index);
    socket_.transact(batch_);
    changes.push_back(link.up ? "had another addr_gen_mode" : "was down");
  }
  if (!link.no_arp) changes.push_back("answered ARP requests");
  if (link.no_arp && (link.up || !up)) return changes;
  batch_.clear();
  encode_set_flags(batch_, link.index, up);
  if (const int error = socket_.transact(batch_)[0]) {
    return error_of(error, "setting up " + kName, socket_.extended());
  }
  return changes;
}

Result<std::size_t> Device::prepare(const HostSettings& settings) {
  const auto found = find();
  if (!found) return found.error();
  const auto link = *found ? Result<Link>(**found) : create();
  if (!link) return link.error();
  if (link->kind != "dummy") return not_ours(*link);
  const auto configured = configure(*link, settings.vip_binding == VipBinding::kRoute);
  if (!configured) return configured.error();
  settings_ = with_sources(settings);
  index_ = link->index;
  const auto mtu = read_smallest_mtu();
  if (!mtu) return mtu.error();
  mtu_ = *mtu;
  auto bound = read_bound(index_);
  if (!bound) return bound.error();
  const std::size_t moved = rebind(std::move(*bound));
  end_holding();  // one that was killed meanwhile did not
  const auto applied = apply_mtu();
  if (!applied) return applied.error();
  return {boost::system::in_place_value, moved};
}

// The device with its name. A new one is only made if there is none.
Result<Link> Device::restore_link(std::vector<Repair>& repairs) {
  auto found = find();
  if (!found) return found.error();
  if (!*found) {
    found = restore_name(repairs);
    if (!found) return found.error();
  }
  if (*found) {
    if ((*found)->kind != "dummy") return not_ours(**found);
    if ((*found)->index != index_ && index_ != 0) {
      repairs.push_back({"link", kName + " was replaced by another dummy device: taken over"});
    }
    return **found;
  }
  auto made = create();
  if (made) repairs.push_back({"link", kName + " was deleted: made again"});
  return made;
}

// The device, if it only had another name.
Result<std::optional<Link>> Device::restore_name(std::vector<Repair>& repairs) {
  if (index_ == 0) return std::optional<Link>();
  batch_.clear();
  encode_get_link(batch_, index_);
  const auto link = ask_for_link();
  if (!link) return link.error();
  if (!*link || (*link)->kind != "dummy") return std::optional<Link>();
  batch_.clear();
  if ((*link)->up) encode_set_down(batch_, index_);
  encode_rename_link(batch_, index_, kName);
  if (const int error = socket_.transact(batch_).back()) {
    return error_of(error, "renaming " + (*link)->name + " to " + kName, socket_.extended());
  }
  repairs.push_back({"link", kName + " was renamed to " + (*link)->name + ": named as before"});
  return find();
}

Result<std::vector<Repair>> Device::check(const HostSettings& settings) {
  std::vector<Repair> repairs;
  const auto link = restore_link(repairs);
  if (!link) return link.error();
  const bool was_there = repairs.empty();
  const auto changes = configure(*link, settings.vip_binding == VipBinding::kRoute);
  if (!changes) return changes.error();
  for (const std::string& change : *changes) {
    if (was_there) repairs.push_back({"link", kName + " " + change + ": set up as before"});
  }
  HostSettings next = with_sources(settings);
  const bool same_sources = next.route_source_v4 == settings_.route_source_v4 &&
                            next.route_source_v6 == settings_.route_source_v6;
  settings_ = std::move(next);
  index_ = link->index;
  if (settings.vip_binding == VipBinding::kAddress) return repairs;
  if (same_sources && repairs.empty() && !is_turn_of_routes()) return repairs;
  auto bound = read_bound(index_);
  if (!bound) return bound.error();
  routes_ = bound->size();
  checks_without_routes_ = 0;
  if (const std::size_t moved = rebind(std::move(*bound))) {
    repairs.push_back({"route", std::to_string(moved) +
                                    " VIP routes had another source address than new "
                                    "connections of this node: added again"});
  }
  return repairs;
}

// So many routes are read in a check, on average.
bool Device::is_turn_of_routes() {
  constexpr std::size_t kRoutesInTurn = 256;
  ++checks_without_routes_;
  return checks_without_routes_ * kRoutesInTurn >= routes_;
}

const std::optional<Address>& Device::source_for(const Address& address) const {
  return address.is_v4() ? settings_.route_source_v4 : settings_.route_source_v6;
}

bool Device::as_wanted(const Bound& bound) const {
  if (bound.binding != settings_.vip_binding) return false;
  return bound.binding == VipBinding::kAddress || bound.source == source_for(bound.address);
}

void Device::encode_bound(bool add, const Bound& bound) {
  if (bound.binding == VipBinding::kAddress) {
    encode_address(batch_, add, bound.address, index_);
  } else {
    encode_route(batch_, add, bound.address, index_, bound.source,
                 add ? mtu_for(bound.address) : 0);
  }
}

void Device::encode(const AddressOp& op) {
  if (settings_.vip_binding == VipBinding::kAddress) {
    encode_address(batch_, op.add, op.address, index_);
  } else {
    // A route is deleted whatever its source address.
    const std::optional<Address> none;
    encode_route(batch_, op.add, op.address, index_, op.add ? source_for(op.address) : none,
                 op.add ? mtu_for(op.address) : 0);
  }
}

std::vector<int> Device::change(std::span<const AddressOp> ops) {
  if (index_ == 0) return std::vector<int>(ops.size(), ENODEV);
  std::vector<int> outcomes;
  if (!send(ops, outcomes) && check(HostSettings(settings_))) {
    outcomes.clear();
    send(ops, outcomes);
  }
  add_without_source(ops, outcomes);
  add_again(ops, outcomes);
  follow_changes(ops, outcomes);
  return outcomes;
}

// False: the device does not exist.
bool Device::send(std::span<const AddressOp> ops, std::vector<int>& outcomes) {
  outcomes.reserve(ops.size());
  while (outcomes.size() < ops.size()) {
    batch_.clear();
    for (std::size_t i = outcomes.size(); i < ops.size() && batch_.byte_size() < kBatchBytes; ++i) {
      encode(ops[i]);
    }
    const auto sent = socket_.transact(batch_);
    outcomes.insert(outcomes.end(), sent.begin(), sent.end());
  }
  return std::none_of(outcomes.begin(), outcomes.end(), [](int error) { return error == ENODEV; });
}

// EEXIST: the address is there, but read() may have found no route to it, which somebody else has
// deleted. The kernel makes one only together with the address.
void Device::add_again(std::span<const AddressOp> ops, std::vector<int>& outcomes) {
  if (settings_.vip_binding != VipBinding::kAddress) return;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (outcomes[i] != EEXIST || !ops[i].add) continue;
    batch_.clear();
    encode_address(batch_, false, ops[i].address, index_);
    encode_address(batch_, true, ops[i].address, index_);
    const int error = socket_.transact(batch_)[1];
    if (error != 0) outcomes[i] = error;
  }
}

// EINVAL: the source address is none of the node's. check() gives the route another one as soon as
// there is one.
void Device::add_without_source(std::span<const AddressOp> ops, std::vector<int>& outcomes) {
  if (settings_.vip_binding != VipBinding::kRoute) return;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (outcomes[i] != EINVAL || !ops[i].add || !source_for(ops[i].address)) continue;
    batch_.clear();
    encode_route(batch_, true, ops[i].address, index_, std::nullopt, mtu_for(ops[i].address));
    outcomes[i] = socket_.transact(batch_)[0];
  }
}

Result<void> Device::read_addresses(unsigned index, std::vector<Bound>& bound) {
  std::vector<Bound> found;
  batch_.clear();
  encode_dump_addresses(batch_, index);
  const auto result = socket_.dump(
      batch_, [&] { found.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.type != RTM_NEWADDR) return;
        const auto reading = decode_address(message.payload);
        if (!reading || reading->index != index) return;
        if (reading->address.is_v6() && reading->address.is_link_local()) return;
        found.push_back(
            {.address = reading->address, .binding = VipBinding::kAddress, .source = {}, .mtu = 0});
      });
  if (!result && result.error().error_number != ENODEV) {
    return error_of(result.error().error_number, "reading the addresses of " + kName,
                    socket_.extended());
  }
  bound.insert(bound.end(), found.begin(), found.end());
  return {};
}

Result<void> Device::read_routes(unsigned index, Family family, std::vector<Bound>& bound,
                                 std::uint8_t protocol) {
  std::vector<Bound> found;
  batch_.clear();
  encode_dump_routes(batch_, family, index, protocol);
  const auto result = socket_.dump(
      batch_, [&] { found.clear(); },
      [&](const NetlinkMessage& message) {
        if (message.type != RTM_NEWROUTE) return;
        const auto route = decode_route(message.payload, protocol);
        if (!route || route->index != index || family_of(route->address) != family) return;
        found.push_back({.address = route->address,
                         .binding = VipBinding::kRoute,
                         .source = route->source,
                         .mtu = route->mtu});
      });
  if (!result) {
    const int error = result.error().error_number;
    // There are no routes if the device, the table or the address family does not exist.
    if (error == ENODEV || error == ENOENT || error == EAFNOSUPPORT || error == EOPNOTSUPP)
      return {};
    return error_of(error, "reading the routes to " + kName, socket_.extended());
  }
  bound.insert(bound.end(), found.begin(), found.end());
  return {};
}

Result<std::vector<Device::Bound>> Device::read_bound(unsigned index) {
  std::vector<Bound> bound;
  for (const auto& result : {read_addresses(index, bound), read_routes(index, Family::kIpv4, bound),
                             read_routes(index, Family::kIpv6, bound)}) {
    if (!result) return result.error();
  }
  return bound;
}

Result<std::vector<Address>> Device::read() {
  std::vector<Address> addresses;
  const auto link = find();
  if (!link) return link.error();
  if (!*link) {
    // Someone else deleted or renamed the device: check() repairs that.
    return addresses;
  }
  const bool by_address = index_ != 0 && settings_.vip_binding == VipBinding::kAddress;
  const auto bound = by_address ? read_local((*link)->index) : read_bound((*link)->index);
  if (!bound) return bound.error();
  for (const Bound& each : *bound) {
    if (index_ == 0 || each.binding == settings_.vip_binding) addresses.push_back(each.address);
  }
  return addresses;
}

// The addresses to which there is a route, too: without it they are not local.
Result<std::vector<Device::Bound>> Device::read_local(unsigned index) {
  std::vector<Bound> bound;
  std::vector<Bound> routes;
  for (const auto& result :
       {read_addresses(index, bound), read_routes(index, Family::kIpv4, routes, RTPROT_KERNEL),
        read_routes(index, Family::kIpv6, routes, RTPROT_KERNEL)}) {
    if (!result) return result.error();
  }
  std::vector<Address> reachable;
  reachable.reserve(routes.size());
  for (const Bound& route : routes) reachable.push_back(route.address);
  std::sort(reachable.begin(), reachable.end());
  std::erase_if(bound, [&](const Bound& each) {
    return !std::binary_search(reachable.begin(), reachable.end(), each.address);
  });
  return bound;
}

Result<std::vector<Address>> Device::read_all() {
  std::vector<Address> addresses;
  const auto link = find();
  if (!link) return link.error();
  if (!*link) return addresses;
  const auto bound = read_bound((*link)->index);
  if (!bound) return bound.error();
  for (const Bound& each : *bound) addresses.push_back(each.address);
  return addresses;
}

Result<std::size_t> Device::count_routes() {
  std::size_t count = 0;
  const auto link = find();
  if (!link) return link.error();
  if (*link) {
    const auto bound = read_bound((*link)->index);
    if (!bound) return bound.error();
    const auto is_route = [](const Bound& each) { return each.binding == VipBinding::kRoute; };
    count = static_cast<std::size_t>(std::count_if(bound->begin(), bound->end(), is_route));
  }
  return {boost::system::in_place_value, count};
}

Result<void> Device::unbind(std::span<const Address> addresses) {
  const auto link = find();
  if (!link) return link.error();
  if (!*link) return {};
  index_ = (*link)->index;
  const auto bound = read_bound(index_);
  if (!bound) return bound.error();
  batch_.clear();
  for (const Bound& each : *bound) {
    if (std::find(addresses.begin(), addresses.end(), each.address) == addresses.end()) continue;
    // A route is deleted whatever its source address.
    encode_bound(false, {.address = each.address, .binding = each.binding, .source = {}});
  }
  if (batch_.empty()) return {};
  for (const int error : socket_.transact(batch_)) {
    if (error == 0 || error == EADDRNOTAVAIL || error == ESRCH) continue;
    return error_of(error, "unbinding virtual IPs of " + kName, socket_.extended());
  }
  return {};
}

Result<bool> Device::exists() {
  const auto link = find();
  if (!link) return link.error();
  return yes_or_no(link->has_value());
}

Result<void> Device::remove() {
  const auto link = find();
  if (!link) return link.error();
  end_holding();
  if (!*link) return {};
  batch_.clear();
  encode_delete_link(batch_, (*link)->index);
  const int error = socket_.transact(batch_)[0];
  index_ = 0;
  if (error == 0 || error == ENODEV) return {};
  return error_of(error, "removing " + kName, socket_.extended());
}

}  // namespace ipvs
