// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/base64.hpp"

#include <catch2/catch_test_macros.hpp>

TEST_CASE("base64 is decoded as Go does: padding is required, line breaks are skipped",
          "[base64]") {
  CHECK(k8s::base64_decode("aGVsbG8=") == "hello");
  CHECK(k8s::base64_decode("aGVs\nbG8=\n") == "hello");
  CHECK(k8s::base64_decode("") == "");
  CHECK_FALSE(k8s::base64_decode("aGVsbG8"));
  CHECK_FALSE(k8s::base64_decode("aGVsb==8"));
  CHECK_FALSE(k8s::base64_decode("a==="));
  CHECK_FALSE(k8s::base64_decode("????"));
}

TEST_CASE("base64 of any bytes decodes to the same bytes", "[base64]") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i * 7);
    CHECK(k8s::base64_decode(k8s::base64_encode(bytes)) == bytes);
  }
  CHECK(k8s::base64_encode("hello") == "aGVsbG8=");
  CHECK(k8s::base64_encode("") == "");
}
