// SPDX-License-Identifier: Apache-2.0
//
// Pure parts of the API client: the order of addresses, Retry-After, redirections.
#include <catch2/catch_test_macros.hpp>

#include "k8s/client/address_order.hpp"
#include "k8s/client/redirect.hpp"
#include "k8s/client/retry_after.hpp"

using std::chrono::seconds;

TEST_CASE("an address that failed lately is tried last, the one that failed first before (item 9)",
          "[address_order]") {
  k8s::AddressOrder::Clock::time_point now{};
  k8s::AddressOrder order([&] { return now; });
  const auto endpoint = [](const char* address) {
    return k8s::AddressOrder::Endpoint(boost::asio::ip::make_address(address), 6443);
  };
  const auto a = endpoint("192.0.2.1");
  const auto b = endpoint("192.0.2.2");
  const auto c = endpoint("2001:db8::1");
  using List = std::vector<k8s::AddressOrder::Endpoint>;
  CHECK(order.sorted({c, a, b}) == List{c, a, b});
  order.failed(c);
  CHECK(order.sorted({c, a, b}) == List{a, b, c});
  now += seconds(1);
  order.failed(a);
  now += seconds(1);
  order.failed(b);
  CHECK(order.sorted({c, a, b}) == List{c, a, b});
  order.served(b);
  CHECK(order.sorted({c, a, b}) == List{b, c, a});
  now += std::chrono::minutes(5);
  CHECK(order.sorted({c, a, b}) == List{c, a, b});
}

TEST_CASE("Retry-After is a number of seconds or a date, and at most five minutes (H3)",
          "[retry_after]") {
  const auto parse = [](std::string_view value, std::string_view date = "") {
    return k8s::parse_retry_after(value, date, 784'111'777);  // 1994-11-06 08:49:37
  };
  CHECK(parse("0") == seconds(0));
  CHECK(parse("7") == seconds(7));
  CHECK(parse("301") == seconds(300));
  CHECK(parse("99999999999999999999999") == seconds(300));
  CHECK(parse("Sun, 06 Nov 1994 08:49:47 GMT") == seconds(10));
  CHECK(parse("Sunday, 06-Nov-94 08:49:47 GMT") == seconds(10));
  CHECK(parse("Sun Nov  6 08:49:47 1994") == seconds(10));
  CHECK(parse("Sun, 06 Nov 1994 08:49:00 GMT") == seconds(0));
  CHECK(parse("Mon, 07 Nov 1994 08:49:37 GMT") == seconds(300));
  // The server's own clock counts, not ours.
  CHECK(parse("Sat, 05 Nov 2044 08:49:47 GMT", "Sat, 05 Nov 2044 08:49:37 GMT") == seconds(10));
  for (const char* bad :
       {"", "-1", "1.5", "7 s", "soon", "Sun, 06 Nov 1994", "-99999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse(bad));
  }
}

TEST_CASE("a redirection is followed within the same server only (H)", "[redirect]") {
  k8s::ApiAccess access;
  access.host = "api.example";
  access.port = 6443;
  const auto target = [&](std::string_view location) {
    return k8s::redirect_target(access, location).value_or("refused");
  };
  CHECK(target("/api/v1/pods?limit=5#x") == "/api/v1/pods?limit=5");
  CHECK(target("https://API.example:6443/x?y") == "/x?y");
  CHECK(target("https://api.example:6443") == "/");
  for (const char* elsewhere :
       {"", "pods", "//evil.example/x", "http://api.example:6443/x", "https://api.example/x",
        "https://evil.example:6443/x", "https://u@api.example:6443/x", "ftp://api.example:6443/",
        "/a b", "/a\r\nX: y", "https://api.example:6443@evil.example/"}) {
    CAPTURE(elsewhere);
    CHECK(target(elsewhere) == "refused");
  }
}
