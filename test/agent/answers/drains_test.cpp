// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/drains.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

namespace {

constexpr k8s::UnixSeconds kNow = 1'795'000'000;

std::size_t taken(const std::string& text) {
  agent::HandDrains drains;
  agent::take_drains(text, kNow, drains);
  agent::HandDrains again;
  agent::take_drains(boost::json::serialize(agent::drains_json(drains)), kNow, again);
  CHECK(again.all() == drains.all());
  return drains.all().size();
}

}  // namespace

TEST_CASE("drains by hand are read back from their file, without those that have ended") {
  CHECK(taken(R"([{"endpoint": "10.0.0.1", "sinceUnix": 1794999999, "by": "root"},
                  {"endpoint": "[fd00::1]:80", "sinceUnix": 0, "untilUnix": 1795000001}])") == 2);
  CHECK(taken(R"([{"endpoint": "10.0.0.1", "sinceUnix": 0, "untilUnix": 1795000000}])") == 0);
  CHECK(taken(R"([{"endpoint": "10.0.0.1"}, {"sinceUnix": 1}, 7, {"endpoint": "x"}])") == 0);
  CHECK(taken("{") == 0);
}

TEST_CASE("a drain by hand with a time that no clock shows is skipped") {
  CHECK(taken(R"([{"endpoint": "10.0.0.1", "sinceUnix": 9223372036854775807}])") == 0);
  CHECK(taken(R"([{"endpoint": "10.0.0.1", "sinceUnix": -9223372036854775807}])") == 0);
  CHECK(taken(R"([{"endpoint": "10.0.0.1", "sinceUnix": 1, "untilUnix": 9223372037}])") == 0);
  CHECK(taken(R"([{"endpoint": "10.0.0.1", "sinceUnix": 1, "untilUnix": 9223372036}])") == 1);
}
