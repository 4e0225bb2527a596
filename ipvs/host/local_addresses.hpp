// SPDX-License-Identifier: Apache-2.0
//
// The node's own addresses, on which node ports are served: reading them, and watching for changes.
// Also the gateways of its default routes.
//
// Threading: the functions may run on any thread and block; a monitor is not thread-safe.
//
// Errors: KernelError of the first dump that failed. A monitor that lost events reports a change.
#pragma once

#include <utility>
#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/host_network.hpp"
#include "ipvs/state/kernel.hpp"
#include "ipvs/state/kernel_monitor.hpp"

namespace ipvs {

// The addresses of all interfaces except kube-ipvs0, ordered by address. Left out are loopback
// (127.0.0.0/8, ::1), IPv6 link-local (fe80::/10) and multicast addresses, and those that failed
// duplicate address detection.
Result<std::vector<LocalAddress>> read_local_addresses();

// The gateways of this node's default routes in the main table, both families, in order, each once.
Result<std::vector<Address>> read_gateways();

class AddressMonitor : public KernelMonitor {
 public:
  static Result<AddressMonitor> open();

  int fd() const override { return socket_.fd(); }
  KernelEvents drain() override;

 private:
  explicit AddressMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace ipvs
