// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/url.hpp"

#include <catch2/catch_test_macros.hpp>

TEST_CASE("percent-encoding leaves only RFC 3986's unreserved characters", "[url]") {
  CHECK(k8s::percent_encode("a!=b,c d/\xff") == "a%21%3Db%2Cc%20d%2F%FF");
}

TEST_CASE("a server URL without a host, with another scheme or an invalid port is refused",
          "[url]") {
  for (const char* bad :
       {"", "/", ":8080", "localhost:8080/path", "ftp://x", "unix:///run/x", "://x", "https://",
        "https://a:0", "https://a:70000", "https://a:1x", "https://u:p@a", "https://[fd00::1",
        "https://[::1]x", "https://a b", "https://a/b c", "https://a/?q=1", "https://a:"}) {
    CAPTURE(bad);
    CHECK_FALSE(k8s::parse_server_url(bad).fault.empty());
  }
}

TEST_CASE("a server without a scheme has the one of client-go (G)", "[url]") {
  const auto parse = [](const char* text, bool tls) {
    const auto parsed = k8s::parse_server_url(text, tls);
    if (!parsed.fault.empty()) FAIL(text << " " << parsed.fault);
    return parsed.url;
  };
  CHECK(parse("127.0.0.1:8080", false) ==
        k8s::ServerUrl{.tls = false, .host = "127.0.0.1", .port = 8080, .path = ""});
  CHECK(parse("api.example", false).port == 80);
  CHECK(parse("api.example/", true) ==
        k8s::ServerUrl{.tls = true, .host = "api.example", .port = 443, .path = ""});
  CHECK(parse("[fd00::1]:6443", true).host == "fd00::1");
  CHECK(parse("HTTPS://api.example:6443/k8s/c-1//", false) ==
        k8s::ServerUrl{.tls = true, .host = "api.example", .port = 6443, .path = "/k8s/c-1"});
  CHECK_FALSE(parse("Http://api.example", true).tls);
}

TEST_CASE("percent-encoded text is decoded, and what is not encoded stays", "[url]") {
  CHECK(k8s::percent_decode("a%40b%3a%") == "a@b:%");
  CHECK(k8s::percent_decode("%zz%4") == "%zz%4");
}
