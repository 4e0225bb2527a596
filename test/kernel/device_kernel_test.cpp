// SPDX-License-Identifier: Apache-2.0
//
// kube-ipvs0 and the node's addresses in the real kernel; each test runs in a network namespace of
// its own.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <catch2/generators/catch_generators.hpp>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iostream>

#include "ipvs/host/device.hpp"
#include "ipvs/host/local_addresses.hpp"
#include "own_namespace.hpp"
#include "waiting.hpp"

namespace {

using ipvs::Address;
using ipvs::AddressOp;
using ipvs::Device;
using ipvs::VipBinding;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

// Sends the rtnetlink message that `encode` appends; fails the test if the kernel refuses it.
template <typename Encode>
void change_link(Encode encode) {
  auto socket = ipvs::NetlinkSocket::open(NETLINK_ROUTE).value();
  ipvs::MessageBatch batch;
  encode(batch);
  INFO(socket.extended());
  REQUIRE(socket.transact(batch) == std::vector<int>(batch.size(), 0));
}

// Creates a dummy device `name` with addresses, like a node's interface.
unsigned make_node(const char* name, std::initializer_list<const char*> addresses) {
  change_link([&](auto& batch) { ipvs::encode_create_dummy(batch, name); });
  const unsigned index = ::if_nametoindex(name);
  change_link([&](auto& batch) { ipvs::encode_set_flags(batch, index, true); });
  change_link([&](auto& batch) {
    for (const char* each : addresses) ipvs::encode_address(batch, true, address(each), index);
  });
  return index;
}

void set_mtu(unsigned index, std::uint32_t mtu) {
  change_link([&](auto& batch) {
    batch.begin_message(RTM_NEWLINK);
    ifinfomsg header{};
    header.ifi_index = static_cast<int>(index);
    batch.put_header(header);
    batch.put_u32(IFLA_MTU, mtu);
  });
}

// `dev INDEX` in the table main.
void encode_main_route(ipvs::MessageBatch& batch, const char* network, unsigned char length,
                       unsigned index) {
  batch.begin_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  batch.put_header(header);
  if (length > 0) batch.put_address(RTA_DST, address(network));
  batch.put_u32(RTA_OIF, index);
}

void encode_clear_noarp(ipvs::MessageBatch& batch, unsigned index) {
  batch.begin_message(RTM_NEWLINK);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_NOARP;
  batch.put_header(header);
}

void encode_create_bridge(ipvs::MessageBatch& batch, const std::string& name) {
  batch.begin_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  batch.put_header(ifinfomsg{});
  batch.put_string(IFLA_IFNAME, name);
  const std::size_t info = batch.begin_nest(IFLA_LINKINFO);
  batch.put_string(IFLA_INFO_KIND, "bridge");
  batch.end_nest(info);
}

std::vector<int> change(Device& device, bool add, std::initializer_list<const char*> addresses) {
  std::vector<AddressOp> ops;
  for (const char* each : addresses) ops.push_back({add, address(each)});
  return device.change(ops);
}

std::vector<Address> sorted(std::vector<Address> addresses) {
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

// Whether `address` is local, so that the kernel itself receives packets to it.
bool is_local(const char* where) {
  auto socket = ipvs::NetlinkSocket::open(NETLINK_ROUTE).value();
  ipvs::MessageBatch batch;
  batch.begin_message(RTM_GETROUTE);
  rtmsg header{};
  header.rtm_family = address(where).is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = address(where).is_v4() ? 32 : 128;
  batch.put_header(header);
  batch.put_address(RTA_DST, address(where));
  bool local = false;
  socket.transact(batch, [&](std::size_t, const ipvs::NetlinkMessage& message) {
    local = message.payload.size() >= sizeof(header);
    if (!local) return;
    std::memcpy(&header, message.payload.data(), sizeof(header));
    local = header.rtm_type == RTN_LOCAL;
  });
  return local;
}

// The MTU that the route to `where` has of its own; 0: none.
std::uint32_t mtu_to(const char* where) {
  auto socket = ipvs::NetlinkSocket::open(NETLINK_ROUTE).value();
  ipvs::MessageBatch batch;
  batch.begin_message(RTM_GETROUTE);
  rtmsg header{};
  header.rtm_family = address(where).is_v4() ? AF_INET : AF_INET6;
  header.rtm_dst_len = address(where).is_v4() ? 32 : 128;
  header.rtm_flags = RTM_F_FIB_MATCH;
  batch.put_header(header);
  batch.put_address(RTA_DST, address(where));
  std::uint32_t mtu = 0;
  socket.transact(batch, [&](std::size_t, const ipvs::NetlinkMessage& message) {
    for (ipvs::AttributeReader reader(message.payload, sizeof(rtmsg));
         const auto attribute = reader.next();) {
      if (attribute->type != RTA_METRICS) continue;
      for (ipvs::AttributeReader metrics(attribute->payload); const auto metric = metrics.next();) {
        if (metric->type == RTAX_MTU) mtu = metric->u32().value_or(0);
      }
    }
  });
  return mtu;
}

std::vector<std::string> texts(const std::vector<ipvs::LocalAddress>& addresses) {
  std::vector<std::string> result;
  for (const auto& each : addresses) {
    result.push_back(each.address.to_string() + "@" + each.interface_name);
  }
  return result;
}

}  // namespace

TEST_CASE("the device is created once, and its addresses are local in both families") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  auto device = Device::open().value();
  CHECK(device.prepare({}).value() == 0);
  CHECK(device.prepare({}).value() == 0);
  CHECK(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{EEXIST, EEXIST});
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));
  CHECK(sorted(device.read().value()) == std::vector{address("10.96.0.1"), address("fd00:1::1")});
  CHECK(change(device, false, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(change(device, false, {"10.96.0.1", "fd00:1::1"}) ==
        std::vector<int>{EADDRNOTAVAIL, EADDRNOTAVAIL});
  CHECK(device.read().value().empty());
  CHECK_FALSE(is_local("10.96.0.1"));
}

TEST_CASE("routes make VIPs local without an address") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1", "2001:db8::1"});
  auto device = Device::open().value();
  const ipvs::HostSettings settings{.vip_binding = VipBinding::kRoute,
                                    .route_source_v4 = address("192.0.2.1"),
                                    .route_source_v6 = address("2001:db8::1"),
                                    .timeouts = {}};
  CHECK(device.prepare(settings).value() == 0);
  CHECK(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{EEXIST, EEXIST});
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));
  CHECK(sorted(device.read().value()) == std::vector{address("10.96.0.1"), address("fd00:1::1")});
  CHECK(texts(ipvs::read_local_addresses().value()) ==
        std::vector<std::string>{"192.0.2.1@node0", "2001:db8::1@node0"});
  CHECK(change(device, false, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(change(device, false, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{ESRCH, ESRCH});
  CHECK_FALSE(is_local("10.96.0.1"));
}

TEST_CASE("VIPs stay bound when the binding or the node's address changes") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1", "192.0.2.2", "2001:db8::1"});
  auto device = Device::open().value();
  ipvs::HostSettings settings;
  REQUIRE(device.prepare(settings).has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});

  settings.vip_binding = VipBinding::kRoute;
  settings.route_source_v4 = address("192.0.2.1");
  CHECK(device.prepare(settings).value() == 2);
  CHECK(device.read().value().size() == 2);
  settings.route_source_v4 = address("192.0.2.2");
  CHECK(device.prepare(settings).value() == 1);
  CHECK(device.read().value().size() == 2);
  settings.vip_binding = VipBinding::kAddress;
  CHECK(device.prepare(settings).value() == 2);
  CHECK(device.read().value().size() == 2);
  CHECK(device.read_all().value().size() == 2);
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));
}

