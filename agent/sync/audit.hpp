// SPDX-License-Identifier: Apache-2.0
//
// Compares the kernel with what we entered as programmed, part by part, and reports what somebody
// else changed. The Reconciler then holds what was found, and its next changes repair it.
//
// Threading: the agent's io_context thread; the kernel is only read through the KernelThread.
// Errors: each is reported once while it lasts. Where a result says false, something could not be
// read or repaired: to be called again after a pause. Virtual servers that could not be read are the
// next to be read.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/decide/reconciler.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/repairs.hpp"
#include "agent/sync/sync_observer.hpp"
#include "ipvs/state/kernel.hpp"

namespace agent {

class Audit {
 public:
  // `slice`: how many virtual servers next_servers() reads.
  Audit(ipvs::Kernel& kernel, KernelThread& thread, Reconciler& reconciler, Repairs& repairs,
        SyncObserver& observer, std::size_t slice);

  // kube-ipvs0 itself.
  boost::asio::awaitable<bool> device();
  // Sysctls and IPVS timeouts.
  boost::asio::awaitable<void> settings();
  // All addresses of kube-ipvs0. If they cannot be read, those that are probably not as programmed,
  // by what the kernel reported and by what device() found, are programmed again: to add one that is
  // there does no harm.
  boost::asio::awaitable<bool> addresses();
  // Whether an audit reads all addresses. The kernel reports what happens to them, so this is only
  // for what it may have kept to itself: the more there are, the more rarely they are read, and the
  // cost of an audit does not grow with their number.
  bool is_turn_of_addresses();
  // Some are probably not as programmed.
  bool doubts_addresses() const { return all_suspect_ || !suspects_.empty(); }
  // The kernel reported that this address was added or deleted, against what is wanted.
  void suspect(const ipvs::Address& address) { suspects_.insert(address); }
  // The foreign virtual servers that a Service wants the address and port of. Returns the Services
  // that can have theirs now, because the foreign one was deleted: to be planned again.
  boost::asio::awaitable<std::set<ipvs::Owner>> foreign_servers();
  // Whether somebody else deleted or added virtual servers: compares the number of those of IPv4
  // with what it should be, and reads one of IPv6, each time another. Constant cost. A wrong number
  // leads to a comparison of all. While comparisons find nothing, since others change virtual servers
  // of their own, they become rarer: one in up to 256 counts.
  boost::asio::awaitable<void> count_servers();
  // The next virtual servers of ours, with their destinations; after the last come the first again.
  // The more destinations they have, the more rarely they are read: the cost of an audit does not grow
  // with them.
  // One that is not as programmed leads to a comparison of all.
  boost::asio::awaitable<bool> next_servers();
  // From now on next_servers() reads larger slices, until it has read all.
  void compare_all();
  bool is_comparing_all() const { return comparing_all_; }
  // When the last virtual server was compared, of all that there were; nullopt: not yet.
  std::optional<std::chrono::steady_clock::time_point> round_ended() const { return round_ended_; }
  // Of the present round: not compared yet.
  std::size_t left_in_round() const { return queue_.size(); }

 private:
  std::vector<ipvs::ServerKey> next_slice();
  bool compare(const ipvs::ServerKey& key, const std::optional<ipvs::Server>& found);
  boost::asio::awaitable<bool> lacks_ipv6_server();
  bool is_number_right(std::size_t count);
  void lose_ipv4_servers();
  void end_comparison();
  void program_suspects();
  bool take(const std::string& check, const ipvs::HostCheck& found);
  bool is_readable(const std::string& what, const std::optional<ipvs::KernelError>& error);

  std::optional<std::chrono::steady_clock::time_point> round_ended_;
  ipvs::Kernel& kernel_;
  KernelThread& thread_;
  Reconciler& reconciler_;
  Repairs& repairs_;
  SyncObserver& observer_;
  const std::size_t slice_;
  std::set<ipvs::Address> suspects_;          // until addresses() has read what there is
  std::size_t audits_without_addresses_ = 0;  // in a row
  bool all_suspect_ = false;                  // the device was made again, or cannot be checked
  std::vector<ipvs::ServerKey> queue_;        // still to be read in this round
  std::ptrdiff_t may_read_ = 0;               // destinations; below 0: as many were read in advance
  bool comparing_all_ = false;
  bool found_any_ = false;              // in this comparison of all
  std::optional<std::size_t> foreign_;  // IPv4 virtual servers that others made
  unsigned vain_comparisons_ = 0;       // in a row, that found nothing
  unsigned counts_to_ignore_ = 0;
  ipvs::ServerKey last_ipv6_{};                // read by count_servers()
  std::map<std::string, std::string> faults_;  // by check: the error that lasts
};

}  // namespace agent
