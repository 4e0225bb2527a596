// SPDX-License-Identifier: Apache-2.0
//
// Looks after the replies of endpoints where other firewalls drop what is forwarded
// (ipvs/nftables/forward_chains.hpp): reports such chains, and with --forward-accept keeps a rule in them
// that accepts replies. Without it, a rule that an earlier run has left is taken away.
//
// It looks at the start, when look_again() was called, and each period: iptables-legacy tells
// nobody of its changes.
//
// Threading: the agent's io_context thread; the kernel is only touched through the KernelThread.
// Errors: reported once each, and tried again at the next look.
// Metrics: kube_ipvs_forward_dropping_chains, by unattended().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "agent/sync/kernel_thread.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

class ForwardGuard {
 public:
  struct Options {
    bool accept = false;  // --forward-accept
    std::chrono::milliseconds period{30'000};
  };
  // For people: `warn` is what is wrong, and its remedy; `note` what was done about it.
  struct Tell {
    std::function<void(const std::string&)> warn;
    std::function<void(const std::string&)> note;
  };

  ForwardGuard(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
               Tell tell, Options options);

  // Runs until cancelled.
  boost::asio::awaitable<void> run();
  void look_again();
  // Chains that drop and have no rule of ours, when last looked at.
  std::size_t unattended() const { return unattended_; }

 private:
  boost::asio::awaitable<void> look();
  boost::asio::awaitable<bool> attend(const ipvs::ForwardChain& chain, std::set<std::string>& now);
  void tell_once(std::set<std::string>& now, std::string line);

  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const Tell tell_;
  const Options options_;
  boost::asio::steady_timer wake_;
  bool again_ = false;
  std::size_t unattended_ = 0;
  std::set<std::string> told_;  // and still so
};

}  // namespace agent