TEST_CASE("VIP routes outlive the node address that is their source, and can be given another") {
  enter_own_namespace();
  const unsigned node =
      make_node("node0", {"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"});
  auto device = Device::open().value();
  ipvs::HostSettings settings{.vip_binding = VipBinding::kRoute,
                              .route_source_v4 = address("192.0.2.1"),
                              .route_source_v6 = address("2001:db8::1"),
                              .timeouts = {}};
  REQUIRE(device.prepare(settings).has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  change_link([&](auto& batch) {
    for (const char* each : {"192.0.2.1", "2001:db8::1"}) {
      ipvs::encode_address(batch, false, address(each), node);
    }
  });
  CHECK(device.read().value().size() == 2);
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));

  settings.route_source_v4 = address("192.0.2.2");
  settings.route_source_v6 = address("2001:db8::2");
  CHECK(device.prepare(settings).value() == 2);
  CHECK(device.prepare(settings).value() == 0);
  CHECK(device.read().value().size() == 2);
}

TEST_CASE("VIPs stay bound as they are when the source address is not one of the node's") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1", "2001:db8::1"});
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  const ipvs::HostSettings settings{.vip_binding = VipBinding::kRoute,
                                    .route_source_v4 = address("192.0.2.77"),
                                    .route_source_v6 = address("2001:db8::77"),
                                    .timeouts = {}};
  CHECK(device.prepare(settings).value() == 0);
  CHECK(device.read_all().value().size() == 2);
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));
}

