// SPDX-License-Identifier: Apache-2.0
//
// The routes of kube-ipvs0 in the real kernel, and what is restored of them; each test runs in a
// network namespace of its own.
#include <net/if.h>

#include "ipvs/host/device.hpp"
#include "nft_fixture.hpp"
#include "own_namespace.hpp"

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
