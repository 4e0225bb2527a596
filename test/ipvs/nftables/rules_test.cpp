// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/rules.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>

#include "ipvs/nftables/table.hpp"

using namespace ipvs;

namespace {

Address address(const char* text) { return boost::asio::ip::make_address(text); }

std::vector<Rule> rules_in(const std::vector<Rule>& rules, std::string_view chain) {
  std::vector<Rule> result;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(result),
               [&](const Rule& rule) { return rule.chain == chain; });
  return result;
}

bool is_chain(std::string_view name) {
  return std::any_of(table_chains().begin(), table_chains().end(),
                     [&](const Chain& chain) { return chain.name == name; });
}

template <typename Kind>
std::vector<Kind> all_of(const Rule& rule) {
  std::vector<Kind> result;
  for (const Expression& expression : rule.expressions) {
    if (const auto* one = std::get_if<Kind>(&expression)) result.push_back(*one);
  }
  return result;
}

std::vector<TableRules> variants() {
  return {{},
          {.masquerade_all = true, .cluster_cidrs = {}},
          {.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16},
                             {.address = address("fd00:244::"), .prefix_length = 56}}},
          {.pod_sources = {{.address = address("10.244.0.0"), .prefix_length = 16},
                           {.address = address("fd00:244::"), .prefix_length = 56}},
           .own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24}}},
          {.local_by = LocalBy::kOwnPods,
           .own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24}}},
          {.local_by = LocalBy::kNamePrefix, .pod_interface = "cali"},
          {.drops_refusals = true}};
}

}  // namespace

TEST_CASE("rules name only chains and sets that exist") {
  for (const TableRules& variant : variants()) {
    for (const Rule& rule : table_rules(variant)) {
      CHECK(is_chain(rule.chain));
      for (const auto& verdict : all_of<expression::Verdict>(rule)) {
        const bool ends = verdict.chain.empty();
        CHECK((ends || is_chain(verdict.chain)));
      }
      for (const auto& lookup : all_of<expression::Lookup>(rule)) CHECK(set_named(lookup.set));
    }
  }
}

TEST_CASE("every set is used by some rule") {
  std::set<std::string_view> used;
  for (const Rule& rule : table_rules({})) {
    for (const auto& lookup : all_of<expression::Lookup>(rule)) used.insert(lookup.set);
  }
  for (const TableSet& set : table_sets()) CHECK(used.contains(set.name));
}

TEST_CASE("refusals of Services are dropped only while schedulers change (18.2)") {
  const auto quiet = rules_in(table_rules({.drops_refusals = true}), "guard-output");
  const auto usual = rules_in(table_rules({}), "guard-output");
  REQUIRE(quiet.size() == usual.size() + 4);  // of each family, virtual IPs and node addresses
  CHECK(quiet.back() == usual.back());
  std::vector<std::uint32_t> offsets;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto loads = all_of<expression::LoadPayload>(quiet[i]);
    REQUIRE(loads.size() == 3);
    offsets.push_back(loads.back().offset);
    CHECK(all_of<expression::Verdict>(quiet[i]).back().code == NF_DROP);
  }
  CHECK(offsets == std::vector<std::uint32_t>{24, 24, 32, 32});
}

TEST_CASE("masquerade-all compares no address but loopback") {
  const auto rules =
      rules_in(table_rules({.masquerade_all = true, .cluster_cidrs = {}}), "cluster-ip");
  REQUIRE(rules.size() == 2);  // one for each family
  for (const Rule& rule : rules) CHECK(all_of<expression::LoadPayload>(rule).size() == 1);
  CHECK(all_of<expression::Compare>(rules[1]).back().value == RegisterValue::of(address("::1")));
}

TEST_CASE("a family without a pod network masquerades flows from a virtual IP") {
  const TableRules settings{
      .cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16}}};
  const auto rules = rules_in(table_rules(settings), "cluster-ip");
  REQUIRE(rules.size() == 4);  // with the two of pods that reach themselves
  CHECK(all_of<expression::Lookup>(rules[0]).empty());
  const auto lookups = all_of<expression::Lookup>(rules[1]);
  REQUIRE(lookups.size() == 1);
  CHECK(lookups[0].set == "virtual-ips-6");
}

TEST_CASE("a pod network that covers every address has no outside") {
  const TableRules settings{.cluster_cidrs = {{.address = address("0.0.0.0"), .prefix_length = 0}}};
  const auto with = rules_in(table_rules(settings), "cluster-ip");
  const auto without = rules_in(table_rules({}), "cluster-ip");
  CHECK(with == without);
}

TEST_CASE("host bits of a pod network are ignored") {
  const TableRules tidy{.cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 17}}};
  const TableRules untidy{
      .cluster_cidrs = {{.address = address("10.244.127.9"), .prefix_length = 17}}};
  CHECK(table_rules(tidy) == table_rules(untidy));
}

