// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/ip_text.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }
const std::set<Address> kVips{address("10.96.0.1"), address("fd00::1")};

}  // namespace

TEST_CASE("virtual IPs are written as addresses that no connection of the host begins with") {
  CHECK(ip_text(kVips, VipBinding::kAuto, {}) ==
        "link add kube-ipvs0 type dummy\n"
        "link set dev kube-ipvs0 arp off\n"
        "address add 10.96.0.1/32 dev kube-ipvs0 scope host\n"
        "address add fd00::1/128 dev kube-ipvs0 preferred_lft 0 nodad noprefixroute\n");
}

TEST_CASE("virtual IPs are written as routes where they are bound so") {
  CHECK(ip_text(kVips, VipBinding::kRoute, {.v4 = address("192.0.2.1")}) ==
        "link add kube-ipvs0 type dummy\n"
        "link set dev kube-ipvs0 addrgenmode none\n"
        "link set dev kube-ipvs0 arp off up\n"
        "route add local 10.96.0.1 dev kube-ipvs0 table local proto 112 scope host src 192.0.2.1\n"
        "route add local fd00::1 dev kube-ipvs0 table local proto 112 scope host\n");
}

TEST_CASE("with auto, thousands of virtual IPs are written as routes") {
  std::set<Address> many;
  for (std::uint32_t i = 0; i < 4096; ++i) {
    many.insert(boost::asio::ip::address_v4(0x0A600000 + i));
  }
  CHECK(ip_text(many, VipBinding::kAuto, {}).find("route add local 10.96.0.1 ") !=
        std::string::npos);
  CHECK(ip_text(many, VipBinding::kAddress, {}).find("route") == std::string::npos);
}
