// SPDX-License-Identifier: Apache-2.0
//
// The routes of kube-ipvs0 in the real kernel, and what is restored of them; each test runs in a
// network namespace of its own.
#include <net/if.h>

#include <algorithm>

#include "ipvs/host/device.hpp"
#include "ipvs/host/local_addresses.hpp"
#include "nft_fixture.hpp"
#include "own_namespace.hpp"
#include "waiting.hpp"

namespace {

using ipvs::Device;
using ipvs::VipBinding;
using nft_test::address;
using nft_test::must;

const ipvs::HostSettings kRoutes{.vip_binding = VipBinding::kRoute,
                                 .route_source_v4 = {},
                                 .route_source_v6 = {},
                                 .timeouts = {}};

void run_ip(std::initializer_list<const char*> commands) {
  for (const char* command : commands) must(std::string("ip ") + command);
}

// docker0 sorts before eth0, by name, by index and by its addresses.
void make_host_with_docker() {
  enter_own_namespace();
  run_ip({"link add docker0 type dummy", "address add 172.17.0.1/16 dev docker0",
          "-6 address add fd00:17::1/64 dev docker0 nodad", "link set docker0 up",
          "link add eth0 type dummy", "address add 192.168.7.1/24 dev eth0",
          "-6 address add fd00:203::1/64 dev eth0 nodad", "link set eth0 up",
          "route add default via 192.168.7.254", "-6 route add default via fd00:203::fe"});
}

void bind(Device& device, std::initializer_list<const char*> addresses) {
  std::vector<ipvs::AddressOp> ops;
  for (const char* each : addresses) ops.push_back({.add = true, .address = address(each)});
  REQUIRE(device.change(ops) == std::vector<int>(ops.size(), 0));
}

// The address that the host itself has towards a virtual IP.
std::string source_towards(const char* destination) {
  const std::string route = must(std::string("ip route get ") + destination);
  const std::size_t at = route.find(" src ");
  if (at == std::string::npos) return route;
  return route.substr(at + 5, route.find_first_of(" \n", at + 5) - at - 5);
}

}  // namespace

TEST_CASE("VIP routes have the source address that the default route has (D6)", "[kernel]") {
  make_host_with_docker();
  auto device = Device::open().value();
  REQUIRE(device.prepare(kRoutes).has_value());
  bind(device, {"10.96.0.1", "fd00:10:96::1"});
  CHECK(source_towards("10.96.0.1") == "192.168.7.1");
  CHECK(source_towards("fd00:10:96::1") == "fd00:203::1");
  CHECK(device.check(kRoutes).value().empty());
}

TEST_CASE("the source address of VIP routes follows the node's addresses (D6)", "[kernel]") {
  make_host_with_docker();
  auto device = Device::open().value();
  REQUIRE(device.prepare(kRoutes).has_value());
  bind(device, {"10.96.0.1", "fd00:10:96::1"});
  // docker0 goes: nothing has to be done.
  run_ip({"link delete docker0"});
  CHECK(device.check(kRoutes).value().empty());
  bind(device, {"10.96.0.2", "fd00:10:96::2"});
  CHECK(source_towards("10.96.0.2") == "192.168.7.1");
  CHECK(source_towards("fd00:10:96::2") == "fd00:203::1");
  // Another address comes in place of the first.
  run_ip({"address add 192.168.8.9/24 dev eth0", "-6 address add fd00:208::9/64 dev eth0 nodad",
          "address delete 192.168.7.1/24 dev eth0", "-6 address delete fd00:203::1/64 dev eth0",
          "route replace default via 192.168.8.254", "-6 route replace default via fd00:208::fe"});
  CHECK(device.check(kRoutes).has_value());
  // IPv4 routes go with their source address: the agent adds them again.
  device.change(std::vector<ipvs::AddressOp>{{.add = true, .address = address("10.96.0.1")},
                                             {.add = true, .address = address("10.96.0.2")}});
  for (const char* vip : {"10.96.0.1", "10.96.0.2"}) CHECK(source_towards(vip) == "192.168.8.9");
  for (const char* vip : {"fd00:10:96::1", "fd00:10:96::2"}) {
    CHECK(source_towards(vip) == "fd00:208::9");
  }
}

TEST_CASE("a preferred source of the default route is that of VIP routes (D6)", "[kernel]") {
  make_host_with_docker();
  run_ip({"address add 192.168.7.99/32 dev lo", "-6 address add fd00:99::1/128 dev lo nodad",
          "route replace default via 192.168.7.254 src 192.168.7.99",
          "-6 route replace default via fd00:203::fe src fd00:99::1"});
  auto device = Device::open().value();
  REQUIRE(device.prepare(kRoutes).has_value());
  bind(device, {"10.96.0.1", "fd00:10:96::1"});
  CHECK(source_towards("10.96.0.1") == "192.168.7.99");
  CHECK(source_towards("fd00:10:96::1") == "fd00:99::1");
}

TEST_CASE("without a default route VIP routes have no source address, until there is one (D6)",
          "[kernel]") {
  make_host_with_docker();
  run_ip({"route delete default", "-6 route delete default",
          "-6 route add unreachable default metric 4096"});
  auto device = Device::open().value();
  REQUIRE(device.prepare(kRoutes).has_value());
  bind(device, {"10.96.0.1", "fd00:10:96::1"});
  // As with addresses: masqueraded, so that it gets the address of the interface where it leaves.
  CHECK(source_towards("10.96.0.1") == "10.96.0.1");
  run_ip(
      {"route add default via 192.168.7.254", "-6 route add default via fd00:203::fe metric 10"});
  const auto repairs = device.check(kRoutes);
  REQUIRE(repairs.has_value());
  CHECK(repairs->size() == 1);
  CHECK(source_towards("10.96.0.1") == "192.168.7.1");
  CHECK(source_towards("fd00:10:96::1") == "fd00:203::1");
}

