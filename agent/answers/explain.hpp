// SPDX-License-Identifier: Apache-2.0
//
// `explain`: the way of a packet through what this node's kernel holds, rule by rule and set by set.
//
// The rules are those that are sent to the kernel, run over the elements of the ledger
// (ipvs/nftables/walk.hpp); virtual servers, destinations and addresses are the ledger's. Nothing is
// derived from Services again but names and reasons: whose an address is, why there is no endpoint.
//
// The order of the hooks (Linux 5.9 to 6.18), for a packet that
//   arrives     guard-prerouting -120, prerouting -110, routing; if it is for this host: guard-input
//               90, IPVS 98, input 110
//   is sent     guard-output -120, output -110, IPVS -99; what IPVS does not take and is for this
//   here        host arrives by loopback: guard-prerouting, guard-input, IPVS, input
// What IPVS takes leaves by guard-output (only if it arrived) and postrouting, unless the endpoint is
// this host itself and the packet arrived: then it stays in the input hook (ip_vs_nat_xmit() in
// ip_vs_xmit.c), and nothing masquerades it.
//
// It is the way of a new connection: those that are open go on to their endpoint.
//
// Threading: reads state of the agent's io_context thread; no I/O. Work: proportional to the
// Service's entrances (kMostWays at most) and their destinations.
#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <set>
#include <span>

#include "agent/answers/explanation.hpp"
#include "agent/answers/question.hpp"
#include "agent/cluster/cluster_state.hpp"
#include "config/config.hpp"
#include "ipvs/state/desired.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/ledger.hpp"

namespace agent {

inline constexpr std::size_t kMostWays = 64;
inline constexpr std::size_t kMostEndpoints = 100;  // of a way; the client itself comes first

// What the answer is made of.
struct ExplainView {
  const ClusterState& cluster;
  const config::Config& config;
  const ipvs::Ledger& ledger;
  const ipvs::Desired& desired;
  // As the table was last installed with.
  const ipvs::TableRules& rules;
  // Virtual servers in the kernel that are not ours.
  const std::set<ipvs::ServerKey>& foreign;
  // Of others, those that drop and have no rule of ours.
  std::span<const ipvs::ForwardChain> forward_chains{};
  // VIPs are routes to kube-ipvs0 now and no addresses on it: what this host sends to one has another
  // source then.
  bool vips_are_routed = false;
};

// An error: what the question names does not exist.
[[nodiscard]] boost::system::result<Explanation, BadQuestion> explain(const Question& question,
                                                                      const ExplainView& view);

}  // namespace agent
