// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/guard_rules.hpp"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "ipvs/nftables/statements.hpp"

namespace ipvs {
namespace {

using enum ElementKind;
using enum TrafficClass;

// NF_CT_STATE_BIT(IP_CT_NEW) and NF_CT_STATE_INVALID_BIT, which no exported header has.
constexpr std::uint32_t kStateNew = 1U << (IP_CT_NEW + 1);
constexpr std::uint32_t kStateInvalid = 1;
// The byte of a TCP header with its flags, and one of them.
constexpr std::uint32_t kTcpFlags = 13;
constexpr std::uint8_t kTcpReset = 0x04;

// loadBalancerSourceRanges, for new flows from anywhere, this host included.
//
// When ranges shrink, the agent deletes the connection tracking entries of clients that lost their
// permission, so that their next packet begins a new flow. It may be the endpoint that sends next:
// IPVS knows the connection still and gives the packet the virtual IP as source. At postrouting
// such a flow is refused, too; otherwise the client's packets would be replies to it.
void add_limits(std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    const auto not_allowed = [&](std::uint32_t client) {
      return Expressions{
          network_header(client, f.length, f.fourth),
          expression::Lookup{
              .from = NFT_REG_1, .set = f.set(kAllowedSource), .to = {}, .inverted = true}};
    };
    out.push_back({"limits", destination_service_in(f, f.set(kLimitedIp)) +
                                 load_destination_service(f) + not_allowed(f.source) +
                                 verdict(NF_DROP)});
    out.push_back({"postrouting",
                   is_family(f) + load_source_service(f) +
                       Expressions{expression::Lookup{NFT_REG_1, f.set(kLimitedIp)}} +
                       load_source_service(f) + not_allowed(f.destination) + verdict(NF_DROP)});
  }
}

// A segment that connection tracking calls invalid, for instance one outside the window, has no
// connection, so it would leave untranslated, and whoever gets it would reset the connection. So
// what a client sends is dropped, as if it had been lost on the way.
void add_invalid(std::vector<Rule>& out) {
  const Expressions drop = verdict(NF_DROP);
  for (const FamilyFacts& f : kFamilies) {
    for (const TrafficClass traffic_class : {kClusterIp, kExternal, kExternalLocal}) {
      out.push_back(
          {"invalid", destination_service_in(f, f.set(kServiceIp, traffic_class)) + drop});
    }
    out.push_back({"invalid", node_port_in(f, "node-ports") + drop});
    out.push_back({"invalid", node_port_in(f, "node-ports-local") + drop});
  }
}

// What an endpoint answers to a masqueraded client is addressed to this host. If it is invalid, it
// reaches no socket here, and the host resets the connection: with a segment that is invalid, too,
// because no connection of its own has these ports. The endpoints are Pods of the cluster, or on
// this node; where nobody says which networks the Pods have, it may be any address.
void add_invalid_resets(const TableRules& rules, std::vector<Rule>& out) {
  const Expressions is_reset =
      compare_protocol(NFT_CMP_EQ, IPPROTO_TCP) +
      Expressions{
          expression::LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, kTcpFlags, 1, NFT_REG_1},
          expression::Bitwise{NFT_REG_1, RegisterValue::of_u8(kTcpReset), RegisterValue::zeros(1)},
          expression::Compare{NFT_CMP_NEQ, NFT_REG_1, RegisterValue::zeros(1)}};
  for (const FamilyFacts& f : kFamilies) {
    bool known = false;
    for (const Network& network : rules.cluster_cidrs) {
      if (family_of(network.address) != f.family) continue;
      known = true;
      out.push_back({"invalid-resets", is_family(f) +
                                           compare_network(f, f.destination, NFT_CMP_EQ, network) +
                                           is_reset + verdict(NF_DROP)});
    }
    if (!known) {
      out.push_back({"invalid-resets", is_family(f) + is_reset + verdict(NF_DROP)});
      continue;
    }
    out.push_back(
        {"invalid-resets", is_family(f) +
                               Expressions{network_header(f.destination, f.length, NFT_REG_1),
                                           network_header(f.destination, f.length, f.second),
                                           expression::Lookup{NFT_REG_1, f.set(kHairpin)}} +
                               is_reset + verdict(NF_DROP)});
  }
}

