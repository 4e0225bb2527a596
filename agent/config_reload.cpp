// SPDX-License-Identifier: Apache-2.0
#include "agent/config_reload.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace agent {
namespace {

namespace asio = boost::asio;

constexpr int kRestFactor = 20;
constexpr std::chrono::milliseconds kLongestRest{2000};
constexpr std::size_t kMostFaults = 20;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string text_of(const std::vector<config::Fault>& faults) {
  std::string all;
  for (std::size_t i = 0; i < std::min(faults.size(), kMostFaults); ++i) {
    all += (all.empty() ? "" : "; ") + faults[i].text();
  }
  if (faults.size() > kMostFaults) {
    all += "; and " + std::to_string(faults.size() - kMostFaults) + " more";
  }
  return all;
}

}  // namespace

ConfigReload::ConfigReload(asio::any_io_executor executor, const std::string& path, Parts parts)
    : ConfigReload(executor, path, std::move(parts), Pace{}) {}

ConfigReload::ConfigReload(asio::any_io_executor executor, const std::string& path, Parts parts,
                           Pace pace)
    : executor_(executor), parts_(std::move(parts)), pace_(pace), watch_(executor, path) {}

void ConfigReload::start(TaskGroup& tasks) {
  warnings_ = parts_.current().warnings;
  watch_.follow();
  last_look_ = look();
  watch_.wake();  // what was written while the agent started is read, too
  tasks.spawn(watch_.run());
  tasks.spawn(run());
}

void ConfigReload::ask() {
  is_asked_ = true;
  watch_.wake();
}

ConfigReload::Look ConfigReload::look() const {
  struct stat status {};
  if (::stat(watch_.path().c_str(), &status) != 0) return {.error = errno};
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .written_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

// GCC 12 inlines only half of Asio's coroutine frame allocation here, and warns of a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

asio::awaitable<void> ConfigReload::run() {
  while (true) {
    co_await wait_for_change();
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(last_cost_);
    const auto settle = std::max(pace_.settle, std::min(rest * kRestFactor, kLongestRest));
    asio::steady_timer settled(executor_, settle);
    co_await settled.async_wait(asio::use_awaitable);
    watch_.follow();
    const bool is_asked = std::exchange(is_asked_, false);
    co_await reload(is_asked);
  }
}

asio::awaitable<void> ConfigReload::wait_for_change() {
  while (true) {
    const bool looks = !refused_.empty() || !watch_.has_events();
    const bool changed =
        co_await watch_.next(looks ? pace_.look : std::chrono::milliseconds::max());
    if (changed || look() != last_look_) co_return;
  }
}

config::ParseOutcome ConfigReload::load_once() {
  const auto begin = std::chrono::steady_clock::now();
  last_look_ = look();
  config::ParseOutcome outcome = parts_.load();
  last_cost_ = std::chrono::steady_clock::now() - begin;
  return outcome;
}

asio::awaitable<config::ParseOutcome> ConfigReload::load() {
  config::ParseOutcome outcome = load_once();
  if (!outcome.config) {
    asio::steady_timer rest(executor_, pace_.grace);
    co_await rest.async_wait(asio::use_awaitable);
    outcome = load_once();
  }
  co_return outcome;
}

asio::awaitable<void> ConfigReload::reload(bool is_asked) {
  config::ParseOutcome outcome = co_await load();
  if (!outcome.config) {
    refuse(text_of(outcome.faults), is_asked);
    co_return;
  }
  const config::Difference changed = config::difference(parts_.current(), *outcome.config);
  if (!changed.live.empty()) {
    const std::string why = co_await parts_.try_out(*outcome.config, changed);
    if (!why.empty()) {
      refuse(why, is_asked);
      co_return;
    }
  }
  const bool was_refused = !std::exchange(refused_, {}).empty();
  if (!changed.live.empty()) {
    config::Config next = config::with_live(parts_.current(), *outcome.config);
    co_await parts_.apply(std::move(next), changed);
    parts_.note(watch_.path() + ": applied: " + config::text(changed.live));
  } else if (was_refused || is_asked) {
    parts_.note(watch_.path() + ": read again: what is in force is what it says");
  }
  report_warnings(std::move(outcome.config->warnings));
  report_restart(changed.restart);
  // The file was read just before the start: that it is the same is no news.
  if (std::exchange(is_first_, false) && changed.live.empty()) co_return;
  parts_.conclude(changed.live.empty() ? Result::kUnchanged : Result::kApplied, {});
}

void ConfigReload::refuse(const std::string& why, bool is_asked) {
  is_first_ = false;
  const bool is_news = std::exchange(refused_, why) != why;
  const std::string line = watch_.path() + ": refused, and the settings in force stay: " + why;
  if (is_news || is_asked) parts_.warn(line);
  parts_.conclude(Result::kRefused, why);
}

// A line for each warning that the file did not have before.
void ConfigReload::report_warnings(std::vector<std::string> warnings) {
  for (const std::string& warning : warnings) {
    const bool is_known = std::find(warnings_.begin(), warnings_.end(), warning) != warnings_.end();
    if (!is_known) parts_.note(warning);
  }
  warnings_ = std::move(warnings);
}

void ConfigReload::report_restart(const std::vector<config::Difference::Change>& changes) {
  const std::string what = config::text(changes);
  parts_.restart_needed(!what.empty());
  if (std::exchange(restart_, what) == what) return;
  if (what.empty()) {
    parts_.note(watch_.path() + ": no restart is needed any more");
  } else {
    parts_.warn(watch_.path() + ": needs a restart to take effect: " + what);
  }
}

}  // namespace agent
