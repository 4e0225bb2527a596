// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/remains.hpp"

#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "ipvs/kube_proxy/chain_codec.hpp"
#include "ipvs/kube_proxy/legacy_programs.hpp"
#include "ipvs/kube_proxy/names.hpp"
#include "ipvs/kube_proxy/rules_codec.hpp"
#include "ipvs/kube_proxy/set_codec.hpp"
#include "ipvs/nftables/forward_codec.hpp"

namespace ipvs {
namespace {

// Where it is not, a request would load the module.
bool is_ip_set_loaded() { return ::access("/sys/module/ip_set", F_OK) == 0; }

}  // namespace

KubeProxyRemains::KubeProxyRemains(NetlinkSocket socket) : socket_(std::move(socket)) {}

Result<KubeProxyRemains> KubeProxyRemains::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return KubeProxyRemains(std::move(*socket));
}

Result<std::vector<KubeProxyChains>> KubeProxyRemains::read_chains() {
  std::vector<ChainName> names;
  MessageBatch request;
  encode_get_chains(request);
  const auto dumped = socket_.dump(
      request, [&] { names.clear(); },
      [&](const NetlinkMessage& message) {
        if (auto chain = decode_chain_name(message.payload)) names.push_back(std::move(*chain));
      });
  if (!dumped) return KernelError{dumped.error().error_number, "reading chains (GETCHAIN)"};
  std::vector<KubeProxyChains> found = kube_proxy_chains(names, false);
  for (KubeProxyChains& legacy : kube_proxy_chains(legacy_chain_names(), true)) {
    found.push_back(std::move(legacy));
  }
  return found;
}

Result<std::vector<TableRule>> KubeProxyRemains::read_table_rules(const KubeProxyChains& chains) {
  std::vector<TableRule> rules;
  MessageBatch request;
  encode_get_table_rules(request, chains);
  const auto dumped = socket_.dump(
      request, [&] { rules.clear(); },
      [&](const NetlinkMessage& message) {
        if (auto rule = decode_table_rule(message.payload)) rules.push_back(std::move(*rule));
      });
  if (!dumped) return KernelError{dumped.error().error_number, "reading rules (GETRULE)"};
  return rules;
}

Result<bool> KubeProxyRemains::masquerades(const KubeProxyChains& nat) {
  bool has_rules = false;
  if (nat.legacy) {
    has_rules = legacy_chain_has_rules({nat.family, nat.table, std::string(kServicesChain)});
  } else {
    const auto rules = read_table_rules(nat);
    if (!rules) return rules.error();
    has_rules = std::any_of(rules->begin(), rules->end(),
                            [](const TableRule& each) { return each.chain == kServicesChain; });
  }
  return Result<bool>(boost::system::in_place_value, has_rules);
}

Result<RemovedChains> KubeProxyRemains::remove_chains(const KubeProxyChains& chains) {
  if (chains.legacy) return remove_legacy_chains(chains);
  const auto rules = read_table_rules(chains);
  if (!rules) return rules.error();
  ChainRemoval removal = plan_removal(chains, *rules);
  MessageBatch batch = encode_remove_chains(chains, removal);
  const int error = socket_.transact_atomically(batch);
  if (error != 0) return KernelError{error, "deleting chains (DELCHAIN)"};
  return RemovedChains{std::move(removal.deleted), std::move(removal.kept)};
}

Result<std::vector<std::string>> KubeProxyRemains::read_sets() {
  std::vector<std::string> names;
  if (!is_ip_set_loaded()) return names;
  MessageBatch request;
  encode_list_sets(request);
  const auto dumped = socket_.dump(
      request, [&] { names.clear(); },
      [&](const NetlinkMessage& message) {
        auto name = decode_set_name(message.payload);
        if (name && is_kube_proxy_set(*name)) names.push_back(std::move(*name));
      });
  if (!dumped) {
    return KernelError{errno_of_ipset(dumped.error().error_number),
                       "reading ipsets (IPSET_CMD_LIST)"};
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<KubeProxyRules> KubeProxyRemains::read_rules(std::span<const KubeProxyChains> chains) {
  KubeProxyRules rules;
  for (const KubeProxyChains& each : chains) {
    if (each.table != "nat") continue;
    const auto clients = read_cluster_ip_clients(each);
    if (!clients) return clients.error();
    if (!*clients) continue;
    const Family family = each.family == NFPROTO_IPV6 ? Family::kIpv6 : Family::kIpv4;
    rules.cluster_ip_clients.insert_or_assign(family, **clients);
  }
  if (!is_ip_set_loaded()) return rules;
  const KubeProxyRules without_members = rules;
  MessageBatch request;
  encode_list_members(request);
  const auto dumped = socket_.dump(
      request, [&] { rules = without_members; },
      [&](const NetlinkMessage& message) { decode_members(message.payload, rules); });
  if (dumped) return rules;
  return KernelError{errno_of_ipset(dumped.error().error_number),
                     "reading ipsets (IPSET_CMD_LIST)"};
}

Result<std::optional<std::string>> KubeProxyRemains::read_cluster_ip_clients(
    const KubeProxyChains& chains) {
  if (chains.legacy) return read_legacy_cluster_ip_clients(chains);
  std::optional<std::string> first;
  MessageBatch request;
  encode_get_table_rules(request, chains);
  const auto dumped = socket_.dump(
      request, [&] { first.reset(); },
      [&](const NetlinkMessage& message) {
        if (!first) first = decode_cluster_ip_clients(message.payload);
      });
  if (!dumped) return KernelError{dumped.error().error_number, "reading rules (GETRULE)"};
  return first;
}

std::vector<int> KubeProxyRemains::remove_sets(std::span<const std::string> names) {
  if (names.empty()) return {};
  MessageBatch batch;
  for (const std::string& name : names) encode_destroy_set(batch, name);
  std::vector<int> outcomes = socket_.transact(batch);
  std::transform(outcomes.begin(), outcomes.end(), outcomes.begin(), errno_of_ipset);
  return outcomes;
}

}  // namespace ipvs
