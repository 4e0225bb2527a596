// SPDX-License-Identifier: Apache-2.0
//
// Watches, with inotify, the places on the way to a path: every directory entry, link or not, that
// decides what the path leads to. So a link above the manifest directory, one out of it, or a
// chain of links is noticed when it is moved to another target, and a linked file when it is
// written or replaced, as a file in the directory itself would be.
//
// Threading: the caller's one thread. Blocks for a few lstat calls per path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace k8s {

// A directory entry on the way to a path.
struct PathStep {
  std::string directory;
  std::string name;
  bool is_link = false;
  bool operator==(const PathStep&) const = default;
};

// All of them in the order in which the kernel follows them, up to the first that does not exist.
// `path` is absolute. At most 40 links, as in the kernel.
std::vector<PathStep> steps_to(const std::string& path);

// Reads all events there are of a non-blocking inotify descriptor. True: `take` said so of one.
bool drain_inotify(
    int inotify,
    const std::function<bool(int watch, std::uint32_t mask, std::string_view name)>& take);

class LinkWatches {
 public:
  // Watches the way to `path` for `whose`, which had none. `skipped` is the number of steps at its
  // beginning that are watched already.
  void follow(int inotify, const std::string& whose, const std::string& path,
              std::size_t skipped = 0);
  // `kept`: a watch that others need, too.
  void forget(int inotify, const std::string& whose, int kept = -1);

  // Whose way an event has changed.
  std::vector<std::string> concerned(int watch, std::uint32_t mask, std::string_view name);

 private:
  // By watch, then by name: whose.
  std::map<int, std::multimap<std::string, std::string, std::less<>>> ways_;
};

}  // namespace k8s
