// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/ipvsadm_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <utility>

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

Server server(const char* ip, Protocol protocol, VirtualServer settings,
              std::vector<Destination> destinations = {}) {
  settings.key = {address(ip), 80, protocol};
  return {settings, std::move(destinations)};
}

}  // namespace

TEST_CASE("virtual servers are written as ipvsadm -S writes them, and ipvsadm -R reads them") {
  const std::vector<Server> servers{
      server("10.96.0.1", Protocol::kTcp, {.scheduler = "rr"},
             {{{address("10.244.0.1"), 8080}, 1}, {{address("10.244.0.2"), 8080}, 0}}),
      server("10.96.0.1", Protocol::kUdp,
             {.scheduler = "wlc", .flags = kFlagPersistent, .timeout_seconds = 10800}),
      server("fd00::1", Protocol::kSctp, {.scheduler = "sh", .flags = kFlagSched1 | kFlagSched2},
             {{{address("fd00:244::1"), 80}, 65535}}),
      server("10.96.0.2", Protocol::kTcp, {.scheduler = "mh", .flags = kFlagSched2}),
      server("10.96.0.3", Protocol::kUdp,
             {.scheduler = "rr", .flags = kFlagOnePacket | kFlagSched1}),
  };
  const IpvsadmText text = ipvsadm_text(servers);
  CHECK(text.commands ==
        "-A -t 10.96.0.1:80 -s rr\n"
        "-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1\n"
        "-a -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 0\n"
        "-A -u 10.96.0.1:80 -s wlc -p 10800\n"
        "-A --sctp-service [fd00::1]:80 -s sh -b sh-fallback,sh-port\n"
        "-a --sctp-service [fd00::1]:80 -r [fd00:244::1]:80 -m -w 65535\n"
        "-A -t 10.96.0.2:80 -s mh -b mh-port\n"
        "-A -u 10.96.0.3:80 -s rr -o -b flag-1\n");
  CHECK(text.left_out.empty());
}

TEST_CASE("what ipvsadm has no words for is left out, with the reason") {
  const std::vector<Server> servers{
      server("10.96.0.1", Protocol::kTcp,
             {.scheduler = "rr", .flags = kFlagPersistent, .timeout_seconds = 3'000'000},
             {{{address("10.244.0.1"), 8080}, 1}}),
      {{.key = {.address = address("0.0.0.0"), .fwmark = 7}, .scheduler = "rr"}, {}}};
  const IpvsadmText text = ipvsadm_text(servers);
  CHECK(text.commands.empty());
  CHECK(text.left_out ==
        std::vector<std::string>{
            "TCP 10.96.0.1:80: session affinity of 3000000 s: ipvsadm takes 31 days at most",
            "FWM 0x7 IPv4: marks of packets are not written"});
}