TEST_CASE(
    "IPv4 routes to VIPs have the smallest MTU of the node's interfaces, and follow it (E3)") {
  enter_own_namespace();
  const unsigned node = make_node("node0", {"203.0.113.1", "2001:db8::1"});
  const unsigned other = make_node("node1", {"203.0.113.2"});
  set_mtu(node, 1500);
  set_mtu(other, 1450);
  const VipBinding binding = GENERATE(VipBinding::kAddress, VipBinding::kRoute);
  auto device = Device::open().value();
  REQUIRE(device.prepare({.vip_binding = binding}).value() == 0);
  CHECK(change(device, true, {"10.96.0.1", "fd00:96::1"}) == std::vector<int>{0, 0});
  CHECK(mtu_to("10.96.0.1") == 1450);
  set_mtu(other, 9000);
  REQUIRE(device.follow_mtu().has_value());
  CHECK(mtu_to("10.96.0.1") == 1500);
  set_mtu(node, 1000);
  REQUIRE(device.follow_mtu().has_value());
  CHECK(mtu_to("10.96.0.1") == 1000);
  CHECK(mtu_to("fd00:96::1") == 0);  // IPVS would not take larger packets of the host
  CHECK(mtu_to("203.0.113.1") == 0);
  CHECK(device.read().value().size() == 2);

  // A restart, with the other binding and back.
  const VipBinding changed =
      binding == VipBinding::kRoute ? VipBinding::kAddress : VipBinding::kRoute;
  for (const VipBinding next : {changed, binding}) {
    auto restarted = Device::open().value();
    REQUIRE(restarted.prepare({.vip_binding = next}).value() == 2);
    // The kernel inserts the route to an IPv6 address from a work queue.
    CHECK(soon([&] { return restarted.read().value().size() == 2; }));
    CHECK(mtu_to("10.96.0.1") == 1000);
  }
  CHECK(change(device, false, {"10.96.0.1", "fd00:96::1"}) == std::vector<int>{0, 0});
  CHECK_FALSE(is_local("10.96.0.1"));
  CHECK_FALSE(is_local("fd00:96::1"));
}

TEST_CASE("a VIP that somebody else deletes is not local any more, whatever its MTU was (E3)") {
  enter_own_namespace();
  make_node("node0", {"203.0.113.1"});
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).value() == 0);
  const unsigned index = ::if_nametoindex(ipvs::kDeviceName);
  CHECK(change(device, true, {"10.96.0.1", "10.96.0.2"}) == std::vector<int>{0, 0});
  CHECK(mtu_to("10.96.0.2") != 0);
  change_link(
      [&](auto& batch) { ipvs::encode_address(batch, false, address("10.96.0.1"), index); });
  CHECK_FALSE(is_local("10.96.0.1"));
  CHECK(is_local("10.96.0.2"));
}

TEST_CASE(
    "removing the device deletes its addresses and routes, and removing it again is no error") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  auto device = Device::open().value();
  REQUIRE(device
              .prepare({.vip_binding = VipBinding::kRoute,
                        .route_source_v4 = {},
                        .route_source_v6 = {},
                        .timeouts = {}})
              .has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(device.remove().has_value());
  CHECK(device.remove().has_value());
  CHECK_FALSE(is_local("10.96.0.1"));
  CHECK_FALSE(is_local("fd00:1::1"));
  CHECK(device.read().value().empty());
  CHECK(change(device, true, {"10.96.0.1"}) == std::vector<int>{ENODEV});
}

