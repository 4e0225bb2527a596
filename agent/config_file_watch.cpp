// SPDX-License-Identifier: Apache-2.0
#include "agent/config_file_watch.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace agent {
namespace {

namespace asio = boost::asio;
constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kPause{50};  // between two readings of events

std::string absolute(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path whole = std::filesystem::absolute(path, failed);
  return failed ? path : whole.string();
}

// Whether what was created under this name is complete: a file is not, unless it has another name
// already; its writer closes it later. A link is.
bool is_complete(const std::string& path, std::string_view name) {
  const std::vector<k8s::PathStep> steps = k8s::steps_to(path);
  const bool is_link = std::any_of(steps.begin(), steps.end(), [&](const k8s::PathStep& step) {
    return step.is_link && step.name == name;
  });
  struct stat status {};
  return is_link || ::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
         status.st_nlink > 1;
}

}  // namespace

ConfigFileWatch::ConfigFileWatch(asio::any_io_executor executor, const std::string& path)
    : path_(absolute(path)), events_(executor), timer_(executor) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return;
  boost::system::error_code failed;
  events_.assign(fd, failed);
  if (failed) ::close(fd);
}

void ConfigFileWatch::follow() {
  has_changed_ = false;
  if (!events_.is_open()) return;
  drain();  // the file is read after this
  links_.forget(events_.native_handle(), {});
  links_.follow(events_.native_handle(), {}, path_);
}

asio::awaitable<void> ConfigFileWatch::run() {
  while (events_.is_open()) {
    co_await events_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
    if (drain()) wake();
    asio::steady_timer pause(events_.get_executor(), kPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

void ConfigFileWatch::wake() {
  has_changed_ = true;
  timer_.cancel();
}

asio::awaitable<bool> ConfigFileWatch::next(std::chrono::milliseconds limit) {
  if (!has_changed_) {
    if (limit == std::chrono::milliseconds::max()) {
      timer_.expires_at(asio::steady_timer::time_point::max());
    } else {
      timer_.expires_after(limit);
    }
    // wake() ends the wait; so does being cancelled, after which the next co_await throws.
    co_await timer_.async_wait(kQuietly);
  }
  co_return std::exchange(has_changed_, false);
}

bool ConfigFileWatch::drain() {
  return k8s::drain_inotify(events_.native_handle(),
                            [this](int watch, std::uint32_t mask, std::string_view name) {
                              return concerns(watch, mask, name);
                            });
}

bool ConfigFileWatch::concerns(int watch, std::uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) return true;
  if (links_.concerned(watch, mask, name).empty()) return false;
  return (mask & IN_CREATE) == 0 || is_complete(path_, name);
}

}  // namespace agent
