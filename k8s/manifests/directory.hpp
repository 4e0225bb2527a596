// SPDX-License-Identifier: Apache-2.0
//
// Watches a directory of manifest files with inotify, and lists it. Does not read the files.
//
// A file counts as changed when it is complete: closed after writing, moved in or out, or deleted.
// Writes (IN_MODIFY) are ignored, and so is creation, except of links, which are complete when they
// are created. Names that are not manifests (hidden files, editors' backups) are ignored, except
// for a link or directory that is moved into place: a mounted ConfigMap replaces all its files at
// once by moving `..data`.
//
// The directory, any directory above it, and the files in it may be links: what they lead to is
// followed and watched (k8s/manifests/links.hpp).
//
// Threading: the executor's one thread. list() blocks it: the directory is local and small.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/manifests/links.hpp"

namespace k8s {

class ManifestDirectory {
 public:
  ManifestDirectory(boost::asio::any_io_executor executor, const std::string& path);

  const std::string& path() const { return path_; }

  // Starts to watch the directory, and marks everything as changed. An error if it does not exist.
  [[nodiscard]] boost::system::error_code open();
  // False before open() and after the directory was deleted or moved away.
  bool is_open() const { return watch_ >= 0; }

  // False if the kernel provided no inotify instance: wait() would return immediately.
  bool has_events() const { return events_.is_open(); }
  // Waits until there are events. Ends early when it is cancelled.
  boost::asio::awaitable<void> wait();
  // Reads all pending events. True if a file counts as changed or the directory was removed.
  bool drain();

  struct Changes {
    bool everything = false;      // list() again
    std::set<std::string> names;  // of files, without the directory
    bool empty() const { return !everything && names.empty(); }
  };
  // The changes since the last call.
  Changes take_changes();

  // The names of the manifest files, sorted.
  boost::system::result<std::vector<std::string>> list() const;

  // Before a file is read: if it is a link, its target is watched from now on.
  void follow_link(const std::string& name);

  // For a file that could not be read: while `wanted`, a new mode or owner counts as a change.
  void watch_mode_of(const std::string& name, bool wanted);

 private:
  void lose();
  bool take_event(int watch, std::uint32_t mask, std::string_view name);
  bool is_link_or(std::string_view name, std::uint32_t type) const;

  std::string path_;  // absolute, without a slash at its end
  boost::asio::posix::stream_descriptor events_;
  int watch_ = -1;                // on the directory
  LinkWatches links_;             // those of path_ are whose "", others of a file's name
  std::size_t steps_ = 0;         // on the way to path_
  std::set<std::string> linked_;  // files that are links
  std::set<std::string> unreadable_;
  Changes changes_;
};

}  // namespace k8s