TEST_CASE("node addresses are all but loopback, IPv6 link-local ones and VIPs (A5)") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1", "169.254.7.7", "2001:db8::1"});
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(texts(ipvs::read_local_addresses().value()) ==
        std::vector<std::string>{"169.254.7.7@node0", "192.0.2.1@node0", "2001:db8::1@node0"});
}

TEST_CASE("the monitor reports changes of node addresses and not of VIPs") {
  enter_own_namespace();
  const unsigned node = make_node("node0", {"192.0.2.1"});
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  auto monitor = ipvs::AddressMonitor::open().value();
  CHECK_FALSE(monitor.drain().node_addresses);
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK_FALSE(monitor.drain().node_addresses);
  change_link([&](auto& batch) { ipvs::encode_address(batch, true, address("192.0.2.2"), node); });
  CHECK(monitor.drain().node_addresses);
  CHECK_FALSE(monitor.drain().node_addresses);
  change_link([&](auto& batch) { ipvs::encode_address(batch, false, address("192.0.2.2"), node); });
  CHECK(monitor.drain().node_addresses);
}

TEST_CASE(
    "the monitor reports what happens to the device and to VIPs, and not others' routes (D3)") {
  enter_own_namespace();
  const unsigned node = make_node("node0", {"192.0.2.1"});
  const VipBinding binding = GENERATE(VipBinding::kAddress, VipBinding::kRoute);
  auto device = Device::open().value();
  auto monitor = ipvs::AddressMonitor::open().value();
  REQUIRE(device.prepare({.vip_binding = binding}).has_value());
  CHECK(monitor.drain().device);
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  const std::vector<ipvs::VipEvent> bound{{address("10.96.0.1"), true},
                                          {address("fd00:1::1"), true}};
  CHECK(drain_vips(monitor, 2).vips == bound);
  REQUIRE(change(device, false, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  const std::vector<ipvs::VipEvent> unbound{{address("10.96.0.1"), false},
                                            {address("fd00:1::1"), false}};
  const ipvs::KernelEvents events = drain_vips(monitor, 2);
  CHECK(events.vips == unbound);
  CHECK_FALSE(events.device);
  CHECK_FALSE(events.node_addresses);

  change_link([&](auto& batch) { encode_main_route(batch, "198.51.100.0", 24, node); });
  const ipvs::KernelEvents of_a_route = monitor.drain();
  CHECK(of_a_route.vips.empty());
  CHECK_FALSE(of_a_route.node_addresses);
  change_link([&](auto& batch) { encode_main_route(batch, "0.0.0.0", 0, node); });
  CHECK(monitor.drain().node_addresses);

  change_link(
      [&](auto& batch) { ipvs::encode_delete_link(batch, ::if_nametoindex("kube-ipvs0")); });
  CHECK(monitor.drain().device);
}

TEST_CASE("a device that somebody else changed is put right with what it had (D1)") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  const VipBinding binding = GENERATE(VipBinding::kAddress, VipBinding::kRoute);
  const ipvs::HostSettings settings{.vip_binding = binding};
  auto device = Device::open().value();
  REQUIRE(device.prepare(settings).has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(device.check(settings).value().empty());
  const unsigned index = ::if_nametoindex("kube-ipvs0");
  std::string found = "kube-ipvs0 was renamed to gone0: named as before";
  bool keeps_vips = true;
  SECTION("renamed") {
    change_link([&](auto& batch) {
      ipvs::encode_set_down(batch, index);
      ipvs::encode_rename_link(batch, index, "gone0");
      if (binding == VipBinding::kRoute) ipvs::encode_set_flags(batch, index, true);
    });
    keeps_vips = binding == VipBinding::kAddress;
  }
  SECTION("deleted") {
    found = "kube-ipvs0 was deleted: made again";
    keeps_vips = false;
    change_link([&](auto& batch) { ipvs::encode_delete_link(batch, index); });
  }
  SECTION("deleted, and made by somebody else") {
    found = "kube-ipvs0 was replaced by another dummy device: taken over";
    keeps_vips = false;
    change_link([&](auto& batch) { ipvs::encode_delete_link(batch, index); });
    change_link([&](auto& batch) { ipvs::encode_create_dummy(batch, "kube-ipvs0"); });
  }
  SECTION("NOARP cleared") {
    found = "kube-ipvs0 answered ARP requests: set up as before";
    change_link([&](auto& batch) { encode_clear_noarp(batch, index); });
  }
  const auto repairs = device.check(settings).value();
  REQUIRE_FALSE(repairs.empty());
  CHECK(repairs[0].kind == "link");
  CHECK(repairs[0].what == found);
  CHECK(device.check(settings).value().empty());
  if (keeps_vips) CHECK(device.read().value().size() == 2);
  const std::vector<int> outcomes = change(device, true, {"10.96.0.1", "fd00:1::1"});
  for (const int error : outcomes) CHECK((error == 0 || error == EEXIST));
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));
}