// See TableRules::drops_refusals. The packet that is answered begins 8 bytes into the ICMP message.
void drop_refusals(std::vector<Rule>& out) {
  constexpr std::uint32_t kQuoted = 8;
  for (const FamilyFacts& f : kFamilies) {
    const auto is_unreachable = [&](std::uint32_t offset, std::uint8_t value) {
      return Expressions{
          expression::LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER, offset, 1, NFT_REG_1},
          expression::Compare{NFT_CMP_EQ, NFT_REG_1, RegisterValue::of_u8(value)}};
    };
    const std::uint8_t type = f.family == Family::kIpv4 ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH;
    for (const ElementKind kind : {kVirtualIp, kNodeAddress}) {
      out.push_back(
          {"guard-output",
           is_family(f) + compare_protocol(NFT_CMP_EQ, f.icmp) + is_unreachable(0, type) +
               is_unreachable(1, f.port_unreachable) +
               Expressions{expression::LoadPayload{NFT_PAYLOAD_TRANSPORT_HEADER,
                                                   kQuoted + f.destination, f.length, NFT_REG_1},
                           expression::Lookup{NFT_REG_1, f.set(kind)}} +
               verdict(NF_DROP)});
    }
  }
}

// Of a flow's packets after the first, each runs at most these four rules: everything further is
// behind them.
void add_guard_hooks(std::vector<Rule>& out) {
  const Expressions new_or_invalid = has_state(kStateInvalid | kStateNew);
  out.push_back({"guard-prerouting", new_or_invalid + verdict(NFT_JUMP, "arriving")});
  out.push_back({"guard-output", new_or_invalid + verdict(NFT_JUMP, "leaving")});
  out.push_back({"guard-input", has_state(kStateNew) + verdict(NFT_JUMP, "entering")});
  out.push_back({"input", has_state(kStateNew) + verdict(NFT_JUMP, "closed-ports")});

  out.push_back({"arriving", has_state(kStateInvalid) + verdict(NFT_GOTO, "invalid")});
  out.push_back({"arriving", verdict(NFT_GOTO, "limits")});
  out.push_back({"leaving", has_state(kStateInvalid) + verdict(NFT_JUMP, "invalid-resets")});
  out.push_back({"leaving", has_state(kStateInvalid) + verdict(NFT_GOTO, "invalid")});
  out.push_back({"leaving", verdict(NFT_JUMP, "limits")});
  out.push_back({"leaving", verdict(NFT_GOTO, "refusals")});
}

// New flows to what has no endpoint are refused here and not by IPVS, whose ICMP replies the kernel
// limits to a few per second.
void add_guards(std::vector<Rule>& out) {
  out.push_back({"refuse", compare_protocol(NFT_CMP_EQ, IPPROTO_TCP) +
                               Expressions{expression::Reject{NFT_REJECT_TCP_RST, 0}}});
  out.push_back(
      {"refuse", {expression::Reject{NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH}}});
  for (const FamilyFacts& f : kFamilies) {
    const Expressions refuse = verdict(NFT_GOTO, "refuse");
    out.push_back({"refusals", destination_service_in(f, f.set(kGuardedIp, kRefused)) + refuse});
    out.push_back({"refusals", node_port_in(f, f.set(kGuardedNodePort, kRefused)) + refuse});
  }
  out.push_back({"entering", verdict(NFT_JUMP, "refusals")});
  for (const FamilyFacts& f : kFamilies) {
    const Expressions drop = verdict(NF_DROP);
    out.push_back({"entering", destination_service_in(f, f.set(kGuardedIp, kElsewhere)) + drop});
    out.push_back({"entering", node_port_in(f, f.set(kGuardedNodePort, kElsewhere)) + drop});
  }
}

// A packet still addressed to a virtual IP after IPVS is for a port without a Service. Echo
// requests are accepted: people ping their Services. So are a load balancer's health checks, which
// the agent itself answers.
void add_closed_ports(std::vector<Rule>& out) {
  for (const FamilyFacts& f : kFamilies) {
    out.push_back(
        {"closed-ports", destination_service_in(f, f.set(kHealthCheckIp)) + verdict(NF_ACCEPT)});
  }
  for (const FamilyFacts& f : kFamilies) {
    const Expressions to_vip = address_in(f, f.destination, f.set(kVirtualIp));
    out.push_back({"closed-ports", to_vip + compare_protocol(NFT_CMP_EQ, IPPROTO_TCP) +
                                       Expressions{expression::Reject{NFT_REJECT_TCP_RST, 0}}});
    out.push_back({"closed-ports", to_vip + compare_protocol(NFT_CMP_NEQ, f.icmp) +
                                       Expressions{expression::Reject{NFT_REJECT_ICMP_UNREACH,
                                                                      f.port_unreachable}}});
  }
}

}  // namespace

void add_guard_rules(const TableRules& rules, std::vector<Rule>& out) {
  add_limits(out);
  add_invalid(out);
  add_invalid_resets(rules, out);
  if (rules.drops_refusals) drop_refusals(out);
  add_guard_hooks(out);
  add_guards(out);
  add_closed_ports(out);
}

}  // namespace ipvs
