// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/resource_version.hpp"

#include <catch2/catch_test_macros.hpp>

TEST_CASE("resource versions are compared as numbers of any length", "[resource_version]") {
  CHECK(k8s::is_older_version("9", "10"));
  CHECK(k8s::is_older_version("500", "1000"));
  CHECK_FALSE(k8s::is_older_version("10", "9"));
  CHECK_FALSE(k8s::is_older_version("10", "10"));
  CHECK(k8s::is_older_version("99999999999999999999998", "99999999999999999999999"));
}

TEST_CASE("what is not a decimal number is never older", "[resource_version]") {
  for (const char* text : {"", "0", "007", "abc", "1.5", "-3", "12:7", "1 "}) {
    CHECK_FALSE(k8s::is_older_version(text, "1000"));
    CHECK_FALSE(k8s::is_older_version("5", text));
  }
}
