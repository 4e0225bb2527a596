// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/document.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace k8s::doc;

// What throws here does not compile where a schema is constexpr, as all of them are.
TEST_CASE("two rows of one schema node cannot have the same protobuf number") {
  constexpr SchemaNode kBelow = 1;
  const std::array apart{Field{kRoot, {"a", 1}}, Field{kRoot, {"b", 2}}, Field{kBelow, {"c", 1}}};
  CHECK_NOTHROW(Schema(apart));
  const std::array same{Field{kRoot, {"a", 1}}, Field{kRoot, {"b", 1}}};
  CHECK_THROWS_AS(Schema(same), std::logic_error);
  const std::array no_numbers{Field{kRoot, {"a"}}, Field{kRoot, {"b"}}};
  CHECK_NOTHROW(Schema(no_numbers));
}