namespace {

bool has_route(const char* vip) {
  const bool is_ipv6 = address(vip).is_v6();
  return !must(std::string(is_ipv6 ? "ip -6" : "ip -4") + " route show table local type local " +
               vip)
              .empty();
}

std::vector<std::string> bound(Device& device) {
  const auto addresses = device.read();
  REQUIRE(addresses.has_value());
  std::vector<std::string> texts;
  for (const ipvs::Address& each : *addresses) texts.push_back(each.to_string());
  std::sort(texts.begin(), texts.end());
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("an address whose local route somebody deleted is not bound, and is added again (D3)",
          "[kernel]") {
  enter_own_namespace();
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  bind(device, {"10.96.0.1", "10.96.0.2", "fd00:10:96::1", "fd00:10:96::2"});
  // The kernel inserts the route to an IPv6 address from a work queue.
  REQUIRE(soon([&] { return has_route("fd00:10:96::1") && has_route("fd00:10:96::2"); }));
  auto monitor = ipvs::AddressMonitor::open().value();
  CHECK(monitor.drain().vips.empty());
  run_ip({"route delete local 10.96.0.1 table local",
          "-6 route delete local fd00:10:96::1 table local"});
  const std::vector<ipvs::VipEvent> lost{{.address = address("10.96.0.1"), .bound = false},
                                         {.address = address("fd00:10:96::1"), .bound = false}};
  CHECK(monitor.drain().vips == lost);
  CHECK(bound(device) == Texts{"10.96.0.2", "fd00:10:96::2"});

  const std::vector<ipvs::AddressOp> again{{.add = true, .address = address("10.96.0.1")},
                                           {.add = true, .address = address("fd00:10:96::1")}};
  for (const int error : device.change(again)) CHECK((error == 0 || error == EEXIST));
  REQUIRE(soon([&] { return has_route("fd00:10:96::1"); }));
  CHECK(bound(device) == Texts{"10.96.0.1", "10.96.0.2", "fd00:10:96::1", "fd00:10:96::2"});
  for (const char* vip : {"10.96.0.1", "fd00:10:96::1"}) CHECK(has_route(vip));
  // The routes are the kernel's again: they go with their addresses.
  run_ip({"address delete 10.96.0.1/32 dev kube-ipvs0",
          "-6 address delete fd00:10:96::1/128 dev kube-ipvs0"});
  for (const char* vip : {"10.96.0.1", "fd00:10:96::1"}) CHECK_FALSE(has_route(vip));
}

TEST_CASE("routes that go with an address of the node's own are no events (D3)", "[kernel]") {
  enter_own_namespace();
  run_ip({"link add eth0 type dummy", "link set eth0 up", "address add 192.168.7.1/24 dev eth0"});
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  auto monitor = ipvs::AddressMonitor::open().value();
  run_ip({"address delete 192.168.7.1/24 dev eth0"});
  const ipvs::KernelEvents events = monitor.drain();
  CHECK(events.vips.empty());
  CHECK_FALSE(events.device);
}

TEST_CASE("another addr_gen_mode of the device is put right while it is up (D1)", "[kernel]") {
  make_host_with_docker();
  auto device = Device::open().value();
  REQUIRE(device.prepare(kRoutes).has_value());
  bind(device, {"10.96.0.1", "fd00:10:96::1"});
  auto monitor = ipvs::AddressMonitor::open().value();
  (void)monitor.drain();
  run_ip({"link set kube-ipvs0 addrgenmode eui64"});
  CHECK(monitor.drain().device);
  const auto repairs = device.check(kRoutes);
  REQUIRE(repairs.has_value());
  REQUIRE(repairs->size() == 1);
  CHECK(repairs->front().what == "kube-ipvs0 had another addr_gen_mode: set up as before");
  CHECK(must("ip -d link show kube-ipvs0").find("addrgenmode none") != std::string::npos);
  CHECK(device.check(kRoutes).value().empty());
  CHECK(bound(device) == Texts{"10.96.0.1", "fd00:10:96::1"});
}

// The kernel inserts the route to an IPv6 address some time after it has added the address.
TEST_CASE("addresses count from when they are added, however many (D3)", "[kernel]") {
  enter_own_namespace();
  auto device = Device::open().value();
  REQUIRE(device.prepare({}).has_value());
  std::vector<ipvs::AddressOp> ops;
  for (int i = 1; i <= 2000; ++i) {
    const std::string number = std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    ops.push_back({.add = true, .address = address(("10.96." + number).c_str())});
    ops.push_back({.add = true, .address = address(("fd00:10:96::" + std::to_string(i)).c_str())});
  }
  for (const int error : device.change(ops)) CHECK(error == 0);
  CHECK(bound(device).size() == ops.size());
  CHECK(bound(device).size() == ops.size());
}

TEST_CASE("the monitor reports that forwarding was turned off, and not on (D4)") {
  enter_own_namespace();
  run_ip({"link add node0 type dummy"});
  auto monitor = ipvs::AddressMonitor::open().value();
  const auto is_told = [&](const std::string& setting, int value) {
    must("echo " + std::to_string(value) + " > /proc/sys/net/ipv4/" + setting);
    return monitor.drain().settings;
  };
  CHECK_FALSE(is_told("ip_forward", 1));
  CHECK(is_told("ip_forward", 0));
  CHECK_FALSE(monitor.drain().settings);
  CHECK_FALSE(is_told("conf/all/forwarding", 1));
  CHECK_FALSE(is_told("conf/node0/forwarding", 0));
  CHECK_FALSE(is_told("conf/all/rp_filter", 0));
  CHECK(is_told("conf/all/forwarding", 0));
}
