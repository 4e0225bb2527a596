// SPDX-License-Identifier: Apache-2.0
//
// VIPs that move from one binding to another in the real kernel; each test runs in a network
// namespace of its own.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <ostream>
#include <thread>

#include "ipvs/host/device.hpp"
#include "nft_fixture.hpp"
#include "own_namespace.hpp"

namespace {

using ipvs::Device;
using ipvs::VipBinding;
using nft_test::address;
using nft_test::must;

const ipvs::HostSettings kAddresses;
const ipvs::HostSettings kRoutes{.vip_binding = VipBinding::kRoute,
                                 .route_source_v4 = {},
                                 .route_source_v6 = {},
                                 .timeouts = {}};

// A socket can only be bound to an address that is local.
bool is_local(const std::string& where) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE(socket >= 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  REQUIRE(::inet_pton(AF_INET, where.c_str(), &name.sin_addr) == 1);
  const bool bound = ::bind(socket, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
  ::close(socket);
  return bound;
}

std::vector<std::string> some_vips(int count) {
  std::vector<std::string> vips;
  for (int i = 0; i < count; ++i) {
    vips.push_back("10.96." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250));
  }
  return vips;
}

void bind(Device& device, const std::vector<std::string>& vips) {
  std::vector<ipvs::AddressOp> ops;
  for (const std::string& each : vips)
    ops.push_back({.add = true, .address = address(each.c_str())});
  REQUIRE(device.change(ops) == std::vector<int>(ops.size(), 0));
}

bool all_local(const std::vector<std::string>& vips) {
  return std::all_of(vips.begin(), vips.end(), is_local);
}

// Of the loopback device, with our protocol number.
std::string held_routes() { return must("ip -4 route show table local dev lo proto 112"); }

struct Move {
  std::size_t moved = 0;
  int away = 0;  // how often the watched VIP was not local meanwhile
  bool operator==(const Move&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Move& move) {
  return out << "moved " << move.moved << ", away " << move.away;
}

Move move(Device& device, const ipvs::HostSettings& settings, const std::string& watched) {
  std::atomic<bool> done = false;
  std::atomic<int> away = 0;
  std::atomic<int> asked = 0;
  std::thread watcher([&] {
    while (!done) {
      if (!is_local(watched)) ++away;
      ++asked;
    }
  });
  while (asked < 10) std::this_thread::yield();
  const auto moved = device.prepare(settings);
  done = true;
  watcher.join();
  return {.moved = moved.value(), .away = away};
}

}  // namespace

TEST_CASE("a VIP is local at every moment of its move from an address to a route", "[kernel]") {
  enter_own_namespace();
  auto device = Device::open().value();
  REQUIRE(device.prepare(kAddresses).has_value());
  const auto vips = some_vips(3000);
  bind(device, vips);
  for (const std::string& watched : {vips.front(), vips.back()}) {
    CHECK(move(device, kRoutes, watched) == Move{.moved = vips.size(), .away = 0});
    CHECK(move(device, kAddresses, watched) == Move{.moved = vips.size(), .away = 0});
  }
  CHECK(all_local(vips));
  CHECK(held_routes().empty());
}

TEST_CASE("VIPs that are routes already stay when the last address becomes one", "[kernel]") {
  enter_own_namespace();
  auto device = Device::open().value();
  REQUIRE(device.prepare(kRoutes).has_value());
  const auto vips = some_vips(20);
  bind(device, vips);
  must("ip address add 10.97.0.1/32 dev kube-ipvs0");
  CHECK(move(device, kRoutes, vips.back()) == Move{.moved = 1, .away = 0});
  CHECK(all_local(vips));
  CHECK(is_local("10.97.0.1"));
  CHECK(device.read().value().size() == vips.size() + 1);
  CHECK(held_routes().empty());
}

TEST_CASE("what one that was killed meanwhile held is held no longer", "[kernel]") {
  for (const ipvs::HostSettings& settings : {kAddresses, kRoutes}) {
    enter_own_namespace();
    auto device = Device::open().value();
    REQUIRE(device.prepare(settings).has_value());
    bind(device, {"10.96.0.1"});
    must("ip link set lo up");
    for (const char* vip : {"10.96.0.1", "10.96.0.2"}) {
      must(std::string("ip route append local ") + vip + " dev lo table local proto 112");
    }
    REQUIRE(is_local("10.96.0.2"));
    CHECK(device.prepare(settings).value() == 0);
    CHECK(held_routes().empty());
    CHECK(is_local("10.96.0.1"));
    CHECK_FALSE(is_local("10.96.0.2"));
    must("ip route append local 10.96.0.2 dev lo table local proto 112");
    CHECK(device.remove().has_value());
    CHECK(held_routes().empty());
  }
}