TEST_CASE("several pod networks of a family are one rule: outside of all of them") {
  const TableRules settings{
      .cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16},
                        {.address = address("10.1.2.3"), .prefix_length = 32}}};
  const auto rules = rules_in(table_rules(settings), "cluster-ip");
  REQUIRE(rules.size() == 4);
  const auto comparisons = all_of<expression::Compare>(rules[0]);
  REQUIRE(comparisons.size() == 4);  // the family, loopback, then the two
  CHECK(comparisons[2].operation == NFT_CMP_NEQ);
  CHECK(comparisons[2].value == RegisterValue::of(address("10.244.0.0")));
  CHECK(comparisons[3].operation == NFT_CMP_NEQ);
  CHECK(comparisons[3].value == RegisterValue::of(address("10.1.2.3")));
}

TEST_CASE("with an interface of Pods what arrived elsewhere is masqueraded (18.2)") {
  for (const LocalBy by : {LocalBy::kInterface, LocalBy::kNamePrefix}) {
    const TableRules settings{
        .local_by = by,
        .pod_interface = "cni0",
        .cluster_cidrs = {{.address = address("0.0.0.0"), .prefix_length = 0}}};
    const auto rules = rules_in(table_rules(settings), "cluster-ip");
    REQUIRE(rules.size() == 4);  // with the two of pods that reach themselves
    for (std::size_t family = 0; family < 2; ++family) {
      const auto loads = all_of<expression::LoadMeta>(rules[family]);
      REQUIRE(loads.size() == 2);  // the family, and
      CHECK(loads[1].key == NFT_META_IIFNAME);
      const auto comparison = all_of<expression::Compare>(rules[family]).back();
      CHECK(comparison.operation == NFT_CMP_NEQ);
      // The whole name, or so much of it.
      CHECK(comparison.value.size == (by == LocalBy::kInterface ? 16 : 4));
    }
    const Rule first = rules_in(table_rules(settings), "prerouting").front();
    CHECK(all_of<expression::LoadMeta>(first).front().key == NFT_META_IIFNAME);
    CHECK(all_of<expression::Compare>(first).front().operation == NFT_CMP_EQ);
    CHECK(all_of<expression::Verdict>(first).front().chain == "short-cuts");
  }
}

TEST_CASE("with the networks of this node's Pods those of the cluster are not local (18.2)") {
  const TableRules settings{
      .local_by = LocalBy::kOwnPods,
      .cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16}},
      .own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24}}};
  const auto rules = rules_in(table_rules(settings), "cluster-ip");
  CHECK(all_of<expression::Compare>(rules[0]).back().value ==
        RegisterValue::of(address("10.244.1.0")));
  // They say where endpoints are, all the same.
  const auto resets = rules_in(table_rules(settings), "invalid-resets");
  CHECK(resets ==
        rules_in(table_rules({.cluster_cidrs = settings.cluster_cidrs}), "invalid-resets"));
}

TEST_CASE("clients of the cluster on other nodes are masqueraded when they take a short cut") {
  const std::vector<Rule> rules = rules_in(
      table_rules({.pod_sources = {{.address = address("10.244.0.0"), .prefix_length = 16},
                                   {.address = address("fd00:244::"), .prefix_length = 56}},
                   .own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24},
                                {.address = address("10.244.9.0"), .prefix_length = 24}}}),
      "external-local");
  REQUIRE(rules.size() == 4);  // this host's, those, and pods that reach themselves
  REQUIRE(all_of<expression::Masquerade>(rules[1]).size() ==
          1);  // none says which IPv6 Pods are here
  const auto comparisons = all_of<expression::Compare>(rules[1]);
  REQUIRE(comparisons.size() == 4);  // the family, the cluster's network, and the two of this node
  CHECK(comparisons[1].operation == NFT_CMP_EQ);
  CHECK(comparisons[2].operation == NFT_CMP_NEQ);
  CHECK(comparisons[2].value == RegisterValue::of(address("10.244.1.0")));
  CHECK(comparisons[3].operation == NFT_CMP_NEQ);
  CHECK(comparisons[3].value == RegisterValue::of(address("10.244.9.0")));
}

TEST_CASE("no rule reads or writes a mark: other software does (E5)") {
  for (const TableRules& variant : variants()) {
    for (const Rule& rule : table_rules(variant)) {
      for (const auto& load : all_of<expression::LoadConntrack>(rule))
        CHECK(load.key != NFT_CT_MARK);
      for (const auto& load : all_of<expression::LoadMeta>(rule)) CHECK(load.key != NFT_META_MARK);
    }
  }
}

TEST_CASE("a flow is masqueraded only by rules that a Service's address leads to (E1)") {
  for (const TableRules& variant : variants()) {
    for (const Rule& rule : rules_in(table_rules(variant), "postrouting")) {
      CHECK(all_of<expression::Masquerade>(rule).empty());
    }
    for (const char* services : {"services-4", "services-6", "node-port"}) {
      for (const Rule& rule : rules_in(table_rules(variant), services)) {
        CHECK(all_of<expression::Masquerade>(rule).empty());
        CHECK(all_of<expression::Lookup>(rule).size() == 1);
      }
    }
  }
}

