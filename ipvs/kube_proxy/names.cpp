// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/names.hpp"

#include <linux/netfilter.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace ipvs {
namespace {

constexpr std::string_view kOwnTable = "kube-proxy";  // of its nftables mode

constexpr std::string_view kNames[] = {
    kServicesChain,         "KUBE-EXTERNAL-SERVICES",     "KUBE-NODEPORTS",
    "KUBE-NODE-PORT",       "KUBE-LOAD-BALANCER",         "KUBE-FORWARD",
    "KUBE-PROXY-CANARY",    "KUBE-PROXY-FIREWALL",        "KUBE-IPVS-FILTER",
    "KUBE-IPVS-OUT-FILTER", "KUBE-SOURCE-RANGES-FIREWALL"};
constexpr std::string_view kPrefixes[] = {"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-",
                                          "KUBE-EXT-", "KUBE-XLB-", "KUBE-FW-"};
constexpr std::string_view kShared[] = {"KUBE-MARK-MASQ", "KUBE-POSTROUTING"};

// Those of IPv4; of IPv6 see below.
constexpr std::string_view kSets[] = {"KUBE-LOOP-BACK",
                                      "KUBE-CLUSTER-IP",
                                      "KUBE-EXTERNAL-IP",
                                      "KUBE-EXTERNAL-IP-LOCAL",
                                      "KUBE-LOAD-BALANCER",
                                      "KUBE-LOAD-BALANCER-FW",
                                      "KUBE-LOAD-BALANCER-LOCAL",
                                      "KUBE-LOAD-BALANCER-SOURCE-IP",
                                      "KUBE-LOAD-BALANCER-SOURCE-CIDR",
                                      "KUBE-NODE-PORT-TCP",
                                      "KUBE-NODE-PORT-LOCAL-TCP",
                                      "KUBE-NODE-PORT-UDP",
                                      "KUBE-NODE-PORT-LOCAL-UDP",
                                      "KUBE-NODE-PORT-SCTP-HASH",
                                      "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
                                      "KUBE-HEALTH-CHECK-NODE-PORT",
                                      "KUBE-IPVS-IPS"};
constexpr std::string_view kPrefix = "KUBE-", kPrefix6 = "KUBE-6-";
constexpr std::size_t kMaxSetName = 31;  // IPSET_MAXNAMELEN - 1: longer names are cut

template <typename Range>
bool contains(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

std::string name_for_ipv6(std::string_view name) {
  std::string text(kPrefix6);
  text += name.substr(kPrefix.size());
  text.resize(std::min(text.size(), kMaxSetName));
  return text;
}

bool counts_beside_others(const ChainName& chain) {
  return is_shared_chain(chain.name) || (chain.table == "nat" && chain.name == "KUBE-FIREWALL");
}

// As `grep -E` has it.
std::string chain_pattern() {
  std::string pattern;
  const auto add = [&](std::string_view name, std::string_view end) {
    pattern += pattern.empty() ? "KUBE-(" : "|";
    pattern += name.substr(kPrefix.size());
    pattern += end;
  };
  for (const std::string_view name : kNames) add(name, "\\b");
  for (const std::string_view name : kShared) add(name, "\\b");
  for (const std::string_view prefix : kPrefixes) add(prefix, "");
  return pattern + ")";
}

}  // namespace

bool is_kube_proxy_chain(std::string_view name) {
  return contains(kNames, name) ||
         std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_shared_chain(std::string_view name) { return contains(kShared, name); }

std::vector<KubeProxyChains> kube_proxy_chains(std::span<const ChainName> chains, bool legacy) {
  std::map<std::pair<std::uint8_t, std::string>, std::set<std::string>> certain, possible;
  for (const ChainName& chain : chains) {
    if (chain.family != NFPROTO_IPV4 && chain.family != NFPROTO_IPV6) continue;
    const std::pair table(chain.family, chain.table);
    if (is_kube_proxy_chain(chain.name) || (!legacy && chain.table == kOwnTable)) {
      certain[table].insert(chain.name);
    } else if (counts_beside_others(chain)) {
      possible[table].insert(chain.name);
    }
  }
  std::vector<KubeProxyChains> found;
  for (auto& [table, names] : certain) {
    names.merge(possible[table]);
    found.push_back({.family = table.first,
                     .table = table.second,
                     .names = {names.begin(), names.end()},
                     .legacy = legacy});
  }
  return found;
}

bool is_kube_proxy_set(std::string_view name) { return !kube_proxy_set_kind(name).empty(); }

std::string_view kube_proxy_set_kind(std::string_view name) {
  for (const std::string_view set : kSets) {
    if (name == set || name == name_for_ipv6(set)) return set.substr(kPrefix.size());
  }
  return {};
}

std::string legacy_command(const KubeProxyChains& chains) {
  const std::string tool = chains.family == NFPROTO_IPV6 ? "ip6tables-legacy-" : "iptables-legacy-";
  return tool + "save -t " + chains.table + " | grep -vE '" + chain_pattern() + "' | " + tool +
         "restore";
}

}  // namespace ipvs
