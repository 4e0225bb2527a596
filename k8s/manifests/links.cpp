// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/links.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <utility>

namespace k8s {
namespace {

// A directory on the way can only be renamed while something is in it.
constexpr std::uint32_t kDirectoryMoved = IN_MOVED_FROM | IN_MOVED_TO;
constexpr std::uint32_t kLinkMoved = kDirectoryMoved | IN_CREATE | IN_DELETE;
constexpr std::uint32_t kFileWritten = kLinkMoved | IN_CLOSE_WRITE;

// The parts of a path in reverse order: the last element is the next to follow.
void push_parts(std::string_view path, std::vector<std::string>& rest) {
  std::size_t end = path.size();
  while (end > 0) {
    const std::size_t slash = path.rfind('/', end - 1);
    const std::size_t start = slash == std::string_view::npos ? 0 : slash + 1;
    if (end > start) rest.emplace_back(path.substr(start, end - start));
    if (slash == std::string_view::npos) return;
    end = slash;
  }
}

std::string join(const std::string& directory, const std::string& name) {
  return directory == "/" ? "/" + name : directory + "/" + name;
}

std::string target_of(const std::string& link) {
  std::array<char, PATH_MAX> target;
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  return size > 0 ? std::string(target.data(), static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

bool drain_inotify(
    int inotify,
    const std::function<bool(int watch, std::uint32_t mask, std::string_view name)>& take) {
  alignas(inotify_event) std::array<char, 16384> buffer;
  bool changed = false;
  while (true) {
    const ssize_t length = ::read(inotify, buffer.data(), buffer.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return changed;  // EAGAIN: that was all
    for (const char* at = buffer.data(); at < buffer.data() + length;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      const char* name = at + sizeof event;
      if (take(event.wd, event.mask, {name, ::strnlen(name, event.len)})) changed = true;
      at += sizeof event + event.len;
    }
  }
}

std::vector<PathStep> steps_to(const std::string& path) {
  constexpr int kMostLinks = 40;
  std::vector<PathStep> steps;
  std::vector<std::string> rest;
  push_parts(path, rest);
  std::string at = "/";
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.back());
    rest.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      const std::size_t slash = at.rfind('/');
      at = slash == 0 || slash == std::string::npos ? "/" : at.substr(0, slash);
      continue;
    }
    const std::string whole = join(at, part);
    struct stat status {};
    const bool exists = ::lstat(whole.c_str(), &status) == 0;
    const bool is_link = exists && S_ISLNK(status.st_mode);
    steps.push_back({at, part, is_link});
    if (!exists) return steps;
    if (!is_link) {
      at = whole;
      continue;
    }
    const std::string target = target_of(whole);
    if (++links > kMostLinks || target.empty()) return steps;
    if (target.front() == '/') at = "/";
    push_parts(target, rest);
  }
  return steps;
}

void LinkWatches::follow(int inotify, const std::string& whose, const std::string& path,
                         std::size_t skipped) {
  const std::vector<PathStep> steps = steps_to(path);
  for (std::size_t i = skipped; i < steps.size(); ++i) {
    const bool is_last = i + 1 == steps.size();
    const std::uint32_t mask = is_last            ? kFileWritten
                               : steps[i].is_link ? kLinkMoved
                                                  : kDirectoryMoved;
    const int watch =
        ::inotify_add_watch(inotify, steps[i].directory.c_str(), mask | IN_MASK_ADD | IN_ONLYDIR);
    if (watch >= 0) ways_[watch].emplace(steps[i].name, whose);
  }
}

void LinkWatches::forget(int inotify, const std::string& whose, int kept) {
  for (auto way = ways_.begin(); way != ways_.end();) {
    std::erase_if(way->second, [&](const auto& entry) { return entry.second == whose; });
    if (!way->second.empty()) {
      ++way;
      continue;
    }
    if (way->first != kept) ::inotify_rm_watch(inotify, way->first);
    way = ways_.erase(way);
  }
}

std::vector<std::string> LinkWatches::concerned(int watch, std::uint32_t mask,
                                                std::string_view name) {
  std::vector<std::string> whose;
  const auto way = ways_.find(watch);
  if (way == ways_.end()) return whose;
  if ((mask & IN_IGNORED) != 0) {
    for (const auto& [step, owner] : way->second) whose.push_back(owner);
    ways_.erase(way);
    return whose;
  }
  const auto [first, last] = way->second.equal_range(name);
  for (auto entry = first; entry != last; ++entry) whose.push_back(entry->second);
  return whose;
}

}  // namespace k8s
