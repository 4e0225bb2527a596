// SPDX-License-Identifier: Apache-2.0
//
// The source of a node without a cluster (--manifests DIR): the *.yaml, *.yml and *.json files of
// one directory are the Services, Pods, Nodes and EndpointSlices. Subdirectories are not read.
//
// A burst of file events is read once, after it has been quiet for `settle` (at most twenty times
// that). A directory that is deleted is looked for once a second; until it is back and holds a
// manifest again, the last state stays. Before it has been read for the first time no list is
// delivered.
//
// Errors: faults of kind "manifest", "decode" and "conflict"; see k8s/manifests/set.hpp for what
// stays. Threading: the executor's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "k8s/manifests/directory.hpp"
#include "k8s/manifests/set.hpp"
#include "k8s/sink.hpp"
#include "k8s/source.hpp"

namespace k8s {

struct ManifestOptions {
  using Milliseconds = std::chrono::milliseconds;

  std::string directory;
  AllocationRanges ranges;
  Milliseconds settle{100};
  // Empty: the system's clock (of Pods' deletion timestamps).
  std::function<UnixSeconds()> now;
  // Empty: a steady timer. Has to end early when it is cancelled.
  std::function<boost::asio::awaitable<void>(Milliseconds)> wait;
};

class ManifestSource final : public Source {
 public:
  ManifestSource(boost::asio::any_io_executor executor, Sinks sinks, ManifestOptions options,
                 FaultHandler on_fault);

  boost::asio::awaitable<void> run() override;

 private:
  bool reopen();
  void read_changes();
  void read_everything();
  void read_file(const std::string& name);
  std::string path_of(const std::string& name) const { return directory_.path() + "/" + name; }
  void deliver();
  std::optional<ManifestOptions::Milliseconds> next_deadline() const;
  boost::asio::awaitable<void> wait_for_change();
  boost::asio::awaitable<void> wait_for_quiet();
  void fault(std::string what);

  Sinks sinks_;
  ManifestOptions options_;
  FaultHandler on_fault_;
  ManifestDirectory directory_;
  ManifestSet set_;
  bool has_listed_ = false;     // everything was read once
  bool has_delivered_ = false;  // the first lists
  bool everything_due_ = true;
  bool was_lost_ = false;   // since everything was read last
  std::string last_fault_;  // of the directory: told once
};

}  // namespace k8s
