// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/values.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace k8s;

TEST_CASE("addresses are parsed strictly") {
  for (const char* good :
       {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "2001:db8::1", "fe80::1"}) {
    INFO(good);
    const auto parsed = parse_address(good);
    REQUIRE(parsed);
    CHECK(parsed->to_string() == good);
  }
  for (const char* bad : {"", " 10.0.0.1", "10.0.0.1 ", "10.0.0", "10.0.0.0.1", "10.0.0.256",
                          "0x7f.1", "0300.0.0.1", "10.0.0.0x1", "::ffff:1.2.3.256", "fe80::1%1",
                          "1::2::3", ":", "host", "1111:2222:3333:4444:5555:6666:7777:8888:9999"}) {
    INFO(bad);
    CHECK_FALSE(parse_address(bad));
  }
  CHECK_FALSE(parse_address(std::string_view("10.0.0.1\0", 9)));
  CHECK_FALSE(parse_address(std::string(100, '1')));
  CHECK_FALSE(parse_address(std::string(100, '0') + "1.2.3.4"));
}

TEST_CASE("leading zeros are decimal, and an IPv4-mapped address is IPv4, as in kube-proxy (A4)") {
  const auto read = [](std::string_view text) {
    const auto parsed = parse_address(text);
    return parsed ? parsed->to_string() : std::string();
  };
  CHECK(read("10.96.011.012") == "10.96.11.12");
  CHECK(read("010.0.0.00") == "10.0.0.0");
  CHECK(read("000.000.000.000") == "0.0.0.0");
  CHECK(read("::ffff:192.0.2.26") == "192.0.2.26");
  CHECK(read("::ffff:192.000.002.026") == "192.0.2.26");
  CHECK(read("::FFFF:c000:021a") == "192.0.2.26");
  CHECK(read("fd00:0000::00001") == "fd00::1");
  CHECK(read("0::0") == "::");
  CHECK(read("::ffff:0:192.0.2.26") == "::ffff:0:c000:21a");
}

TEST_CASE("addresses that mean this host or this link cannot be endpoints") {
  for (const char* special : {"0.0.0.0", "127.0.0.1", "127.8.8.8", "169.254.1.1", "224.0.0.5",
                              "::", "::1", "fe80::1", "ff02::1"}) {
    INFO(special);
    CHECK_FALSE(parse_routable_address(special));
  }
  CHECK(parse_routable_address("224.0.1.1"));
  CHECK(parse_routable_address("10.0.0.1"));
  CHECK(parse_routable_address("fd00::1"));
}

TEST_CASE("a CIDR is kept with its host bits cleared") {
  const auto cidr = [](std::string_view text) {
    const auto parsed = parse_cidr(text);
    return parsed ? parsed->address.to_string() + "/" + std::to_string(parsed->prefix_length)
                  : std::string();
  };
  CHECK(cidr("10.1.2.3/8") == "10.0.0.0/8");
  CHECK(cidr("10.1.2.3/0") == "0.0.0.0/0");
  CHECK(cidr("10.1.2.3/32") == "10.1.2.3/32");
  CHECK(cidr("\t2001:db8:ffff::1/33 ") == "2001:db8:8000::/33");
  CHECK(cidr("::/128") == "::/128");
  CHECK(cidr("010.1.2.3/08") == "10.0.0.0/8");
  CHECK(cidr("::ffff:10.1.2.3/104") == "10.0.0.0/8");
  for (const char* bad : {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
                          "10.0.0.0/+8", "10.0.0.0/0x8", "10.0.0.0/8/8", "::ffff:10.0.0.0/95",
                          "10.0.0.0/4294967304", "10.0.0.0/ 8", "::/129", "x/8"}) {
    INFO(bad);
    CHECK(cidr(bad).empty());
  }
}

TEST_CASE("times are RFC 3339 with any fraction and offset") {
  const auto seconds = [](std::string_view text) {
    const auto parsed = parse_time(text);
    return parsed ? *parsed : UnixSeconds{-1};
  };
  CHECK(seconds("1970-01-01T00:00:00Z") == 0);
  CHECK(seconds("2026-11-22T10:00:00Z") == 1795341600);
  CHECK(seconds("2026-11-22T10:00:00.123456789Z") == 1795341600);
  CHECK(seconds("2026-11-22T11:30:00+01:30") == 1795341600);
  CHECK(seconds("2026-11-21T23:00:00-11:00") == 1795341600);
  CHECK(seconds("2024-02-29t00:00:00z") == 1709164800);
  for (const char* bad :
       {"", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22 10:00:00Z", "2026-13-01T00:00:00Z",
        "2025-02-29T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z",
        "2026-11-22T10:00:60Z", "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00+1:00",
        "2026-11-22T10:00:00Z ", "26-11-22T10:00:00Z"}) {
    INFO(bad);
    CHECK(seconds(bad) == -1);
  }
}

TEST_CASE("names follow RFC 1123 and RFC 6335") {
  CHECK(is_dns_subdomain("a"));
  CHECK(is_dns_subdomain("a-b.c0"));
  CHECK(is_dns_subdomain(std::string(253, 'a')));
  for (const char* bad : {"", "-a", "a-", "a..b", ".a", "a.", "a.-b", "a-.b", "A", "a_b", "a/b"}) {
    INFO(bad);
    CHECK_FALSE(is_dns_subdomain(bad));
  }
  CHECK_FALSE(is_dns_subdomain(std::string(254, 'a')));
  CHECK(is_dns_label("0-a"));
  CHECK_FALSE(is_dns_label("a.b"));
  CHECK_FALSE(is_dns_label(std::string(64, 'a')));
  CHECK(is_service_port_name("http-2"));
  for (const char* bad : {"", "80", "a--b", "sixteen-letters-"})
    CHECK_FALSE(is_service_port_name(bad));
  CHECK_FALSE(is_service_port_name("sixteen-letters1"));
}

TEST_CASE("quoted text is one printable line of bounded length") {
  CHECK(quoted("a\"\\\n\x7f") == R"("a\"\\\x0a\x7f")");
  CHECK(quoted(std::string(81, 'x')) == "\"" + std::string(80, 'x') + "...\"");
}

TEST_CASE("quoted text is UTF-8 even if the input is not, and is not cut inside a character") {
  CHECK(quoted("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") ==
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  CHECK(quoted("a\xff\xc3\xa9\x80z") == "\"a\\xff\xc3\xa9\\x80z\"");
  CHECK(quoted("\xc2\x85\xe2\x80\xae") == R"("\xc2\x85\xe2\x80\xae")");
  CHECK(quoted("\xe2\x82") == R"("\xe2\x82")");
  const std::string shown(79, 'x');
  CHECK(quoted(shown + "\xc3\xa9") == "\"" + shown + "...\"");
  CHECK(quoted(shown + "\xff") == "\"" + shown + "\\xff\"");
}
