// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/monitor.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <utility>

#include "ipvs/nftables/decode.hpp"
#include "ipvs/nftables/forward_codec.hpp"

namespace ipvs {

NftMonitor::NftMonitor(NetlinkSocket socket, NftClient::Port own)
    : socket_(std::move(socket)), own_(std::move(own)) {}

Result<NftMonitor> NftMonitor::open(NftClient::Port own) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
  if (!socket) return socket.error();
  return NftMonitor(std::move(*socket), std::move(own));
}

NftMonitor::Heard NftMonitor::drain() {
  const std::uint32_t own = own_->load(std::memory_order_relaxed);
  Heard heard;
  const bool complete = socket_.read_events([&](const NetlinkMessage& message) {
    heard.our_table = heard.our_table ||
                      (message.port != own && concerns_our_table(message.type, message.payload));
    heard.forwarding = heard.forwarding || concerns_forwarding(message.type, message.payload);
  });
  if (!complete) heard = {.our_table = true, .forwarding = true};
  return heard;
}

}  // namespace ipvs
