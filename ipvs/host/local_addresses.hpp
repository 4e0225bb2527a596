// SPDX-License-Identifier: Apache-2.0
//
// The node's own addresses, which node ports are served on: reading them, and hearing of changes.
//
// Threading: AddressMonitor is not thread-safe, but independent of everything else here: wait until
// fd() is readable, then call drain(). fd() stays the same as long as the monitor lives, and the
// monitor closes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ipvs/netlink/socket.hpp"
#include "ipvs/state/kernel.hpp"

namespace ipvs {

struct LocalAddress {
  Address address;
  std::string interface_name;
  unsigned interface_index = 0;
  std::uint8_t prefix_length = 0;
  std::uint8_t scope = 0;  // RT_SCOPE_*: 0 global, 200 site, 253 link, 254 host
  bool operator==(const LocalAddress&) const = default;
};

// Every address of every interface but kube-ipvs0, ordered by address; without loopback
// (127.0.0.0/8, ::1), link-local (169.254.0.0/16, fe80::/10) and multicast addresses, and those
// that failed duplicate address detection.
Result<std::vector<LocalAddress>> read_local_addresses();

// Where this node's default routes lead, both families, in order, each once.
Result<std::vector<Address>> read_gateways();

class AddressMonitor {
 public:
  static Result<AddressMonitor> open();

  int fd() const { return socket_.fd(); }
  // Reads what is waiting, without blocking. True: what read_local_addresses() gives may have
  // changed.
  bool drain();

 private:
  explicit AddressMonitor(NetlinkSocket socket) : socket_(std::move(socket)) {}
  NetlinkSocket socket_;
};

}  // namespace ipvs
