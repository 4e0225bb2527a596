// SPDX-License-Identifier: Apache-2.0
//
// One agent at a time in a network namespace: two would each undo what the other does.
//
// The lock is the name of an abstract Unix socket (agent/adr-instance-lock.md says why). The kernel
// keeps such names per network namespace, as it keeps IPVS and nftables, and frees them when the
// process ends, however it ends. A connection to the socket says who holds it.
//
// Any local user may bind the name first. So a holder counts only if it runs as root, as the same
// user as we, or as the owner of `run_dir`: under systemd the agent has a user of its own, and root
// makes that directory for it. Otherwise the agent starts without the lock, with a warning.
//
// Threading: not thread-safe; wait() blocks, and is for the time before the agent has threads.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace agent {

class InstanceLock {
 public:
  // run_dir: the directory of --run-dir, or "".
  explicit InstanceLock(std::string run_dir, std::string name = "kube-ipvs");
  ~InstanceLock();
  InstanceLock(const InstanceLock&) = delete;
  InstanceLock& operator=(const InstanceLock&) = delete;

  enum class State : std::uint8_t {
    kHeld,       // by us, until this object is destroyed
    kTaken,      // by another agent: holder()
    kUncertain,  // nobody can have it: why()
  };
  State take();

  // After kTaken: "process 123", or that its number cannot be seen from here.
  const std::string& holder() const { return holder_; }
  // After kUncertain: one line.
  const std::string& why() const { return why_; }

  // After kTaken. Returns when the holder has ended, or may have: call take() again. A signal ends
  // the process (agent/stop_signals.hpp).
  void wait() const;

 private:
  State ask_holder();
  bool may_hold(uid_t user) const;
  State uncertain(std::string why);

  const std::string run_dir_, name_;
  int listener_ = -1;
  int connection_ = -1;  // to the holder, who never answers: the end of it is the holder's
  std::string holder_, why_;
};

}  // namespace agent
