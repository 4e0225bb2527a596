// SPDX-License-Identifier: Apache-2.0
//
// The real FlowObserver: a socket for events, and where it is of use a table of nftables that limits
// them (ipvs/nftables/event_table.hpp). That depends on net.netfilter.nf_conntrack_events:
//
//   0  the table gives events to the connections of these virtual servers; there are no others.
//   2  somebody has to listen that connections get events at all. If nobody does but us, the table takes
//      them from the connections of others, which would have none without us.
//   1  or others listen: no table. A mask would narrow what the others hear, and to us a filter in the
//      kernel gives the same; it costs a message of the kernel for each event of any connection.
//
// Who else listens is asked for at the beginning and by check(): of connections that begin in between,
// a new listener hears nothing. One of another network namespace (NETLINK_LISTEN_ALL_NSID) is not seen.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ipvs/host/flow_listener.hpp"
#include "ipvs/host/sysctl.hpp"
#include "ipvs/nftables/event_table.hpp"

namespace ipvs {

class LinuxFlowObserver : public FlowObserver {
 public:
  // EOPNOTSUPP if the kernel would send nothing.
  static Result<std::unique_ptr<FlowObserver>> open(const Sysctls& sysctls,
                                                    std::span<const ServerKey> servers);

  int fd() const override { return listener_.fd(); }
  Result<void> set_servers(std::span<const ServerKey> servers) override;
  void allow_only_these(bool allowed) override;
  void check() override;
  Facts facts() const override { return facts_; }
  Drained drain(const std::function<void(const FlowEvent&)>& on_event) override {
    return listener_.drain(on_event);
  }
  std::optional<FlowBytes> read_bytes(const FlowEvent& event) override {
    return facts_.counts_bytes ? listener_.read_bytes(event) : std::nullopt;
  }

 private:
  enum class Events : std::uint8_t { kNone, kAll, kIfListened };  // the values of the sysctl
  LinuxFlowObserver(FlowListener listener, Events events)
      : listener_(std::move(listener)), events_(events) {}
  Result<void> limit();
  Result<void> install();
  void stop_limiting(std::string why);

  FlowListener listener_;
  const Events events_;
  bool is_allowed_ = true;
  Facts facts_{};
  std::vector<ServerKey> servers_;
  std::optional<EventTable> table_;
};

}  // namespace ipvs
