// SPDX-License-Identifier: Apache-2.0
//
// Our rule in FORWARD chains as Docker, ufw and nft scripts make them, and that their own tools can
// still read them.
#include "ipvs/nftables/forward_chains.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "ipvs/nftables/monitor.hpp"
#include "test/kernel/nft_fixture.hpp"

using namespace ipvs;
using namespace nft_test;
using Catch::Matchers::ContainsSubstring;

namespace {

ForwardChains open_chains() { return std::move(ForwardChains::open().value()); }

ForwardChain chain_called(ForwardChains& chains, const std::string& text) {
  const auto all = chains.read();
  REQUIRE(all.has_value());
  const auto found =
      std::find_if(all->begin(), all->end(), [&](const auto& c) { return c.text() == text; });
  INFO(text);
  REQUIRE(found != all->end());
  return *found;
}

}  // namespace

TEST_CASE("a FORWARD chain of iptables gets our rule, in a form that iptables lists",
          "[kernel][nft]") {
  enter_new_network();
  ForwardChains chains = open_chains();
  REQUIRE(chains.read()->empty());
  for (const std::string tool : {"iptables-nft", "ip6tables-nft"}) {
    CAPTURE(tool);
    must(tool + " -P FORWARD DROP");
    must(tool + " -A FORWARD -p tcp --dport 9 -j DROP");
    const std::string name = tool == "iptables-nft" ? "ip filter FORWARD" : "ip6 filter FORWARD";
    const ForwardChain before = chain_called(chains, name);
    CHECK(before.drops);
    CHECK(before.our_rules.empty());

    REQUIRE(chains.accept_replies(before) == 0);
    const std::string listed = must(tool + " -S FORWARD");
    const auto ours = listed.find(
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment "
        "\"kube-ipvs: replies of endpoints\" -j ACCEPT");
    INFO(listed);
    REQUIRE(ours != std::string::npos);
    CHECK(ours < listed.find("--dport 9"));

    const ForwardChain with = chain_called(chains, name);
    CHECK(with.our_rules.size() == 1);
    REQUIRE(chains.withdraw(with) == 0);
    CHECK(chain_called(chains, name).our_rules.empty());
    CHECK_THAT(must(tool + " -S FORWARD"), ContainsSubstring("--dport 9"));
  }
}

TEST_CASE("a forward chain of an nft script gets our rule as nft writes it", "[kernel][nft]") {
  enter_new_network();
  must("nft add table inet fw");
  must("nft add chain inet fw f '{ type filter hook forward priority 0; policy drop; }'");
  ForwardChains chains = open_chains();
  REQUIRE(chains.accept_replies(chain_called(chains, "inet fw f")) == 0);
  CHECK_THAT(must("nft list chain inet fw f"),
             ContainsSubstring("ct state established,related accept comment "
                               "\"kube-ipvs: replies of endpoints\""));
  CHECK(chains.withdraw(chain_called(chains, "inet fw f")) == 0);
  CHECK_THAT(must("nft list chain inet fw f"), !ContainsSubstring("kube-ipvs"));
}

TEST_CASE("the policy of iptables-legacy is read, and its module is not loaded for that",
          "[kernel][nft]") {
  enter_new_network();
  ForwardChains chains = open_chains();
  CHECK(chains.read()->empty());
  for (const std::string tool : {"iptables-legacy", "ip6tables-legacy"}) {
    must(tool + " -A FORWARD -p tcp --dport 9 -j ACCEPT");
    CHECK_FALSE(chain_called(chains, tool + " filter FORWARD").drops);
    must(tool + " -P FORWARD DROP");
    const ForwardChain chain = chain_called(chains, tool + " filter FORWARD");
    CHECK(chain.drops);
    CHECK(chain.legacy);
    CHECK(chains.accept_replies(chain) == EOPNOTSUPP);
  }
}

TEST_CASE("the monitor reports policies at the forward hook and the deletion of our rule",
          "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  auto monitor = NftMonitor::open(client.own_port());
  REQUIRE(monitor.has_value());
  must("iptables-nft -P OUTPUT ACCEPT");
  monitor->drain();
  must("iptables-nft -A OUTPUT -j ACCEPT");
  CHECK_FALSE(monitor->drain().forwarding);
  must("iptables-nft -P FORWARD DROP");
  CHECK(monitor->drain().forwarding);

  ForwardChains chains = open_chains();
  REQUIRE(chains.accept_replies(chain_called(chains, "ip filter FORWARD")) == 0);
  CHECK_FALSE(monitor->drain().forwarding);
  must("iptables-nft -A FORWARD -p tcp --dport 9 -j DROP");
  must("iptables-nft -D FORWARD -p tcp --dport 9 -j DROP");
  CHECK_FALSE(monitor->drain().forwarding);
  must("iptables-nft -F FORWARD");
  CHECK(monitor->drain().forwarding);
}
