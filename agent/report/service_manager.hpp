// SPDX-License-Identifier: Apache-2.0
//
// What systemd hears of the agent (Type=notify), and when:
//
//   READY=1      once, when /readyz would say so for the first time
//   STATUS=...   what it waits for; then "serving 3 Services: ..." and what is not as asked. At most
//                once a second, and only if it has changed
//   WATCHDOG=1   at half of WATCHDOG_USEC, while /livez would say that the agent is alive
//   STOPPING=1   at SIGTERM
//
// The ends of the sync loop's passes drive it; a timer of the same thread does while there are none:
// before the first lists, and while the kernel is busy with one long call. Without NOTIFY_SOCKET it
// does nothing.
//
// Threading: the agent's io_context thread, so a thread that is stuck feeds no watchdog.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/report/notify_socket.hpp"

namespace agent {

// What the status says, in words.
struct AgentStatus {
  std::string awaited;  // "": ready
  std::size_t services = 0, servers = 0, destinations = 0;
  std::vector<std::string> reasons{};  // of not being healthy
  std::size_t conditions = 0;          // what is not done as asked
  std::string condition{};             // one of them
};
std::string text_of(const AgentStatus& status);

class ServiceManager {
 public:
  using Clock = std::chrono::steady_clock;
  struct Asks {
    std::function<bool()> is_ready, is_alive;
    std::function<AgentStatus()> status;
    Clock::time_point (*now)() = [] { return Clock::now(); };
  };

  ServiceManager(boost::asio::any_io_executor executor, const NotifySettings& settings, Asks asks);

  // Ends at once if nobody wants to hear.
  boost::asio::awaitable<void> run();
  // A pass of the sync loop has ended.
  void pass_ended();
  void stopping();

 private:
  void tell();
  std::chrono::nanoseconds pause() const;

  NotifySocket socket_;
  const std::optional<std::chrono::microseconds> watchdog_;
  const Asks asks_;
  boost::asio::steady_timer timer_;
  bool said_ready_ = false;
  bool is_stopping_ = false;
  std::string said_;  // the last STATUS that was taken
  std::optional<Clock::time_point> told_, fed_;
};

}  // namespace agent
