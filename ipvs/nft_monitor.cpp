// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nft_monitor.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <utility>

#include "ipvs/nft_decode.hpp"

namespace ipvs {

NftMonitor::NftMonitor(NetlinkSocket socket, NftClient::Port own)
    : socket_(std::move(socket)), own_(std::move(own)) {}

Result<NftMonitor> NftMonitor::open(NftClient::Port own) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
  if (!socket) return socket.error();
  return NftMonitor(std::move(*socket), std::move(own));
}

bool NftMonitor::drain() {
  const std::uint32_t own = own_->load(std::memory_order_relaxed);
  bool changed = false;
  const bool complete = socket_.read_events([&](const NetlinkMessage& message) {
    changed = changed || (message.port != own && concerns_our_table(message.type, message.payload));
  });
  return changed || !complete;
}

}  // namespace ipvs
