// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/monitor.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <utility>

#include "ipvs/nftables/decode.hpp"
#include "ipvs/nftables/forward_codec.hpp"

namespace ipvs {

NftMonitor::NftMonitor(NetlinkSocket socket, NftClient::Port own)
    : socket_(std::move(socket)), own_(std::move(own)) {
  own_->monitor = socket_.fd();
}

NftMonitor::~NftMonitor() {
  if (own_) own_->monitor = -1;
}

Result<NftMonitor> NftMonitor::open(NftClient::Port own) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
  if (!socket) return socket.error();
  return NftMonitor(std::move(*socket), std::move(own));
}

KernelEvents NftMonitor::drain() {
  const std::uint32_t own = own_->port.load(std::memory_order_relaxed);
  KernelEvents events;
  const bool complete = socket_.read_events([&](const NetlinkMessage& message) {
    events.our_table = events.our_table ||
                       (message.port != own && concerns_our_table(message.type, message.payload));
    events.forwarding = events.forwarding || concerns_forwarding(message.type, message.payload);
  });
  if (!complete) events = {.our_table = true, .forwarding = true};
  return events;
}

}  // namespace ipvs
