// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "k8s/manifests/parse.hpp"

namespace k8s {
namespace {

using boost::system::error_code;

constexpr std::uint32_t kDirectoryEvents = IN_CLOSE_WRITE | IN_CREATE | IN_ATTRIB | IN_DELETE |
                                           IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                           IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t kDirectoryRemoved = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT;

error_code last_error() { return {errno, boost::system::system_category()}; }

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string absolute(const std::string& path) {
  std::error_code ignored;
  std::string whole = std::filesystem::absolute(path, ignored).lexically_normal().string();
  while (whole.size() > 1 && whole.back() == '/') whole.pop_back();
  return whole;
}

}  // namespace

ManifestDirectory::ManifestDirectory(boost::asio::any_io_executor executor, const std::string& path)
    : path_(absolute(path)), events_(executor) {}

error_code ManifestDirectory::open() {
  if (!events_.is_open()) {
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return last_error();
    error_code error;
    events_.assign(fd, error);
    if (error) {
      ::close(fd);
      return error;
    }
  }
  // First, so that nothing can be moved unnoticed between the two.
  links_.forget(events_.native_handle(), {}, watch_);
  links_.follow(events_.native_handle(), {}, path_);
  steps_ = steps_to(path_).size();
  const int watch = ::inotify_add_watch(events_.native_handle(), path_.c_str(), kDirectoryEvents);
  if (watch < 0) return last_error();
  watch_ = watch;
  changes_.everything = true;
  return {};
}

void ManifestDirectory::follow_link(const std::string& name) {
  if (!events_.is_open()) return;
  const bool was_link = linked_.erase(name) > 0;
  if (was_link) links_.forget(events_.native_handle(), name, watch_);
  struct stat status {};
  const std::string path = path_ + "/" + name;
  if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return;
  linked_.insert(name);
  links_.follow(events_.native_handle(), name, path, steps_ + 1);
}

void ManifestDirectory::lose() {
  if (watch_ >= 0) ::inotify_rm_watch(events_.native_handle(), watch_);
  watch_ = -1;
}

boost::asio::awaitable<void> ManifestDirectory::wait() {
  co_await events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                              boost::asio::as_tuple(boost::asio::use_awaitable));
}

bool ManifestDirectory::drain() {
  return drain_inotify(events_.native_handle(),
                       [this](int watch, std::uint32_t mask, std::string_view name) {
                         return take_event(watch, mask, name);
                       });
}

bool ManifestDirectory::take_event(int watch, std::uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) {
    changes_.everything = true;
    return true;
  }
  bool is_concerned = false;
  for (const std::string& whose : links_.concerned(watch, mask, name)) {
    is_concerned = true;
    if (whose.empty()) {
      lose();
      return true;
    }
    changes_.names.insert(whose);
  }
  if (watch != watch_) return is_concerned;  // or of a removed watch
  if ((mask & kDirectoryRemoved) != 0) {
    lose();
    return true;
  }
  if (!is_manifest_name(name)) {
    // A ConfigMap's `..data` was moved into place: every file is a link through it.
    if ((mask & IN_MOVED_TO) == 0 || !is_link_or(name, S_IFDIR)) return is_concerned;
    changes_.everything = true;
    return true;
  }
  if ((mask & IN_CREATE) != 0 && !is_link_or(name, 0)) return is_concerned;
  if ((mask & IN_ATTRIB) != 0 && !unreadable_.contains(std::string(name))) return is_concerned;
  changes_.names.emplace(name);
  return true;
}

// Whether it is a symbolic link, or of file type `type`; for type 0, also a file with more than one
// hard link.
bool ManifestDirectory::is_link_or(std::string_view name, std::uint32_t type) const {
  struct stat status {};
  if (::lstat((path_ + "/" + std::string(name)).c_str(), &status) != 0) return false;
  const std::uint32_t found = status.st_mode & S_IFMT;
  return found == S_IFLNK || found == type ||
         (found == S_IFREG && type == 0 && status.st_nlink > 1);
}

ManifestDirectory::Changes ManifestDirectory::take_changes() { return std::exchange(changes_, {}); }

boost::system::result<std::vector<std::string>> ManifestDirectory::list() const {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path_.c_str()));
  if (!directory) return last_error();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (is_manifest_name(entry->d_name)) names.emplace_back(entry->d_name);
    errno = 0;
  }
  if (errno != 0) return last_error();
  std::sort(names.begin(), names.end());
  return names;
}

void ManifestDirectory::watch_mode_of(const std::string& name, bool wanted) {
  if (wanted) {
    unreadable_.insert(name);
  } else {
    unreadable_.erase(name);
  }
}

}  // namespace k8s
