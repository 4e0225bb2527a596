// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/url.hpp"

#include <catch2/catch_test_macros.hpp>

TEST_CASE("percent-encoding leaves only RFC 3986's unreserved characters", "[url]") {
  CHECK(k8s::percent_encode("a!=b,c d/\xff") == "a%21%3Db%2Cc%20d%2F%FF");
}

TEST_CASE("a server URL without a scheme, host or valid port is refused", "[url]") {
  for (const char* bad : {"localhost:8080", "ftp://x", "https://", "https://a:0", "https://a:70000",
                          "https://a:1x", "https://u:p@a", "https://[fd00::1", "https://[::1]x",
                          "https://a b", "https://a/b c", "https://a/?q=1", "https://a:"}) {
    CAPTURE(bad);
    CHECK_FALSE(k8s::parse_server_url(bad).fault.empty());
  }
}
