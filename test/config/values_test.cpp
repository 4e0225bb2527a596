// SPDX-License-Identifier: Apache-2.0
#include "config/values.hpp"

#include <rapidcheck.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>

namespace {

using namespace config;
using namespace std::chrono_literals;

// The value, or "! " and what is wrong with the text.
std::string host_port(std::string_view given, std::uint16_t default_port = 10256) {
  const auto parsed = parse_host_port(given, default_port);
  return parsed ? text(*parsed) : "! " + parsed.error().what;
}
std::string network(std::string_view given) {
  const auto parsed = parse_network(given);
  return parsed ? text(*parsed) : "! " + parsed.error().what;
}
std::string duration_fault(std::string_view given) {
  const auto parsed = parse_duration(given);
  return parsed ? "" : parsed.error().what;
}

}  // namespace

TEST_CASE("only decimal digits within the range are a number") {
  CHECK(*parse_number("0", 0, 31) == 0);
  CHECK(*parse_number("31", 0, 31) == 31);
  CHECK(*parse_number("007", 0, 31) == 7);
  for (const char* text :
       {"", "32", "-1", "+1", " 1", "1 ", "0x1", "1e1", "1.0", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number(text, 0, 31).has_value());
  }
  CHECK(parse_number("x", 0, 31).error().what == "\"x\" is not a number from 0 to 31");
}

TEST_CASE("the texts of booleans are those of Go") {
  for (const char* text : {"1", "t", "T", "true", "True", "TRUE"}) CHECK(*parse_bool(text));
  for (const char* text : {"0", "f", "F", "false", "False", "FALSE"})
    CHECK_FALSE(*parse_bool(text));
  for (const char* text : {"", "yes", "no", "on", "tRUE", "2"})
    CHECK_FALSE(parse_bool(text).has_value());
}

TEST_CASE("the texts of durations are those of Go") {
  CHECK(*parse_duration("15m") == 15min);
  CHECK(*parse_duration("1h30m") == 90min);
  CHECK(*parse_duration("900s") == 900s);
  CHECK(*parse_duration("0") == 0s);
  CHECK(*parse_duration("-0") == 0s);
  CHECK(*parse_duration("1.5h") == 90min);
  CHECK(*parse_duration(".5s") == 500ms);
  CHECK(*parse_duration("1.s") == 1s);
  CHECK(*parse_duration("-2s") == -2s);
  CHECK(*parse_duration("+2s") == 2s);
  CHECK(*parse_duration("1h1m1s1ms1us1ns") == 1h + 1min + 1s + 1ms + 1us + 1ns);
  CHECK(*parse_duration("3\xC2\xB5s") == 3us);
  CHECK(*parse_duration("3\xCE\xBCs") == 3us);
  CHECK(*parse_duration("0.000000001s") == 1ns);
  CHECK(*parse_duration("0.0000000019s") == 1ns);
  CHECK(*parse_duration("2562047h") == 2562047h);
}

TEST_CASE(
    "an invalid duration is refused with the reason: no unit, unknown unit, too long, no number") {
  CHECK(duration_fault("900") == "\"900\" has no unit: write for example 900s, 15m or 1h30m");
  CHECK(duration_fault("1h30") == "\"1h30\" has no unit: write for example 900s, 15m or 1h30m");
  CHECK(duration_fault("5d") == "\"5d\" has the unknown unit \"d\": use h, m, s, ms, us or ns");
  CHECK(duration_fault("2562048h") == "\"2562048h\" is too long a duration: at most 292 years");
  CHECK(duration_fault("99999999999999999999999s") ==
        "\"99999999999999999999999s\" is too long a duration: at most 292 years");
  for (const char* text : {"", "-", "s", ".s", "h1", "1h -1m", "soon"}) {
    CAPTURE(text);
    CHECK(duration_fault(text).find("is not a duration") +
              duration_fault(text).find("unknown unit") !=
          2 * std::string::npos);
  }
}

TEST_CASE("the host bits of a network are cleared") {
  CHECK(network("10.1.2.3/8") == "10.0.0.0/8");
  CHECK(network("10.1.2.3/32") == "10.1.2.3/32");
  CHECK(network("255.255.255.255/0") == "0.0.0.0/0");
  CHECK(network("192.168.255.255/17") == "192.168.128.0/17");
  CHECK(network("fd00:1:2:3:4:5:6:7/49") == "fd00:1:2::/49");
  CHECK(network("fd00::1/128") == "fd00::1/128");
  CHECK(network("::/0") == "::/0");
}

TEST_CASE("leading zeros are decimal, and a mapped network is IPv4, as in kube-proxy (G)") {
  CHECK(network("010.0.0.0/08") == "10.0.0.0/8");
  CHECK(network("::ffff:10.0.0.0/104") == "10.0.0.0/8");
  CHECK(parse_address("010.096.000.012")->to_string() == "10.96.0.12");
  CHECK(parse_address("::ffff:192.0.2.1")->to_string() == "192.0.2.1");
}

