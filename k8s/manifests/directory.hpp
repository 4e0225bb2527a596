// SPDX-License-Identifier: Apache-2.0
//
// A directory of manifest files and what happens to it: inotify, listing, reading. It knows nothing
// of what is in the files.
//
// A file counts as changed when it is complete: closed after writing, moved in or out, or deleted.
// Writing itself (IN_MODIFY) and creation are not looked at, but for links, which are created
// whole. Names that are no manifests (hidden files, editors' copies) are not looked at either, but
// for a link or directory moved into place: that is how a mounted ConfigMap (`..data`) changes all
// files at once.
//
// Limits: a link's target outside of the directory is not watched (touch or move the link). The
// directory itself may be a link, and be moved to another target.
//
// Threading: one thread, its executor's. Reading blocks it: the files are local and small.
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

namespace k8s {

class ManifestDirectory {
 public:
  ManifestDirectory(boost::asio::any_io_executor executor, std::string path);

  const std::string& path() const { return path_; }

  // Starts to watch the directory; an error when it is not there. Everything counts as changed
  // then.
  [[nodiscard]] boost::system::error_code open();
  // False before open() and after the directory was deleted or moved away.
  bool is_open() const { return watch_ >= 0; }

  // False when the kernel gave us no inotify instance: wait() would not wait.
  bool has_events() const { return events_.is_open(); }
  // Waits until the kernel has something to tell. Ends early when it is cancelled.
  boost::asio::awaitable<void> wait();
  // Takes all that the kernel has told. True when a file counts as changed or the directory is
  // gone.
  bool drain();

  struct Changes {
    bool everything = false;      // list() again
    std::set<std::string> names;  // of files, without the directory
    bool empty() const { return !everything && names.empty(); }
  };
  // What has changed since the last call.
  Changes take_changes();

  // The names of the manifest files, in order.
  boost::system::result<std::vector<std::string>> list() const;

  // A file that could not be read is also worth another try when its mode changes.
  void watch_mode_of(const std::string& name, bool wanted);

 private:
  void lose();
  void watch_link();
  bool take_event(int watch, std::uint32_t mask, std::string_view name);
  bool is_link_or(std::string_view name, std::uint32_t type) const;

  std::string path_;  // absolute, without a slash at its end
  boost::asio::posix::stream_descriptor events_;
  int watch_ = -1;       // on the directory
  int link_watch_ = -1;  // on its parent, when path_ is a link
  std::set<std::string> unreadable_;
  Changes changes_;
};

}  // namespace k8s
