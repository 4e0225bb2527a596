// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/removal.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "ipvs/kube_proxy/names.hpp"

namespace ipvs {
namespace {

constexpr std::string_view kBuiltIn[] = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};

template <typename Range>
bool contains(const Range& range, std::string_view text) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

}  // namespace

ChainRemoval plan_removal(const KubeProxyChains& chains, std::span<const TableRule> rules) {
  ChainRemoval removal;
  std::map<std::string_view, std::string_view> users;  // of a chain of kube-proxy: another's chain
  bool is_shared_used = false;
  for (const TableRule& rule : rules) {
    if (!contains(chains.names, rule.target) || contains(chains.names, rule.chain)) continue;
    if (contains(kBuiltIn, rule.chain)) continue;
    users.emplace(rule.target, rule.chain);
    is_shared_used |= is_shared_chain(rule.target);
  }
  const auto stays = [&](std::string_view name) { return is_shared_used && is_shared_chain(name); };
  for (const TableRule& rule : rules) {
    const bool leads_in = contains(kBuiltIn, rule.chain) && contains(chains.names, rule.target);
    if ((leads_in && !stays(rule.target)) || (rule.uses_set && stays(rule.chain))) {
      removal.rules.push_back(rule);
    }
  }
  for (const std::string& name : chains.names) {
    if (const auto user = users.find(name); user != users.end()) {
      removal.kept.push_back(name + ": the chain " + std::string(user->second) + " leads to it");
    } else if (stays(name)) {
      removal.kept.push_back(name + ": another chain's rules need it");
    } else {
      removal.deleted.push_back(name);
    }
    if (!stays(name)) removal.emptied.push_back(name);
  }
  return removal;
}

}  // namespace ipvs
