// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/forward_chains.hpp"

#include <linux/netlink.h>

#include <cerrno>
#include <utility>

#include "ipvs/nftables/legacy_tables.hpp"

namespace ipvs {

ForwardChains::ForwardChains(NetlinkSocket socket) : socket_(std::move(socket)) {}

Result<ForwardChains> ForwardChains::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return socket.error();
  return ForwardChains(std::move(*socket));
}

Result<std::vector<ForwardChain>> ForwardChains::read() {
  std::vector<ForwardChain> chains;
  MessageBatch request;
  encode_get_chains(request);
  const auto dumped = socket_.dump(
      request, [&] { chains.clear(); },
      [&](const NetlinkMessage& message) {
        if (auto chain = decode_forward_chain(message.payload)) chains.push_back(std::move(*chain));
      });
  if (!dumped) return KernelError{dumped.error().error_number, "reading chains (GETCHAIN)"};
  for (ForwardChain& chain : chains) {
    const int error = read_our_rules(chain);
    // ENOENT: deleted meanwhile, as if it had no rule.
    if (error != 0 && error != ENOENT) {
      return KernelError{error, "reading the rules of " + chain.text() + " (GETRULE)"};
    }
  }
  for (ForwardChain& legacy : legacy_forward_chains()) chains.push_back(std::move(legacy));
  return chains;
}

int ForwardChains::read_our_rules(ForwardChain& chain) {
  MessageBatch request;
  encode_get_rules(request, chain);
  const auto dumped = socket_.dump(
      request, [&] { chain.our_rules.clear(); },
      [&](const NetlinkMessage& message) {
        if (const auto handle = decode_our_rule(message.payload))
          chain.our_rules.push_back(*handle);
      });
  return dumped ? 0 : dumped.error().error_number;
}

int ForwardChains::accept_replies(const ForwardChain& chain) {
  if (chain.legacy) return EOPNOTSUPP;
  MessageBatch batch = encode_accept_replies(chain);
  return socket_.transact_atomically(batch);
}

int ForwardChains::withdraw(const ForwardChain& chain) {
  if (chain.our_rules.empty()) return 0;
  MessageBatch batch = encode_withdraw(chain);
  return socket_.transact_atomically(batch);
}

}  // namespace ipvs
