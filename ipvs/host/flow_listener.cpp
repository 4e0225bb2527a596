// SPDX-License-Identifier: Apache-2.0
#include "ipvs/host/flow_listener.hpp"

#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "ipvs/host/flow_codec.hpp"
#include "ipvs/host/flow_filter.hpp"

namespace ipvs {
namespace {

// What one turn of the event loop reads; about a millisecond.
constexpr std::size_t kMostInOneTurn = 512;

constexpr std::uint32_t bit_of(unsigned group) { return 1U << (group - 1); }
constexpr std::uint32_t kGroups = bit_of(NFNLGRP_CONNTRACK_NEW) | bit_of(NFNLGRP_CONNTRACK_UPDATE) |
                                  bit_of(NFNLGRP_CONNTRACK_DESTROY);

int attach(int fd, std::vector<sock_filter> program) {
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = program.data()};
  const int none = 0;
  const int result = program.empty()
                         ? ::setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof(none))
                         : ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
  // ENOENT: there was none to detach.
  return result == 0 || (program.empty() && errno == ENOENT) ? 0 : errno;
}

}  // namespace

Result<FlowListener> FlowListener::open() {
  auto queries = NetlinkSocket::open(NETLINK_NETFILTER, {}, NetlinkSocket::kReceiveLittle);
  if (!queries) return queries.error();
  // Any request of the subsystem makes the kernel load it. To join a group only asks for that.
  MessageBatch request;
  encode_get_statistics(request);
  (void)queries->transact(request);
  auto events = NetlinkSocket::open(
      NETLINK_NETFILTER,
      {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY});
  if (!events) return events.error();
  return FlowListener(std::move(*events), std::move(*queries));
}

Result<void> FlowListener::set_servers(std::span<const ServerKey> servers) {
  servers_ = {servers.begin(), servers.end()};
  if (const int error = attach(events_.fd(), filter_of_events(servers))) {
    return KernelError{error, "filtering the events of connection tracking (SO_ATTACH_FILTER)"};
  }
  return {};
}

FlowObserver::Drained FlowListener::drain(const std::function<void(const FlowEvent&)>& on_event) {
  FlowObserver::Drained drained;
  drained.lost =
      !events_.read_some_events(kMostInOneTurn, drained.more, [&](const NetlinkMessage& message) {
        const auto event = decode_flow_event(message);
        if (!event) return;
        const FlowKey& key = event->key;
        if (servers_.contains({key.entrance.address, key.entrance.port, key.protocol})) {
          on_event(*event);
        }
      });
  return drained;
}

std::optional<FlowBytes> FlowListener::read_bytes(const FlowEvent& event) {
  MessageBatch request;
  encode_get_flow(request, event.key, event.zone);
  std::optional<FlowBytes> bytes;
  (void)queries_.transact(request, [&](std::size_t, const NetlinkMessage& message) {
    bytes = decode_flow_bytes(message.payload);
  });
  return bytes;
}

bool FlowListener::others_listen() const {
  std::ifstream file("/proc/thread-self/net/netlink");
  if (!file) return true;  // nobody knows
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return has_other_listener(text, events_.port());
}

bool has_other_listener(std::string_view proc_net_netlink, std::uint32_t own) {
  std::istringstream lines{std::string(proc_net_netlink)};
  std::string line;
  std::getline(lines, line);  // sk Eth Pid Groups ...
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string socket;
    int protocol = 0;
    std::uint32_t port = 0, groups = 0;
    if (!(fields >> socket >> protocol >> port >> std::hex >> groups)) continue;
    if (protocol == NETLINK_NETFILTER && port != own && (groups & kGroups) != 0) return true;
  }
  return false;
}

}  // namespace ipvs
