// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/rules.hpp"

#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <variant>

#include "ipvs/nftables/guard_rules.hpp"
#include "ipvs/nftables/statements.hpp"
#include "ipvs/state/networks.hpp"

namespace ipvs {
namespace {

using enum ElementKind;
using enum TrafficClass;

constexpr std::array<std::uint8_t, 3> kProtocols{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
constexpr std::array kChains{
    Chain{"cluster-ip", {}},
    Chain{"external", {}},
    Chain{"external-local", {}},
    Chain{"node-port", {}},
    Chain{"services-4", {}},
    Chain{"services-6", {}},
    Chain{"short-cuts", {}},
    Chain{"limits", {}},
    Chain{"invalid", {}},
    Chain{"invalid-resets", {}},
    Chain{"refuse", {}},
    Chain{"refusals", {}},
    Chain{"arriving", {}},
    Chain{"leaving", {}},
    Chain{"entering", {}},
    Chain{"closed-ports", {}},
    // Before the redirections of others, which are at -100. (The kernel runs all nat chains of a
    // hook at -100 and orders them among each other by these numbers.) IPVS takes host traffic in
    // LOCAL_OUT at -99.
    Chain{"prerouting", Chain::Hook{"nat", NF_INET_PRE_ROUTING, -110}},
    Chain{"output", Chain::Hook{"nat", NF_INET_LOCAL_OUT, -110}},
    // With the addresses the client wrote, before any translation.
    Chain{"guard-prerouting", Chain::Hook{"filter", NF_INET_PRE_ROUTING, -120}},
    Chain{"guard-output", Chain::Hook{"filter", NF_INET_LOCAL_OUT, -120}},
    // Before IPVS, which takes arriving packets in LOCAL_IN at 98 and 99 and the host's at -99.
    Chain{"guard-input", Chain::Hook{"filter", NF_INET_LOCAL_IN, 90}},
    // After IPVS.
    Chain{"input", Chain::Hook{"filter", NF_INET_LOCAL_IN, 110}},
    Chain{"postrouting", Chain::Hook{"nat", NF_INET_POST_ROUTING, 100}},
};

// What the client wrote as destination. Connection tracking keeps it for as long as the flow lives,
// whatever is translated and whoever sets marks.
expression::LoadConntrack load_original(std::uint32_t key, std::uint32_t to) {
  return {.key = key, .to = to, .direction = IP_CT_DIR_ORIGINAL};
}

// meta l4proto . ct original proto-dst @set. `nft` gives that port a type, and so reads the rule,
// only if the rule compares the protocol as well: hence a rule for each.
Expressions original_port_in(std::uint32_t protocol, std::uint32_t port, std::uint32_t key,
                             std::string_view set) {
  return {expression::LoadMeta{NFT_META_L4PROTO, protocol}, load_original(NFT_CT_PROTO_DST, port),
          expression::Lookup{key, set}};
}

// The source is an address of this host.
Expressions is_from_this_host() {
  return {expression::LoadSourceType{NFT_REG_1},
          expression::Compare{NFT_CMP_EQ, NFT_REG_1, RegisterValue::of_u32(RTN_LOCAL)}};
}

// The rules of each chain; one per family where they match addresses.

// A pod that reaches itself, or the host: here the source and the endpoint that IPVS chose are the
// same.
void add_hairpins(std::string_view chain, std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    out.push_back({chain, is_family(f) +
                              Expressions{network_header(f.source, f.length, NFT_REG_1),
                                          network_header(f.destination, f.length, f.second),
                                          expression::Lookup{NFT_REG_1, f.set(kHairpin)}} +
                              masquerade()});
  }
}

// A source of 127.0.0.0/8 or ::1 is left alone, as in kube-proxy.
Expressions is_no_loopback(const FamilyFacts& f) {
  using boost::asio::ip::address_v4;
  using boost::asio::ip::address_v6;
  const Network loopback = f.family == Family::kIpv4
                               ? Network{.address = address_v4(0x7f000000), .prefix_length = 8}
                               : Network{.address = address_v6::loopback(), .prefix_length = 128};
  return is_family(f) + compare_network(f, f.source, NFT_CMP_NEQ, loopback);
}

// What arrived on the interface of Pods, or with NFT_CMP_NEQ did not: also what this host itself
// sends. At postrouting the kernel still knows the interface (Linux 5.7), and IPVS leaves it there
// (ipvs/nftables/adr-local-traffic.md).
Expressions compare_interface(const TableRules& rules, std::uint32_t operation) {
  const auto name = rules.local_by == LocalBy::kNamePrefix
                        ? RegisterValue::of_text(rules.pod_interface)
                        : RegisterValue::of_name(rules.pod_interface);
  return {expression::LoadMeta{NFT_META_IIFNAME, NFT_REG_1},
          expression::Compare{operation, NFT_REG_1, name}};
}

void add_cluster_ip(const TableRules& rules, std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    Expressions outside;
    bool everything_is_inside = false;
    if (is_by_interface(rules)) {
      outside = compare_interface(rules, NFT_CMP_NEQ);
    } else {
      for (const Network& network : local_networks(rules)) {
        if (family_of(network.address) != f.family) continue;
        everything_is_inside |= network.prefix_length == 0;
        outside = outside + compare_network(f, f.source, NFT_CMP_NEQ, network);
      }
    }
    if (rules.masquerade_all) {
      out.push_back({"cluster-ip", is_no_loopback(f) + masquerade()});
    } else if (outside.empty() || everything_is_inside) {
      out.push_back({"cluster-ip", address_in(f, f.source, f.set(kVirtualIp)) + masquerade()});
    } else {
      out.push_back({"cluster-ip", is_no_loopback(f) + outside + masquerade()});
    }
  }
  if (!rules.masquerade_all) add_hairpins("cluster-ip", out);
}

void add_external(std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    out.push_back({"external", is_no_loopback(f) + masquerade()});
  }
}

