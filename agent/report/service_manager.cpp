// SPDX-License-Identifier: Apache-2.0
#include "agent/report/service_manager.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/log/log.hpp"

namespace agent {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kBetweenStatuses = 1s;

}  // namespace

std::string text_of(const AgentStatus& status) {
  if (!status.awaited.empty()) return "waiting for " + status.awaited;
  std::string text = fmt::format("serving {} Services: {} virtual servers with {} endpoints",
                                 status.services, status.servers, status.destinations);
  if (!status.reasons.empty()) text += "; not healthy: " + status.reasons.front();
  if (status.conditions > 0) {
    text += fmt::format("; not as asked: {}", status.condition);
    if (status.conditions > 1) text += fmt::format(", and {} more", status.conditions - 1);
  }
  return text;
}

ServiceManager::ServiceManager(boost::asio::any_io_executor executor,
                               const NotifySettings& settings, Asks asks)
    : socket_(settings.socket),
      watchdog_(settings.watchdog),
      asks_(std::move(asks)),
      timer_(executor) {}

boost::asio::awaitable<void> ServiceManager::run() {
  if (!socket_.fault().empty())
    log_warning("systemd cannot be notified", {{kErr, socket_.fault()}});
  while (socket_.is_wanted()) {
    tell();
    timer_.expires_after(pause());
    co_await timer_.async_wait(boost::asio::use_awaitable);
  }
}

// Passes end all the time, so that a ready agent needs no timer but the watchdog's.
std::chrono::nanoseconds ServiceManager::pause() const {
  std::chrono::nanoseconds pause = said_ready_ ? 1h : kBetweenStatuses;
  if (watchdog_) pause = std::min<std::chrono::nanoseconds>(pause, *watchdog_ / 2);
  return pause;
}

void ServiceManager::pass_ended() {
  if (socket_.is_wanted()) tell();
}

// READY=1 and the status of that moment are one message.
void ServiceManager::tell() {
  if (is_stopping_) return;
  const auto now = asks_.now();
  if (watchdog_ && (!fed_ || now - *fed_ >= *watchdog_ / 2) && asks_.is_alive()) {
    if (socket_.send("WATCHDOG=1\n")) fed_ = now;
  }
  const bool becomes_ready = !said_ready_ && asks_.is_ready();
  if (!becomes_ready && told_ && now - *told_ < kBetweenStatuses) return;
  told_ = now;
  const std::string line = notify_line("STATUS", text_of(asks_.status()));
  if (!becomes_ready && line == said_) return;
  if (!socket_.send((becomes_ready ? "READY=1\n" : "") + line)) return;
  said_ = line;
  said_ready_ = said_ready_ || becomes_ready;
}

void ServiceManager::stopping() {
  if (!std::exchange(is_stopping_, true)) {
    socket_.send("STOPPING=1\nSTATUS=stopping; what is programmed stays\n");
  }
}

}  // namespace agent
