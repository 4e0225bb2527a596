// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/rule_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "test/kernel/nft_table_text.hpp"

using namespace ipvs;

namespace {

using Chains = std::map<std::string, std::vector<std::string>>;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

// The rules of each chain in what nft prints.
Chains printed(const std::string& table) {
  Chains chains;
  std::istringstream lines(table);
  std::string chain;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("\tchain ")) {
      chain = line.substr(7, line.rfind(' ') - 7);
      chains[chain];
    } else if (line == "\t}") {
      chain.clear();
    } else if (!chain.empty() && !line.starts_with("\t\ttype ")) {
      chains[chain].push_back(line.substr(2));
    }
  }
  return chains;
}

Chains written(const TableRules& settings) {
  Chains chains;
  for (const Chain& chain : table_chains()) chains[std::string(chain.name)];
  for (const Rule& rule : table_rules(settings))
    chains[std::string(rule.chain)].push_back(text_of(rule));
  return chains;
}

using Lines = std::vector<std::string>;
Lines hairpins() {
  return {"ip saddr . ip daddr @hairpin-4 masquerade fully-random",
          "ip6 saddr . ip6 daddr @hairpin-6 masquerade fully-random"};
}
Lines with_hairpins(Lines lines) {
  for (const std::string& line : hairpins()) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("rules are written as nft prints the whole table") {
  const Chains ours =
      written({.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16},
                                 {.address = address("fd00:244::"), .prefix_length = 57}}});
  const Chains of_nft = printed(kDrawnTable);
  REQUIRE(of_nft.size() == table_chains().size());
  for (const auto& [chain, rules] : of_nft) {
    CAPTURE(chain);
    CHECK(ours.at(chain) == rules);
  }
}

// The expected lines are those that test/kernel/nft_kernel_test.cpp reads from nft.
TEST_CASE("rules that settings change are written as nft prints them") {
  CHECK(written({.masquerade_all = true, .cluster_cidrs = {}}).at("cluster-ip") ==
        Lines{"ip saddr != 127.0.0.0/8 masquerade fully-random",
              "ip6 saddr != ::1 masquerade fully-random"});
  CHECK(written({}).at("cluster-ip") ==
        with_hairpins({"ip saddr @virtual-ips-4 masquerade fully-random",
                       "ip6 saddr @virtual-ips-6 masquerade fully-random"}));
  CHECK(written({.cluster_cidrs = {{.address = address("10.1.2.3"), .prefix_length = 32},
                                   {.address = address("10.244.0.0"), .prefix_length = 15}}})
            .at("cluster-ip")
            .front() ==
        "ip saddr != 127.0.0.0/8 ip saddr != 10.1.2.3 ip saddr != 10.244.0.0/15 masquerade "
        "fully-random");
  const Chains cuts =
      written({.pod_sources = {{.address = address("10.244.0.0"), .prefix_length = 16},
                               {.address = address("fd00:244::"), .prefix_length = 56}},
               .own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24}}});
  CHECK(cuts.at("prerouting")[0] == "ip saddr 10.244.0.0/16 jump short-cuts");
  CHECK(cuts.at("prerouting")[1] == "ip6 saddr fd00:244::/56 jump short-cuts");
  CHECK(
      cuts.at("external-local") ==
      with_hairpins({"fib saddr type local masquerade fully-random",
                     "ip saddr 10.244.0.0/16 ip saddr != 10.244.1.0/24 masquerade fully-random"}));
}

TEST_CASE("a rule for TCP without an address is written with its family") {
  CHECK(written({}).at("invalid-resets") ==
        Lines{"meta nfproto ipv4 tcp flags rst drop", "meta nfproto ipv6 tcp flags rst drop"});
  CHECK(written({.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16}}})
            .at("invalid-resets")
            .back() == "meta nfproto ipv6 tcp flags rst drop");
}

TEST_CASE("the interface of Pods is written as nft prints it") {
  const Chains whole = written({.local_by = LocalBy::kInterface, .pod_interface = "cni0"});
  CHECK(whole.at("cluster-ip").front() ==
        "ip saddr != 127.0.0.0/8 iifname != \"cni0\" masquerade fully-random");
  CHECK(whole.at("prerouting").front() == "iifname \"cni0\" jump short-cuts");
  const Chains prefix =
      written({.local_by = LocalBy::kNamePrefix, .pod_interface = "exactly-fifteen"});
  CHECK(prefix.at("cluster-ip")[1] ==
        "ip6 saddr != ::1 iifname != \"exactly-fifteen*\" masquerade fully-random");
}

TEST_CASE("what drops refusals names the packet that is quoted") {
  const Chains chains = written({.drops_refusals = true});
  CHECK(chains.at("guard-output")[0] ==
        "icmp type destination-unreachable icmp code port-unreachable @th,192,32 @virtual-ips-4 "
        "drop");
  CHECK(chains.at("guard-output")[3].starts_with("icmpv6 type destination-unreachable"));
}
