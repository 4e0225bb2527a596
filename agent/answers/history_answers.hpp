// SPDX-License-Identifier: Apache-2.0
//
// Answers from the history: what was done, and what the kernel held at a time. Written in pieces, as
// agent/answers/answers.hpp says.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "agent/history/past.hpp"
#include "agent/history/recorder.hpp"
#include "agent/report/http_server.hpp"
#include "agent/sync/kernel_thread.hpp"
#include "agent/sync/sync_loop.hpp"

namespace agent {

class HistoryAnswers {
 public:
  HistoryAnswers(KernelThread& thread, const SyncLoop& sync, const HistoryRecorder& history)
      : thread_(thread), sync_(sync), history_(history) {}

  // The operations since `since`, of one Service ("NAMESPACE/NAME") or of all, oldest first.
  boost::asio::awaitable<void> write_operations(std::string service, UnixMilliseconds since,
                                                BodyWriter write) const;
  // What the kernel held of that Service at `at`.
  boost::asio::awaitable<void> write_table(std::string service, UnixMilliseconds at,
                                           BodyWriter write) const;

 private:
  // What the kernel holds of a Service.
  struct Present {
    std::vector<ipvs::Server> servers{};
    std::set<ipvs::Address> bound{};
  };
  Present present_of(const std::string& service) const;
  // What was done since a time.
  struct Past {
    PastTable table{};
    std::size_t operations = 0;
    bool is_known = false;   // there is an entry before that time
    bool is_broken = false;  // a first pass since then is one entry
    bool is_too_long = false;
  };
  // Parts of write_table(), which owns what they refer to.
  boost::asio::awaitable<Past> read_past(const std::string& service, UnixMilliseconds at) const;
  boost::asio::awaitable<void> add_present(const Present& present, PastTable& table) const;

  KernelThread& thread_;
  const SyncLoop& sync_;
  const HistoryRecorder& history_;
};

}  // namespace agent
