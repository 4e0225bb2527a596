// SPDX-License-Identifier: Apache-2.0
//
// The node's own addresses, on which node ports are served, and the gateways of its default routes:
// reading them, and watching for changes of them, of kube-ipvs0 and of the VIPs on it.
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

// Follows links, addresses, routes and whether IPv4 is forwarded. Of routes, a filter in the kernel
// passes only default routes, VIP routes, and the end of routes that the kernel made for a local
// address: a node may learn thousands of others from a routing protocol.
class AddressMonitor : public KernelMonitor {
 public:
  static Result<AddressMonitor> open();

  int fd() const override { return socket_.fd(); }
  KernelEvents drain() override;

 private:
  explicit AddressMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
  bool is_device(unsigned index) const;
  void take_link(Bytes payload, KernelEvents& events) const;
  void take_address(bool added, Bytes payload, KernelEvents& events) const;
  void take_route(bool added, Bytes payload, KernelEvents& events) const;

  NetlinkSocket socket_;
  unsigned device_ = 0;         // index of kube-ipvs0; 0: there is none
  unsigned device_before_ = 0;  // the index before that one: what it had is reported later
};

}  // namespace ipvs
