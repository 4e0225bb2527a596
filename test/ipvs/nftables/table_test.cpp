// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/table.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <string>

using namespace ipvs;

namespace {

// "cluster-ips-4 730d/12": name, the key's type in hexadecimal and its length; then the value's.
std::string layout_of(const TableSet& set) {
  char numbers[64];
  std::snprintf(numbers, sizeof(numbers), " %x/%u", set.key_type, set.key_length);
  std::string text = std::string(set.name) + numbers;
  if (set.data_length == 0) return text;
  std::snprintf(numbers, sizeof(numbers), " : %x/%u", set.data_type, set.data_length);
  return text + numbers;
}

}  // namespace

TEST_CASE("the table of element kinds gives every set its name and layout") {
  std::string text;
  for (const TableSet& set : table_sets()) text += layout_of(set) + "\n";
  CHECK(text == R"(cluster-ips-4 730d/12
cluster-ips-6 830d/24
external-ips-4 730d/12
external-ips-6 830d/24
external-local-ips-4 730d/12
external-local-ips-6 830d/24
node-ports 30d/8
node-ports-local 30d/8
node-addresses-4 7/4
node-addresses-6 8/16
virtual-ips-4 7/4
virtual-ips-6 8/16
hairpin-4 1c7/8
hairpin-6 208/32
refused-ips-4 730d/12
refused-ips-6 830d/24
elsewhere-ips-4 730d/12
elsewhere-ips-6 830d/24
refused-node-ports-4 30d/8
refused-node-ports-6 30d/8
elsewhere-node-ports-4 30d/8
elsewhere-node-ports-6 30d/8
short-cuts-4 730d/12 : 1cd/8
short-cuts-6 830d/24 : 20d/20
short-cut-node-ports-4 30d/8 : 1cd/8
short-cut-node-ports-6 30d/8 : 20d/20
limited-ips-4 730d/12
limited-ips-6 830d/24
allowed-sources-4 1cc347/16
allowed-sources-6 20c348/40
health-checks-4 730d/12
health-checks-6 830d/24
)");
}

TEST_CASE("an element's text begins with the name of its set") {
  for (const TableSet& set : table_sets()) {
    Element element{.kind = set.kind, .traffic_class = set.traffic_class};
    if (set.family) element.address = unspecified(*set.family);
    CHECK(set_of(element) == &set);
    CHECK(element.text().starts_with(std::string(set.name) + " "));
    CHECK(set_named(set.name) == &set);
  }
}