// Matches a client of the cluster on none of this node's Pod networks. Empty if these are not
// known, or if they are all that the cluster has.
Expressions is_elsewhere(const TableRules& rules, const FamilyFacts& f) {
  Expressions result;
  if (rules.own_pods == rules.pod_sources) return result;
  for (const Network& own : rules.own_pods) {
    if (family_of(own.address) == f.family)
      result = result + compare_network(f, f.source, NFT_CMP_NEQ, own);
  }
  return result;
}

// A flow that takes a short cut may lead to an endpoint on another node. If its client is not a Pod
// of this node, the reply would not pass through this node, or would be sent to an address that the
// other node has no route to. So the flow is masqueraded: the endpoint answers to this node.
void add_external_local(const TableRules& rules, std::vector<Rule>& out) {
  out.push_back({"external-local", is_from_this_host() + masquerade()});
  for (const Network& network : rules.pod_sources) {
    const FamilyFacts& f = kFamilies[family_of(network.address) == Family::kIpv4 ? 0 : 1];
    const Expressions elsewhere = is_elsewhere(rules, f);
    if (elsewhere.empty()) continue;
    out.push_back({"external-local", is_family(f) +
                                         compare_network(f, f.source, NFT_CMP_EQ, network) +
                                         elsewhere + masquerade()});
  }
  add_hairpins("external-local", out);
}

void add_node_port(std::vector<Rule>& out) {
  const auto dispatch = [&](std::string_view set, std::string_view chain) {
    for (const std::uint8_t protocol : kProtocols) {
      out.push_back({"node-port", compare_protocol(NFT_CMP_EQ, protocol) +
                                      original_port_in(NFT_REG_1, NFT_REG32_01, NFT_REG_1, set) +
                                      verdict(NFT_GOTO, chain)});
    }
  };
  dispatch("node-ports", "external");
  dispatch("node-ports-local", "external-local");
}

// Which class of Service traffic a new flow is, by what its client wrote; flows to no Service leave
// these chains untouched.
void add_services(const FamilyFacts& f, std::vector<Rule>& out) {
  const auto dispatch = [&](TrafficClass traffic_class, std::string_view chain) {
    for (const std::uint8_t protocol : kProtocols) {
      out.push_back({f.services, compare_protocol(NFT_CMP_EQ, protocol) +
                                     Expressions{load_original(f.client_wrote, NFT_REG_1)} +
                                     original_port_in(f.second, f.third, NFT_REG_1,
                                                      f.set(kServiceIp, traffic_class)) +
                                     verdict(NFT_GOTO, chain)});
    }
  };
  dispatch(kClusterIp, "cluster-ip");
  dispatch(kExternal, "external");
  dispatch(kExternalLocal, "external-local");
  out.push_back({f.services, Expressions{load_original(f.client_wrote, NFT_REG_1),
                                         expression::Lookup{NFT_REG_1, f.set(kNodeAddress)}} +
                                 verdict(NFT_GOTO, "node-port")});
}

// Redirects clients of the cluster from an external address, which has only this node's endpoints,
// to the cluster IP, which has all. The map's value is stored where its key was: the address in
// register 1, the port after it.
void add_short_cuts(std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    const auto redirect = [&](std::string_view map) {
      return Expressions{
          expression::Lookup{.from = NFT_REG_1, .set = map, .to = NFT_REG_1},
          expression::DestinationNat{.family = f.family, .from = NFT_REG_1, .port_from = f.second}};
    };
    out.push_back(
        {"short-cuts", is_family(f) + load_destination_service(f) + redirect(f.set(kShortCutIp))});
    out.push_back({"short-cuts", address_in(f, f.destination, f.set(kNodeAddress)) +
                                     load_protocol_port(NFT_REG_1, NFT_REG32_01) +
                                     redirect(f.set(kShortCutNodePort))});
  }
}