TEST_CASE("an invalid network is refused") {
  for (const char* text :
       {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129",
        "fe80::1%lo/64", "::ffff:10.0.0.0/95", "10.0.0.0/8/9", " 10.0.0.0/8", "x/8"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_network(text).has_value());
  }
  CHECK(network("fe80::1%eth0/64").find("has a zone") != std::string::npos);
}

TEST_CASE("the port of a listen address is optional") {
  CHECK(host_port("0.0.0.0") == "0.0.0.0:10256");
  CHECK(host_port("0.0.0.0:10249") == "0.0.0.0:10249");
  CHECK(host_port("127.0.0.1:0") == "127.0.0.1:0");
  CHECK(host_port("[::]:10256") == "[::]:10256");
  CHECK(host_port("[::1]") == "[::1]:10256");
  CHECK(host_port("::") == "[::]:10256");
  CHECK(host_port("fd00::1") == "[fd00::1]:10256");
}

TEST_CASE("an invalid listen address is refused with the reason") {
  CHECK(host_port(":10256") == "! \":10256\" has no address: write 0.0.0.0:10256 or [::]:10256");
  CHECK(host_port("0.0.0.0:65536") == "! \"0.0.0.0:65536\" has no valid port (0-65535)");
  CHECK(host_port("0.0.0.0:") == "! \"0.0.0.0:\" has no valid port (0-65535)");
  CHECK(host_port("[::") == "! \"[::\" has no closing ]: write [::]:10256");
  CHECK(host_port("[::]80") == "! \"[::]80\" has text between ] and the port: write [::]:10256");
  CHECK(host_port("[127.0.0.1]:80") ==
        "! \"[127.0.0.1]:80\" has brackets, which are for IPv6 only: write 0.0.0.0:10256");
  CHECK(host_port("localhost:80") ==
        "! \"localhost:80\" is not ADDRESS:PORT such as 0.0.0.0:10256 or [::]:10256");
  CHECK(host_port("").starts_with("!"));
}

TEST_CASE("a port range is a first and a last port, or one port") {
  CHECK(parse_port_range("30000-32767")->first == 30000);
  CHECK(parse_port_range("30000-32767")->last == 32767);
  CHECK(parse_port_range("8000")->last == 8000);
  CHECK(parse_port_range("2-1").error().what == "\"2-1\" ends before it begins: write 30000-32767");
  for (const char* text : {"", "-", "0-10", "1-65536", "1-", "-1", "1-2-3", "a-b"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_port_range(text).has_value());
  }
}

TEST_CASE("a misspelt word has a nearest known word, and a very different one has none") {
  constexpr std::array<std::string_view, 4> kWords = {"scheduler", "strictARP", "tcpTimeout",
                                                      "udpTimeout"};
  CHECK(nearest("schedular", kWords) == "scheduler");
  CHECK(nearest("shceduler", kWords) == "scheduler");
  CHECK(nearest("tcpTimeuot", kWords) == "tcpTimeout");
  CHECK(nearest("x", kWords).empty());
  CHECK(nearest("masquerade", kWords).empty());
  CHECK(nearest(std::string(1000, 'a'), kWords).empty());
  CHECK(nearest("wlcc", known_schedulers()) == "wlc");
}

TEST_CASE("a duration, a network and an address are read back as written") {
  REQUIRE(rc::check("durations", [] {
    const auto value = std::chrono::milliseconds(*rc::gen::inRange<std::int64_t>(0, 1'000'000'000));
    RC_ASSERT(*parse_duration(text(value)) == value);
  }));
  REQUIRE(rc::check("networks", [](const std::array<std::uint8_t, 16>& bytes) {
    const int length = *rc::gen::inRange(0, 129);
    const Network value =
        make_network(boost::asio::ip::address_v6(bytes), static_cast<std::uint8_t>(length));
    const auto parsed = parse_network(text(value));
    if (value.address.to_v6().is_v4_mapped()) return;
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(*parsed == value);
  }));
  REQUIRE(rc::check("addresses", [](std::uint32_t address, std::uint16_t port) {
    const HostPort value{boost::asio::ip::address_v4(address), port};
    RC_ASSERT(*parse_host_port(text(value), 1) == value);
  }));
}

TEST_CASE("any text is accepted or refused, and an accepted value is read back unchanged") {
  REQUIRE(rc::check("any text", [](const std::string& given) {
    if (const auto parsed = parse_network(given))
      RC_ASSERT(*parse_network(text(*parsed)) == *parsed);
    if (const auto parsed = parse_host_port(given, 1))
      RC_ASSERT(*parse_host_port(text(*parsed), 2) == *parsed);
    static_cast<void>(parse_duration(given));
    static_cast<void>(parse_port_range(given));
    RC_ASSERT(nearest(given, known_schedulers()).size() < 6);
  }));
}
