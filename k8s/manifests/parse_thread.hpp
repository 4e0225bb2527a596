// SPDX-License-Identifier: Apache-2.0
//
// The thread that reads and parses manifest files, so that a large one does not stop the event
// loop: yaml-cpp takes seconds for 4 MB (k8s/manifests/adr-parse-thread.md). It starts with the
// first job.
//
// Threading: run() is called on the caller's one thread; the result arrives there. A job shares
// nothing with its caller. A job that is cancelled is told to stop, and ends within milliseconds.
#pragma once

#include <atomic>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "config/read_file.hpp"
#include "k8s/manifests/object.hpp"

namespace k8s {

// A manifest file as it was read: its objects, or why it cannot be read.
struct ReadManifest {
  ParsedManifest parsed;
  std::string fault;     // "" if it was read
  int error_number = 0;  // of `fault`
};

// Blocks. `stop`: see config::YamlLimits; may be null.
ReadManifest read_manifest(const std::string& path, const std::atomic<bool>* stop,
                           bool headless = false);

class ParseThread {
 public:
  // `headless`: see parse_manifest().
  explicit ParseThread(bool headless = false) : headless_(headless) {}
  ~ParseThread() {
    if (pool_) pool_->join();
  }
  ParseThread(const ParseThread&) = delete;
  ParseThread& operator=(const ParseThread&) = delete;

  boost::asio::awaitable<ReadManifest> read(std::string path);

 private:
  const bool headless_;
  std::optional<boost::asio::thread_pool> pool_;
};

}  // namespace k8s
