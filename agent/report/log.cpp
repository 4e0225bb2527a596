// SPDX-License-Identifier: Apache-2.0
#include "agent/report/log.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <limits>

#include "agent/log/log.hpp"
#include "config/printable.hpp"
#include "config/values.hpp"

namespace agent {
namespace {

constexpr std::chrono::seconds kBetweenLooks{10};
constexpr std::size_t kMaxShown = 64;

void say_verbosity() { log_info("Log verbosity changed", {{"verbosity", verbosity()}}); }

}  // namespace

void set_up_log(const config::Config& config) {
  set_log_format(config.log_format);
  set_verbosity(config.verbosity);
  set_vmodule(config.vmodule);
}

void change_verbosity(int by) {
  set_verbosity(std::max(0, verbosity() + by));
  say_verbosity();
}

// The words of kube-proxy's answers, for scripts.
HttpAnswer answer_verbosity(std::string_view text) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto level = config::parse_number(text, 0, kMost);
  if (!level) {
    const std::string shown = config::printable(text, kMaxShown);
    return {.status = 400,
            .body = "failed set klog.logging.verbosity " + shown + ": " +
                    config::printable(level.error().what, 2 * kMaxShown) + "\n"};
  }
  set_verbosity(static_cast<int>(*level));
  say_verbosity();
  return {.body = "successfully set klog.logging.verbosity to " + std::string(text) + "\n"};
}

boost::asio::awaitable<void> write_repeats(boost::asio::any_io_executor executor) {
  boost::asio::steady_timer timer(executor);
  while (true) {
    timer.expires_after(kBetweenLooks);
    co_await timer.async_wait(boost::asio::use_awaitable);
    write_due_repeats();
  }
}

}  // namespace agent