TEST_CASE("a device that was set down serves VIP routes again (D1)") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  const ipvs::HostSettings settings{.vip_binding = VipBinding::kRoute};
  auto device = Device::open().value();
  REQUIRE(device.prepare(settings).has_value());
  REQUIRE(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  const unsigned index = ::if_nametoindex("kube-ipvs0");
  change_link([&](auto& batch) { ipvs::encode_set_down(batch, index); });
  CHECK_FALSE(is_local("fd00:1::1"));  // the kernel keeps local routes of IPv4
  const auto repairs = device.check(settings).value();
  REQUIRE(repairs.size() == 1);
  CHECK(repairs[0].what == "kube-ipvs0 was down: set up as before");
  change(device, true, {"10.96.0.1", "fd00:1::1"});
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([] { return is_local("fd00:1::1"); }));
}

TEST_CASE("a device of that name that is not a dummy device is never changed (D1)") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  change_link(
      [&](auto& batch) { ipvs::encode_delete_link(batch, ::if_nametoindex("kube-ipvs0")); });
  change_link([&](auto& batch) { encode_create_bridge(batch, "kube-ipvs0"); });
  const auto checked = device.check({});
  REQUIRE_FALSE(checked.has_value());
  CHECK(checked.error().error_number == EEXIST);
  change_link(
      [&](auto& batch) { ipvs::encode_delete_link(batch, ::if_nametoindex("kube-ipvs0")); });
  CHECK(device.check({}).value().size() == 1);
  CHECK(change(device, true, {"10.96.0.1"}) == std::vector<int>{0});
}

TEST_CASE("a VIP is bound though somebody else has just deleted the device (D1)") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  const VipBinding binding = GENERATE(VipBinding::kAddress, VipBinding::kRoute);
  auto device = Device::open().value();
  REQUIRE(device.prepare({.vip_binding = binding}).has_value());
  change_link(
      [&](auto& batch) { ipvs::encode_delete_link(batch, ::if_nametoindex("kube-ipvs0")); });
  CHECK(change(device, true, {"10.96.0.1", "fd00:1::1"}) == std::vector<int>{0, 0});
  CHECK(is_local("10.96.0.1"));
  CHECK(soon([&] { return device.read().value().size() == 2; }));  // IPv6 follows the link
}

TEST_CASE("the cost of binding VIPs", "[.cost]") {
  enter_own_namespace();
  make_node("node0", {"192.0.2.1"});
  for (const VipBinding binding : {VipBinding::kAddress, VipBinding::kRoute}) {
    auto device = Device::open().value();
    REQUIRE(device
                .prepare({.vip_binding = binding,
                          .route_source_v4 = {},
                          .route_source_v6 = {},
                          .timeouts = {}})
                .has_value());
    for (unsigned block = 0; block < 3; ++block) {
      std::vector<AddressOp> ops;
      for (unsigned i = 0; i < 2000; ++i) {
        ops.push_back({true, boost::asio::ip::address_v4(0x0a600000 + block * 2000 + i)});
      }
      const auto start = std::chrono::steady_clock::now();
      const auto outcomes = device.change(ops);
      CHECK(std::count(outcomes.begin(), outcomes.end(), 0) == 2000);
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      std::cout << "2000 more VIPs: " << taken.count() << " s\n";
    }
    REQUIRE(device.remove().has_value());
  }
}
