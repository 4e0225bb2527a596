// SPDX-License-Identifier: Apache-2.0
//
// The source for a node without a cluster (--manifests DIR): reads Services, Pods, Nodes and
// EndpointSlices from the *.yaml, *.yml and *.json files of one directory, without subdirectories.
//
// Files are read after no event has come for `settle` (or after twenty times that). A deleted
// directory is checked once a second; the last state stays until it exists and has a manifest
// again. No list is delivered before the directory was read for the first time.
//
// Threading: the executor's thread; reading the files blocks it.
// Errors: faults of kind "manifest", "decode" and "conflict"; k8s/manifests/set.hpp has the rules
// for which objects stay.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "k8s/manifests/directory.hpp"
#include "k8s/manifests/parse_thread.hpp"
#include "k8s/manifests/set.hpp"
#include "k8s/sink.hpp"
#include "k8s/source.hpp"

namespace k8s {

struct ManifestOptions {
  using Milliseconds = std::chrono::milliseconds;

  std::string directory;
  AllocationRanges ranges;
  bool for_dns = false;  // EndpointSlices of headless Services, too
  Milliseconds settle{100};
  // The clock for Pods' deletion timestamps; empty: the system's, without its jumps.
  std::function<UnixSeconds()> now;
  // Empty: a steady timer. Must end early when it is cancelled.
  std::function<boost::asio::awaitable<void>(Milliseconds)> wait;
};

class ManifestSource final : public Source {
 public:
  ManifestSource(boost::asio::any_io_executor executor, const Sinks& sinks, ManifestOptions options,
                 FaultHandler on_fault);

  boost::asio::awaitable<void> run() override;

 private:
  bool reopen();
  boost::asio::awaitable<void> read_changes();
  boost::asio::awaitable<void> read_everything();
  boost::asio::awaitable<void> read_files(std::vector<std::string> names);
  void take_file(const std::string& name, ReadManifest read);
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
  ParseThread thread_;
  bool has_listed_ = false;     // the whole directory was read once
  bool has_delivered_ = false;  // the first lists were delivered
  bool everything_due_ = true;  // the whole directory must be read (again)
  bool was_lost_ = false;       // the directory was removed since it was last read as a whole
  // Files that could not be read for a moment, because descriptors or memory had run out: nothing
  // reports when that is over.
  std::set<std::string> unread_;
  UnixSeconds changed_ = 0;  // of the files read since the last delivery, the latest change
  std::string last_fault_;   // of the directory: reported once
};

}  // namespace k8s
