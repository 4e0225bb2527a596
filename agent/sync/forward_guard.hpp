// SPDX-License-Identifier: Apache-2.0
//
// Replies of endpoints are lost where another firewall drops what is forwarded
// (ipvs/nftables/forward_chains.hpp). This reports such chains and, with --forward-accept, keeps a
// rule in them that accepts replies. Without the flag it removes the rule of an earlier run.
//
// It checks the chains at the start, after check_again(), and once each period, because
// iptables-legacy does not notify of changes.
//
// Threading: the agent's io_context thread; the kernel is only called through the KernelThread.
// Errors: each is reported once while it lasts, and what failed is tried again at the next check.
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
  // Lines for the operator: `warn` says what is wrong and how to repair it, `note` what was done.
  struct Report {
    std::function<void(const std::string&)> warn;
    std::function<void(const std::string&)> note;
  };

  ForwardGuard(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
               Report report, Options options);

  // Runs until cancelled.
  boost::asio::awaitable<void> run();
  void check_again();
  void set(Options options);
  // Chains that drop and had no rule of ours after the last check.
  std::size_t unattended() const { return unattended_.size(); }
  const std::vector<ipvs::ForwardChain>& unattended_chains() const { return unattended_; }
  // What the last check found, one line each.
  const std::set<std::string>& warnings() const { return reported_; }

 private:
  boost::asio::awaitable<void> check();
  boost::asio::awaitable<bool> attend(const ipvs::ForwardChain& chain, std::set<std::string>& now);
  void report_once(std::set<std::string>& now, std::string line);

  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const Report report_;
  Options options_;
  boost::asio::steady_timer wake_;
  bool again_ = false;
  std::vector<ipvs::ForwardChain> unattended_;
  std::set<std::string> reported_;  // the warnings of the last check
};

}  // namespace agent
