// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/kube_proxy_chains.hpp"

#include <linux/netlink.h>

#include <cerrno>
#include <utility>

#include "ipvs/nftables/forward_codec.hpp"
#include "ipvs/nftables/kube_proxy_codec.hpp"
#include "ipvs/nftables/legacy_tables.hpp"

namespace ipvs {

KubeProxyRules::KubeProxyRules(NetlinkSocket socket) : socket_(std::move(socket)) {}

Result<KubeProxyRules> KubeProxyRules::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return KubeProxyRules(std::move(*socket));
}

Result<std::vector<KubeProxyChains>> KubeProxyRules::read() {
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

int KubeProxyRules::remove(const KubeProxyChains& chains) {
  if (chains.legacy) return EOPNOTSUPP;
  std::vector<JumpRule> jumps;
  MessageBatch request;
  encode_get_table_rules(request, chains);
  const auto dumped = socket_.dump(
      request, [&] { jumps.clear(); },
      [&](const NetlinkMessage& message) {
        if (auto jump = decode_jump(message.payload)) jumps.push_back(std::move(*jump));
      });
  if (!dumped) return dumped.error().error_number;
  MessageBatch batch = encode_remove_chains(chains, jumps);
  return socket_.transact_atomically(batch);
}

}  // namespace ipvs
