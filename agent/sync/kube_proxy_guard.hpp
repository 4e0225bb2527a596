// SPDX-License-Identifier: Apache-2.0
//
// Reports what kube-proxy has left in nftables and iptables-legacy
// (ipvs/nftables/kube_proxy_chains.hpp), and with --remove-kube-proxy-rules deletes it, from
// nftables; iptables-legacy we only read.
//
// It checks at the start and once each period, because a kube-proxy may be started later.
//
// Threading: the agent's io_context thread; the kernel is only called through the KernelThread.
// Errors: each is reported once while it lasts, and what failed is tried again at the next check.
// Metrics: kube_ipvs_kube_proxy_chains, by left().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <string>

#include "agent/sync/kernel_thread.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

class KubeProxyGuard {
 public:
  struct Options {
    bool remove = false;  // --remove-kube-proxy-rules
    std::chrono::milliseconds period{300'000};
  };
  // Lines for the operator: `warn` says what is wrong and how to repair it, `note` what was done.
  struct Report {
    std::function<void(const std::string&)> warn;
    std::function<void(const std::string&)> note;
  };

  KubeProxyGuard(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
                 Report report, Options options);

  // Runs until cancelled.
  boost::asio::awaitable<void> run();
  // Chains that were there after the last check.
  std::size_t left() const { return left_; }

 private:
  boost::asio::awaitable<void> check();
  boost::asio::awaitable<bool> remove(const ipvs::KubeProxyChains& chains,
                                      std::set<std::string>& now);
  void report_once(std::set<std::string>& now, std::string line);

  boost::asio::any_io_executor executor_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const Report report_;
  const Options options_;
  bool has_failed_ = false;  // the last check
  std::size_t left_ = 0;
  std::set<std::string> reported_;  // the warnings of the last check
};

}  // namespace agent
