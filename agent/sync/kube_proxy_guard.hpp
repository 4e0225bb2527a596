// SPDX-License-Identifier: Apache-2.0
//
// What kube-proxy has left in nftables, iptables-legacy and ipset, and whether one runs beside this
// agent. With --takeover=auto it goes once ours are in force: chains first, then the ipsets, which
// rules use. Not while a kube-proxy runs, which would make them again.
//
// A running kube-proxy is known by (agent/decide/kube_proxy_signs.hpp)
//   its process                     where this agent can see it
//   the answer of its metrics port  to /proxyMode, where that port is not ours
//   chains that were deleted        and are there again; then the next attempt waits longer
//
// It checks when ours are in force and once each period, because a kube-proxy may be started later;
// more often while one runs, whose end is waited for.
//
// KUBE-FORWARD stays while a FORWARD chain drops and nothing else accepts the replies of Pods there
// (agent/sync/forward_guard.hpp).
//
// Threading: the agent's io_context thread; the kernel is only called through the KernelThread.
// Errors: each is reported once while it lasts, and what failed is tried again at the next check.
// Metrics: kube_ipvs_kube_proxy_chains, _ipsets and _running, by the functions below.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/kube_proxy_signs.hpp"
#include "agent/decide/takeover.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

class KubeProxyGuard {
 public:
  struct Options {
    Takeover takeover = Takeover::kAuto;
    std::chrono::milliseconds period{300'000};
    std::chrono::milliseconds period_beside{30'000};  // while a kube-proxy runs
    std::chrono::milliseconds poll{250};  // of is_in_force, and of ipsets whose rules are going
  };
  // What the guard has to know of other parts.
  struct Surroundings {
    std::function<bool()> is_in_force = [] { return true; };
    std::function<bool()> forwarding_is_dropped = [] { return false; };
    // Where kube-proxy's metrics would be; 0: that port is ours.
    std::function<std::uint16_t()> proxy_mode_port = [] { return std::uint16_t{0}; };
  };
  // Lines for the operator: what was left, and that a kube-proxy runs; `note` says what was done.
  struct Report {
    std::function<void(const std::string&)> left;
    std::function<void(const std::string&)> runs;
    std::function<void(const std::string&)> note;
  };

  KubeProxyGuard(boost::asio::any_io_executor executor, ipvs::Kernel& kernel, KernelThread& thread,
                 Surroundings surroundings, Report report, Options options);

  // Runs until cancelled.
  boost::asio::awaitable<void> run();
  // After the last check.
  std::size_t chains_left() const { return chains_left_; }
  std::size_t sets_left() const { return sets_left_; }
  bool runs() const { return runs_; }

 private:
  boost::asio::awaitable<void> check();
  boost::asio::awaitable<void> pause(std::chrono::milliseconds time);
  boost::asio::awaitable<bool> find_running(const std::vector<ipvs::KubeProxyChains>& chains);
  boost::asio::awaitable<std::vector<ipvs::KubeProxyChains>> read_chains();
  boost::asio::awaitable<std::vector<std::string>> read_sets();
  boost::asio::awaitable<void> remove(const ipvs::KubeProxyChains& chains);
  boost::asio::awaitable<void> remove_sets(std::vector<std::string> names);
  bool removes() const { return options_.takeover == Takeover::kAuto && !runs_; }
  void report_left(const std::vector<ipvs::KubeProxyChains>& chains,
                   const std::vector<std::string>& sets);
  void report_once(const std::function<void(const std::string&)>& report, std::string line);

  boost::asio::any_io_executor executor_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  const Surroundings surroundings_;
  const Report report_;
  const Options options_;
  bool has_failed_ = false;  // the last check
  std::size_t chains_left_ = 0;
  std::size_t sets_left_ = 0;
  bool runs_ = false;
  KubeProxySigns signs_;
  std::set<std::string> reported_;  // of the last check
  std::set<std::string> now_;       // of this one
};

}  // namespace agent
