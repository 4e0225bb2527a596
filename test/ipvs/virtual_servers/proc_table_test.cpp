// SPDX-License-Identifier: Apache-2.0
#include "ipvs/virtual_servers/proc_table.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>

namespace {

using ipvs::Destination;
using ipvs::ProcTableParser;
using ipvs::Protocol;
using ipvs::ServerKey;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

constexpr const char* kFile =
    "IP Virtual Server version 1.2.1 (size=4096)\n"
    "Prot LocalAddress:Port Scheduler Flags\n"
    "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    "FWM  0000001A rr \n"
    "  -> 0AF40109:0000      Masq    1      0          0         \n"
    "TCP  0A60000A:0050 rr persistent 10800 FFFFFFFF\n"
    "  -> 0AF40107:1F90      Masq    1      3          2         \n"
    "  -> 0AF40106:1F90      Masq    0      0          0         \n"
    "UDP  0A60000A:0035 lc ops \n"
    "TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 rr \n"
    "  -> [fd00:0000:0000:0000:0000:0000:0000:0007]:1F90 Masq    65535  0          0         \n";

}  // namespace

TEST_CASE("destinations are read for each virtual server, in order, from pieces of any size") {
  REQUIRE(rc::check("pieces", [] {
    const std::string text = kFile;
    ProcTableParser parser;
    for (std::size_t at = 0; at < text.size();) {
      const auto size = *rc::gen::inRange<std::size_t>(1, 200);
      parser.feed(std::string_view(text).substr(at, size));
      at += size;
    }
    const auto servers = parser.finish();
    RC_ASSERT(parser.strange_lines() == 0u);
    RC_ASSERT(servers.size() == 3u);
    RC_ASSERT((servers.at({address("10.96.0.10"), 80, Protocol::kTcp}) ==
               std::vector<Destination>{{{address("10.244.1.6"), 8080}, 0},
                                        {{address("10.244.1.7"), 8080}, 1}}));
    RC_ASSERT(servers.at({address("10.96.0.10"), 53, Protocol::kUdp}).empty());
    RC_ASSERT((servers.at({address("fd00::1"), 80, Protocol::kTcp}) ==
               std::vector<Destination>{{{address("fd00::7"), 8080}, 65535}}));
  }));
}

TEST_CASE("a virtual server that comes twice counts once, and is told") {
  ProcTableParser parser(true);
  parser.feed(kFile);
  CHECK(parser.repeated() == 0);
  parser.feed(kFile);
  CHECK(parser.repeated() == 3);
  CHECK(parser.settings().size() == 3);
  CHECK(parser.finish().at({address("10.96.0.10"), 80, Protocol::kTcp}).size() == 2);
}

TEST_CASE("settings are read from the line of a virtual server where they are wanted (17.2)") {
  ProcTableParser parser(true);
  parser.feed(kFile);
  const auto settings = parser.settings();
  REQUIRE(settings.size() == 3);
  CHECK(settings[0] == ipvs::VirtualServer{.key = {address("10.96.0.10"), 80, Protocol::kTcp},
                                           .scheduler = "rr",
                                           .flags = ipvs::kFlagPersistent,
                                           .timeout_seconds = 10800});
  CHECK(settings[1].scheduler == "lc");
  CHECK(settings[1].flags == ipvs::kFlagOnePacket);
  CHECK(settings[2].key.address == address("fd00::1"));
  CHECK(settings[2].flags == 0);
}

TEST_CASE("lines that are not understood are counted, and so is an incomplete last line") {
  for (const char* text : {"QUIC 0A60000A:0050 rr\n", "TCP  0A60000:0050 rr\n", "TCP\n", "  -> \n",
                           "  -> 0AF40107:1F90 Masq 1 0 0\n", "TCP  0A60000A:0050 rr"}) {
    ProcTableParser parser;
    parser.feed(text);
    INFO(text);
    (void)parser.finish();
    CHECK(parser.strange_lines() == 1);
  }
}

TEST_CASE("any text is parsed without a crash") {
  REQUIRE(rc::check("any text", [](const std::string& text) {
    ProcTableParser parser;
    parser.feed(text);
    (void)parser.finish();
  }));
}
