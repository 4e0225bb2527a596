// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/query.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

constexpr k8s::UnixSeconds kNow = 1'795'000'000;

std::int64_t at(const std::string& time) {
  return agent::history_query({{"service", "a/b"}, {"at", time}}, kNow).at.value();
}

std::string fault(const std::string& time) {
  try {
    at(time);
  } catch (const agent::QuestionFault& refused) {
    return refused.what;
  }
  return {};
}

}  // namespace

TEST_CASE("the time of a table is one that a clock shows") {
  CHECK(at("1970-01-01T00:00:00Z") == 0);
  CHECK(at("2026-11-30T03:10:00.123Z") == 1'796'008'200'123);
  CHECK(at("2261-12-31T23:59:59Z") == 9'214'646'399'000);
  CHECK(fault("9999-12-31T23:59:59Z") == "at \"9999-12-31T23:59:59Z\" is not from 1970 to 2261");
  CHECK(fault("2262-01-01T00:00:00Z").ends_with("is not from 1970 to 2261"));
  CHECK(fault("1969-12-31T23:59:59Z").ends_with("is not from 1970 to 2261"));
  CHECK(fault("2026-11-30").find("is not a time like") != std::string::npos);
}
