// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/pool.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

TEST_CASE("equal values are stored once and deleted with the last handle") {
  agent::Pool<std::string> pool;
  auto first = pool.hold("node-a");
  auto second = pool.hold("node-a");
  CHECK(first == second);
  CHECK(&*first == &*second);
  auto other = pool.hold("node-b");
  CHECK_FALSE(first == other);
  CHECK(pool.size() == 2);

  second = pool.hold("node-b");
  CHECK(second == other);
  CHECK(pool.size() == 2);
  first = {};
  CHECK(pool.size() == 1);
  const auto moved = std::move(other);
  CHECK(*moved == "node-b");
  CHECK(moved->size() == 6);
}
