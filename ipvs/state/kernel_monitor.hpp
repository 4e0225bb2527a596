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

namespace ipvs {

struct KernelEvents {
  bool node_addresses = false;  // what Kernel::read_local_addresses() gives may have changed
  bool our_table = false;       // our nftables table may have been changed by others
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
