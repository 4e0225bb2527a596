// SPDX-License-Identifier: Apache-2.0
//
// Reports what others change in the kernel, from the notifications that the kernel sends.
//
// Threading: not thread-safe, but independent of the Kernel and its thread: wait until fd() is
// readable, then call drain(). fd() stays the same as long as the monitor lives, and the monitor
// closes it.
//
// Errors: when notifications were lost, drain() reports every change that they may have been about.
// So a false alarm is possible and a missed change is not: on true, read back.
#pragma once

#include <vector>

#include "ipvs/state/address.hpp"

namespace ipvs {

// A VIP was added to kube-ipvs0 or deleted from it, by us or by somebody else: the kernel does not
// always say by whom.
struct VipEvent {
  Address address;
  bool bound = false;
  bool operator==(const VipEvent&) const = default;
};

struct KernelEvents {
  // What Kernel::read_local_addresses() and Kernel::read_gateways() give may have changed.
  bool node_addresses = false;
  bool device = false;           // kube-ipvs0 itself may have been changed, by us or by others
  std::vector<VipEvent> vips{};  // in order
  bool settings = false;         // net.ipv4.ip_forward was set to 0
  bool our_table = false;        // our nftables table may have been changed by others
  // A forward chain of others was added or changed, or our rule in it deleted.
  bool forwarding = false;
};

class KernelMonitor {
 public:
  virtual ~KernelMonitor() = default;
  virtual int fd() const = 0;
  // Reads what is waiting, without blocking.
  virtual KernelEvents drain() = 0;
};

}  // namespace ipvs