TEST_CASE("if only this node's Pods are clients of the cluster, none is on another node") {
  const std::vector<Network> own{{.address = address("10.244.1.0"), .prefix_length = 24}};
  CHECK(table_rules({.pod_sources = own, .own_pods = own}) == table_rules({.pod_sources = own}));
}

// What an established flow pays in our filter chains: one comparison each.
TEST_CASE("each filter chain of a hook has one rule, and that is for new or invalid packets") {
  for (const Chain& chain : table_chains()) {
    if (!chain.hook || chain.hook->type != "filter") continue;
    const auto rules = rules_in(table_rules({}), chain.name);
    REQUIRE(rules.size() == 1);
    REQUIRE(rules[0].expressions.size() == 4);
    CHECK(all_of<expression::LoadConntrack>(rules[0])[0].key == NFT_CT_STATE);
    CHECK(all_of<expression::Verdict>(rules[0])[0].code == NFT_JUMP);
  }
}

TEST_CASE("where no Pod network is known, no reset of an invalid segment leaves (E2)") {
  const auto known = rules_in(table_rules(variants()[2]), "invalid-resets");
  const auto unknown = rules_in(table_rules({}), "invalid-resets");
  CHECK(known.size() == 4);  // for each family: the Pods, and the endpoints of this node
  REQUIRE(unknown.size() == 2);
  for (const Rule& rule : unknown) {
    CHECK(all_of<expression::Lookup>(rule).empty());
    CHECK(all_of<expression::Compare>(rule).size() == 3);  // family, TCP, reset
  }
}

TEST_CASE("a prefix mask has as many leading one bits as the prefix is long") {
  const auto mask = [](Family family, std::uint8_t length) {
    std::string text;
    const RegisterValue value = RegisterValue::prefix_mask(family, length);
    for (std::size_t i = 0; i < value.size; ++i)
      text += std::to_string(std::to_integer<int>(value.bytes[i])) + ".";
    return text;
  };
  CHECK(mask(Family::kIpv4, 0) == "0.0.0.0.");
  CHECK(mask(Family::kIpv4, 9) == "255.128.0.0.");
  CHECK(mask(Family::kIpv4, 32) == "255.255.255.255.");
  CHECK(mask(Family::kIpv4, 200) == "255.255.255.255.");
  CHECK(mask(Family::kIpv6, 127) ==
        "255.255.255.255.255.255.255.255.255.255.255.255.255.255.255.254.");
}

TEST_CASE("rules that read empty sets are left out, and the others keep their order") {
  SetsInUse few;
  few.add(Element{.kind = ElementKind::kServiceIp, .address = address("10.96.0.1"), .port = 80});
  few.add(Element{.kind = ElementKind::kVirtualIp, .address = address("10.96.0.1")});
  for (TableRules variant : variants()) {
    const auto all = table_rules(variant);
    for (const SetsInUse& sets : {SetsInUse(), few}) {
      variant.sets = sets;
      const auto some = table_rules(variant);
      CHECK(some.size() < all.size() / 2);
      auto next = all.begin();
      for (const Rule& rule : some) {
        next = std::find(next, all.end(), rule);
        REQUIRE(next != all.end());
        ++next;
        for (const auto& lookup : all_of<expression::Lookup>(rule)) {
          const TableSet* set = set_named(lookup.set);
          CHECK(sets.contains(set->kind, set->traffic_class, set->family.value_or(Family::kIpv4)));
        }
        for (const auto& verdict : all_of<expression::Verdict>(rule)) {
          if (verdict.code != NFT_JUMP) continue;
          CHECK_FALSE(rules_in(some, verdict.chain).empty());
        }
      }
    }
  }
}

TEST_CASE("a new flow of a cluster IP meets a few rules where no Service asks for more") {
  TableRules rules = variants()[2];
  rules.sets = SetsInUse();
  rules.sets.add(Element{.kind = ElementKind::kServiceIp, .address = address("10.96.0.1")});
  rules.sets.add(Element{.kind = ElementKind::kVirtualIp, .address = address("10.96.0.1")});
  rules.sets.add(Element{.kind = ElementKind::kHairpin, .address = address("10.244.1.5")});
  const auto some = table_rules(rules);
  for (const char* chain : {"guard-input", "entering", "refusals", "limits", "short-cuts"}) {
    INFO(chain);
    CHECK(rules_in(some, chain).empty());
  }
  CHECK(rules_in(some, "prerouting").size() == 2);
  CHECK(rules_in(some, "postrouting").size() == 1);
  CHECK(rules_in(some, "services-4").size() == 3);  // one for each protocol
  CHECK(rules_in(some, "services-6").empty());
}
