// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/own_record.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "test/ipvs/any_address.hpp"

namespace {

using ipvs::Protocol;
using ipvs::ServerKey;

const std::string kHere = "0e7c net:[4026531840] 1";

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

const ServerKey kWeb{address("10.96.0.1"), 80};
const ServerKey kDns{address("fd00::10"), 53, Protocol::kUdp};

std::string text_of_both() {
  std::string text = ipvs::own_record_heading(kHere);
  append_own(text, kWeb, true);
  append_own(text, kDns, true);
  return text;
}

}  // namespace

TEST_CASE("a record is a heading and a line for each virtual server") {
  CHECK(text_of_both() ==
        "kube-ipvs-own-servers 1 0e7c net:[4026531840] 1\n"
        "+TCP 10.96.0.1 80\n"
        "+UDP fd00::10 53\n");
  const auto record = ipvs::parse_own_record(text_of_both(), kHere);
  REQUIRE(record);
  CHECK(record->servers == std::unordered_set<ServerKey>{kWeb, kDns});
  CHECK(record->lines == 2);
}

TEST_CASE("the last line about a virtual server counts") {
  std::string text = text_of_both();
  append_own(text, kWeb, false);
  CHECK(ipvs::parse_own_record(text, kHere)->servers == std::unordered_set<ServerKey>{kDns});
  append_own(text, kWeb, true);
  CHECK(ipvs::parse_own_record(text, kHere)->servers.size() == 2);
}

TEST_CASE("a line that was cut off while it was written does not count (C3)") {
  const std::string text = text_of_both();
  const std::size_t heading = ipvs::own_record_heading(kHere).size();
  for (std::size_t size = heading; size < text.size(); ++size) {
    INFO(size);
    const auto record = ipvs::parse_own_record(text.substr(0, size), kHere);
    REQUIRE(record);
    CHECK(record->servers.size() == record->lines);
    CHECK_FALSE(record->servers.contains(kDns));
  }
  for (std::size_t size = 0; size < heading; ++size) {
    CHECK_FALSE(ipvs::parse_own_record(text.substr(0, size), kHere));
  }
}

TEST_CASE(
    "a record of another boot, namespace or version is void, and so is one with a bad line (C3)") {
  const std::string text = text_of_both();
  CHECK_FALSE(ipvs::parse_own_record(text, "0e7d net:[4026531840] 1"));
  CHECK_FALSE(ipvs::parse_own_record(text, "0e7c net:[4026531840] 2"));
  CHECK_FALSE(ipvs::parse_own_record("kube-ipvs-own-servers 2 " + kHere + "\n", kHere));
  for (const char* line :
       {"", "*TCP 10.96.0.1 80", "+ICMP 10.96.0.1 80", "+TCP 10.96.0 80", "+TCP 10.96.0.1 65536",
        "+TCP 10.96.0.1 80x", "+TCP 10.96.0.1", "+TCP 10.96.0.1 -1", "TCP 10.96.0.1 80"}) {
    INFO(line);
    CHECK_FALSE(ipvs::parse_own_record(text + line + "\n", kHere));
  }
}

TEST_CASE("a record that is read back names what was written, whatever the addresses") {
  REQUIRE(rc::check("parse(append(x)) = x", [] {
    const ServerKey key{ipvs::test::any_address(), *rc::gen::arbitrary<std::uint16_t>(),
                        *rc::gen::element(Protocol::kTcp, Protocol::kUdp, Protocol::kSctp)};
    std::string text = ipvs::own_record_heading(kHere);
    append_own(text, key, true);
    RC_ASSERT(ipvs::parse_own_record(text, kHere)->servers.contains(key));
  }));
}