// `dnat to ip daddr`: see the head of ipvs/nftables/table.hpp. What is no virtual IP is an address of
// this node's own; there it holds for the ports of Services alone.
void add_fixed_destination(std::string_view chain, std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    const auto keep = [&](const Expressions& matches) {
      out.push_back(
          {chain, matches + Expressions{network_header(f.destination, f.length, NFT_REG_1),
                                        expression::DestinationNat{f.family, NFT_REG_1}}});
    };
    // The most frequent first.
    keep(address_in(f, f.destination, f.set(kVirtualIp)));
    keep(node_port_in(f, "node-ports"));
    keep(node_port_in(f, "node-ports-local"));
    for (const TrafficClass traffic_class : {kClusterIp, kExternal, kExternalLocal}) {
      keep(destination_service_in(f, f.set(kServiceIp, traffic_class)));
    }
  }
}

void add_destination_hooks(const TableRules& rules, std::vector<Rule>& out) {
  if (is_by_interface(rules)) {
    out.push_back(
        {"prerouting", compare_interface(rules, NFT_CMP_EQ) + verdict(NFT_JUMP, "short-cuts")});
  }
  for (const Network& network : rules.pod_sources) {
    const FamilyFacts& f = kFamilies[family_of(network.address) == Family::kIpv4 ? 0 : 1];
    out.push_back({"prerouting", is_family(f) + compare_network(f, f.source, NFT_CMP_EQ, network) +
                                     verdict(NFT_JUMP, "short-cuts")});
  }
  add_fixed_destination("prerouting", out);
  out.push_back({"output", verdict(NFT_JUMP, "short-cuts")});
  add_fixed_destination("output", out);
}

void add_postrouting(std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    out.push_back({"postrouting", is_family(f) + verdict(NFT_GOTO, f.services)});
  }
}

// An inverted look-up matches in an empty set, too.
bool reads_empty_set(const Rule& rule, const SetsInUse& sets) {
  return std::any_of(
      rule.expressions.begin(), rule.expressions.end(), [&](const Expression& expression) {
        const auto* lookup = std::get_if<expression::Lookup>(&expression);
        if (!lookup || lookup->inverted) return false;
        const TableSet* set = set_named(lookup->set);
        return set &&
               !sets.contains(set->kind, set->traffic_class, set->family.value_or(Family::kIpv4));
      });
}

const expression::Verdict* verdict_of(const Rule& rule) {
  return rule.expressions.empty() ? nullptr
                                  : std::get_if<expression::Verdict>(&rule.expressions.back());
}

// A rule that leads to a chain without rules does nothing either, but for a `goto` that keeps the
// packet from the rules after it.
bool leads_nowhere(const std::vector<Rule>& rules, std::size_t index) {
  const Rule& rule = rules[index];
  const expression::Verdict* verdict = verdict_of(rule);
  if (!verdict || verdict->chain.empty()) return false;
  const auto is_in = [](std::string_view chain) {
    return [chain](const Rule& other) { return other.chain == chain; };
  };
  if (std::any_of(rules.begin(), rules.end(), is_in(verdict->chain))) return false;
  const auto next = rules.begin() + static_cast<std::ptrdiff_t>(index) + 1;
  return verdict->code == NFT_JUMP || std::none_of(next, rules.end(), is_in(rule.chain));
}

void drop_idle(std::vector<Rule>& rules, const SetsInUse& sets) {
  std::erase_if(rules, [&](const Rule& rule) { return reads_empty_set(rule, sets); });
  // A chain that loses its last rule makes those that lead to it idle.
  std::size_t before = 0;
  do {
    before = rules.size();
    for (std::size_t index = before; index-- > 0;) {
      if (leads_nowhere(rules, index)) {
        rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(index));
      }
    }
  } while (rules.size() != before);
}

}  // namespace

std::span<const Chain> table_chains() { return kChains; }

bool masquerades(const Chain& chain) {
  static constexpr std::array<std::string_view, 7> kNames{
      "postrouting", "services-4",     "services-6", "cluster-ip",
      "external",    "external-local", "node-port"};
  return std::find(kNames.begin(), kNames.end(), chain.name) != kNames.end();
}

bool masquerades(ElementKind kind) {
  static constexpr std::array kKinds{kServiceIp, kNodePort,  kNodeAddress,  kVirtualIp,
                                     kHairpin,   kLimitedIp, kAllowedSource};
  return std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end();
}

std::vector<Rule> table_rules(const TableRules& rules) {
  std::vector<Rule> out;
  add_cluster_ip(rules, out);
  add_external(out);
  add_external_local(rules, out);
  add_node_port(out);
  for (const FamilyFacts& f : kFamilies) add_services(f, out);
  add_short_cuts(out);
  add_destination_hooks(rules, out);
  add_guard_rules(rules, out);
  add_postrouting(out);
  drop_idle(out, rules.sets);
  return out;
}

}  // namespace ipvs
