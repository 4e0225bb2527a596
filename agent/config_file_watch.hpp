// SPDX-License-Identifier: Apache-2.0
//
// Watches one file, wherever links on the way to it lead: its directory, every directory above it,
// and those of the links' targets (k8s/manifests/links.hpp). A file counts as changed when it is
// closed after writing, moved in or out, linked or deleted, or when a link on the way is replaced: a
// mounted ConfigMap replaces its file by moving `..data`.
//
// Changes are collected: however often the file is replaced, next() returns once for all that
// happened since, and the events of its directories are read at most 20 times a second.
//
// Threading: the executor's one thread. Blocks for a few lstat calls.
// Errors: without inotify, next() returns when its time is over.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "k8s/manifests/links.hpp"

namespace agent {

class ConfigFileWatch {
 public:
  ConfigFileWatch(boost::asio::any_io_executor executor, const std::string& path);

  const std::string& path() const { return path_; }  // absolute
  // False: the kernel gave no inotify instance.
  bool has_events() const { return events_.is_open(); }

  // Reads events until cancelled; does nothing without inotify.
  boost::asio::awaitable<void> run();
  // Returns when the file has changed, after wake(), or when the time is over. True: not for the time.
  boost::asio::awaitable<bool> next(std::chrono::milliseconds limit);
  void wake();
  // Follows the way to the file as it is now. Before the file is read, so that no change is missed.
  void follow();

 private:
  bool drain();
  bool concerns(int watch, std::uint32_t mask, std::string_view name);

  std::string path_;
  boost::asio::posix::stream_descriptor events_;
  k8s::LinkWatches links_;
  boost::asio::steady_timer timer_;
  bool has_changed_ = false;
};

}  // namespace agent
