// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flow_listener.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

const std::string kHead =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";

}  // namespace

TEST_CASE("another listener to connections is seen, and our own socket is none") {
  const std::string own =
      "00000000aaaaaaaa 12  4711       00000007 0        0        0     2        0        21\n";
  CHECK_FALSE(ipvs::has_other_listener(kHead + own, 4711));
  CHECK(ipvs::has_other_listener(kHead + own, 4712));
  for (const char* groups : {"00000001", "00000002", "00000004", "ffffffff"}) {
    const std::string line =
        "00000000bbbbbbbb 12  99         " + std::string(groups) + " 0 0 0 2 0 22\n";
    INFO(line);
    CHECK(ipvs::has_other_listener(kHead + own + line, 4711));
  }
}

TEST_CASE("sockets of other protocols and groups do not count, nor lines that cannot be read") {
  const std::string text = kHead +
                           // routes; nftables (group 7); no group
                           "00000000bbbbbbbb 0   99         00000007 0 0 0 2 0 22\n"
                           "00000000bbbbbbbb 12  99         00000040 0 0 0 2 0 22\n"
                           "00000000bbbbbbbb 12  99         00000000 0 0 0 2 0 22\n"
                           "00000000bbbbbbbb twelve\n"
                           "\n";
  CHECK_FALSE(ipvs::has_other_listener(text, 4711));
  CHECK_FALSE(ipvs::has_other_listener("", 4711));
}
