// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/proxy.hpp"

#include <catch2/catch_test_macros.hpp>

TEST_CASE("a proxy's URL has a scheme, perhaps a user, and a port (G)", "[proxy]") {
  const auto parse = [](const char* text, bool scheme_needed = true) {
    const auto parsed = k8s::parse_proxy_url(text, scheme_needed);
    if (!parsed.fault.empty()) FAIL(text << " " << parsed.fault);
    return *parsed.proxy;
  };
  CHECK(parse("http://p").url() == "http://p:80");
  CHECK(parse("HTTPS://p/").url() == "https://p:443");
  CHECK(parse("http://[fd00::1]:3128").url() == "http://[fd00::1]:3128");
  CHECK(parse("p:3128", false).url() == "http://p:3128");
  CHECK(parse("http://p").authorization().empty());
  CHECK(parse("http://u:p%3Aw@p:1").user_info == "u:p:w");
  CHECK(parse("http://u@p").authorization() == "Basic dTo=");
  for (const char* bad : {"", "p:3128", "ftp://p", "socks5://p", "socks5h://p:1", "http://",
                          "http://p:0", "http://p q", "http://u:secret@p:x"}) {
    CAPTURE(bad);
    const std::string fault = k8s::parse_proxy_url(bad, true).fault;
    CHECK_FALSE(fault.empty());
    CHECK(fault.find("secret") == std::string::npos);
  }
}

TEST_CASE("NO_PROXY names addresses, networks and domains, as for client-go (G)", "[proxy]") {
  using k8s::is_excluded;
  CHECK(is_excluded("", "localhost", 443));
  CHECK(is_excluded("", "127.1.2.3", 443));
  CHECK(is_excluded("", "::1", 443));
  CHECK_FALSE(is_excluded("", "10.0.0.1", 443));
  CHECK(is_excluded("*", "10.0.0.1", 443));
  CHECK(is_excluded(" a , 10.0.0.0/8 ", "10.1.2.3", 443));
  CHECK_FALSE(is_excluded("10.0.0.0/8", "11.0.0.1", 443));
  CHECK_FALSE(is_excluded("10.0.0.0/8", "10.example", 443));
  CHECK(is_excluded("fd00::/8", "fd00::1", 443));
  CHECK(is_excluded("fd00::1", "fd00:0::1", 443));
  CHECK(is_excluded("[fd00::1]:6443", "fd00::1", 6443));
  CHECK_FALSE(is_excluded("10.0.0.1:6443", "10.0.0.1", 443));
  CHECK(is_excluded("10.0.0.1:443", "10.0.0.1", 443));
  CHECK(is_excluded("Example.com", "api.EXAMPLE.com.", 443));
  CHECK(is_excluded("example.com", "example.com", 443));
  CHECK_FALSE(is_excluded("example.com", "badexample.com", 443));
  CHECK_FALSE(is_excluded(".example.com", "example.com", 443));
  CHECK(is_excluded("*.example.com", "api.example.com", 443));
  CHECK_FALSE(is_excluded("*.example.com", "example.com", 443));
  CHECK(is_excluded("example.com:6443", "api.example.com", 6443));
  CHECK_FALSE(is_excluded(",,:1,[,/,", "api.example.com", 443));
}
