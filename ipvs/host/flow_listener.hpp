// SPDX-License-Identifier: Apache-2.0
//
// Listens to the events of connection tracking about the connections of some virtual servers.
//
// Threading: not thread-safe; no call waits for an event.
// Errors: KernelError of opening the socket. Events that were lost are reported as such.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/flow_observer.hpp"

namespace ipvs {

class FlowListener {
 public:
  // Has the kernel load nf_conntrack_netlink.
  static Result<FlowListener> open();

  int fd() const { return events_.fd(); }
  // From now on events about these, in place of those before; what had arrived already is dropped by
  // drain().
  Result<void> set_servers(std::span<const ServerKey> servers);
  FlowObserver::Drained drain(const std::function<void(const FlowEvent&)>& on_event);
  std::optional<FlowBytes> read_bytes(const FlowEvent& event);
  // Whether another socket of this network namespace listens to such events.
  bool others_listen() const;

 private:
  FlowListener(NetlinkSocket events, NetlinkSocket queries)
      : events_(std::move(events)), queries_(std::move(queries)) {}

  NetlinkSocket events_;
  NetlinkSocket queries_;
  std::unordered_set<ServerKey> servers_;
};

// From the text of /proc/net/netlink: whether a socket with another port than `own` is in one of the
// groups for events of connection tracking. Pure.
bool has_other_listener(std::string_view proc_net_netlink, std::uint32_t own);

}  // namespace ipvs
