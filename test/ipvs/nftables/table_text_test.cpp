// SPDX-License-Identifier: Apache-2.0
//
// test/kernel/nft_kernel_test.cpp has nft read the text.
#include "ipvs/nftables/table_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <regex>
#include <string>
#include <vector>

#include "ipvs/nftables/table.hpp"
#include "test/kernel/nft_table_text.hpp"

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

constexpr const char* kHead = "table inet kube-ipvs {}\ndelete table inet kube-ipvs\n";

// nft has names for some numbers.
std::string with_numbers(std::string table) {
  table = std::regex_replace(table, std::regex("priority dstnat - 10"), "priority -110");
  return std::regex_replace(table, std::regex("priority srcnat"), "priority 100");
}

std::string lines_of_set(const std::string& table, const std::string& name) {
  const std::size_t begin = table.find(" " + name + " {\n");
  REQUIRE(begin != std::string::npos);
  return table.substr(begin + 1, table.find("\t}\n", begin) - begin - 1);
}

// Whether nft takes the text, without making anything of it.
bool nft_reads(const std::string& text) {
  std::FILE* pipe = ::popen("unshare --map-root-user --net nft --check --file -", "w");
  if (pipe == nullptr) return false;
  const bool is_written = std::fwrite(text.data(), 1, text.size(), pipe) == text.size();
  return ::pclose(pipe) == 0 && is_written;
}

}  // namespace

TEST_CASE("the table is written as nft prints it, after lines that delete the one that is there") {
  const TableRules rules{
      .cluster_cidrs = {{address("10.244.0.0"), 16}, {address("fd00:244::"), 57}}};
  CHECK(table_text(rules, {}) == kHead + with_numbers(kDrawnTable));
}

TEST_CASE("rules that stand only for a moment are not written: nft would not read them") {
  TableRules rules;
  const std::string lasting = table_text(rules, {});
  rules.drops_refusals = true;
  CHECK(table_text(rules, {}) == lasting);
}

TEST_CASE("nft reads the table with an element in every set") {
  if (!nft_reads("table inet probe { set s { type inet_proto . ipv4_addr; flags interval; }; }"))
    SKIP("no nft here, or no network namespace for it");
  std::vector<Element> elements;
  for (const TableSet& set : table_sets()) {
    Element element{.kind = set.kind,
                    .address = address(set.family == Family::kIpv6 ? "fd00::1" : "192.0.2.1"),
                    .traffic_class = set.traffic_class,
                    .port = 80};
    if (set.data_length != 0) element.target = {element.address, 81};
    if (set.key.network) element.source_network = {element.address, 32};
    REQUIRE(set_of(element) == &set);
    elements.push_back(element);
    if (!set.key.network) continue;
    element.address = address(set.family == Family::kIpv6 ? "fd00::2" : "192.0.2.2");
    element.source_network = {set.family == Family::kIpv6 ? address("::") : address("0.0.0.0"), 0};
    elements.push_back(element);
  }
  const Network v4{address("10.244.0.0"), 16}, v6{address("fd00:244::"), 57};
  for (const TableRules& rules :
       {TableRules{}, TableRules{.masquerade_all = true, .cluster_cidrs = {v4, v6}},
        TableRules{.local_by = LocalBy::kNamePrefix,
        .pod_interface = "cali",
        .pod_sources = {v4, v6},
        .own_pods = {v6}},
        TableRules{.local_by = LocalBy::kInterface, .pod_interface = "exactly-fifteen"}}) {
    CHECK(nft_reads(table_text(rules, elements)));
  }
}

TEST_CASE("elements are written in the set or map that holds them") {
  Element range{.kind = ElementKind::kAllowedSource, .address = address("192.0.2.1"), .port = 443};
  range.source_network = {address("203.0.113.0"), 24};
  const std::vector<Element> elements{
      {.kind = ElementKind::kServiceIp, .address = address("10.96.0.1"), .port = 80},
      {.kind = ElementKind::kServiceIp,
       .address = address("10.96.0.2"),
       .protocol = Protocol::kSctp,
       .port = 81},
      {.kind = ElementKind::kHairpin, .address = address("fd00:244::1")},
      {.kind = ElementKind::kShortCutNodePort,
       .address = address("::"),
       .port = 30080,
       .target = {address("fd00::1"), 80}},
      range,
      // There is no such set.
      {.kind = ElementKind::kNodePort, .traffic_class = TrafficClass::kClusterIp, .port = 30000}};
  const std::string table = table_text({}, elements);
  CHECK(lines_of_set(table, "cluster-ips-4") ==
        "cluster-ips-4 {\n\t\ttype ipv4_addr . inet_proto . inet_service\n"
        "\t\telements = { 10.96.0.1 . tcp . 80,\n\t\t\t     10.96.0.2 . sctp . 81 }\n");
  CHECK(lines_of_set(table, "hairpin-6") ==
        "hairpin-6 {\n\t\ttype ipv6_addr . ipv6_addr\n"
        "\t\telements = { fd00:244::1 . fd00:244::1 }\n");
  CHECK(lines_of_set(table, "short-cut-node-ports-6") ==
        "short-cut-node-ports-6 {\n\t\ttype inet_proto . inet_service : ipv6_addr . inet_service\n"
        "\t\telements = { tcp . 30080 : fd00::1 . 80 }\n");
  CHECK(lines_of_set(table, "allowed-sources-4") ==
        "allowed-sources-4 {\n\t\ttype ipv4_addr . inet_proto . inet_service . ipv4_addr\n"
        "\t\tflags interval\n\t\telements = { 192.0.2.1 . tcp . 443 . 203.0.113.0/24 }\n");
  CHECK(table.find("30000") == std::string::npos);
}
