// SPDX-License-Identifier: Apache-2.0
//
// The owner of spawned coroutines: stop() cancels them all, wait() waits until all have ended.
//
// Threading: one thread, that of the executor.
// Errors: a task that ends with an exception before stop() is a bug or a fatal condition; the
// exception is passed to on_error.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <functional>
#include <list>
#include <utility>

namespace agent {

class TaskGroup {
 public:
  using OnError = std::function<void(std::exception_ptr)>;

  TaskGroup(boost::asio::any_io_executor executor, OnError on_error)
      : executor_(executor), on_error_(std::move(on_error)), idle_(executor) {
    idle_.expires_at(boost::asio::steady_timer::time_point::max());
  }

  // Does nothing after stop().
  void spawn(boost::asio::awaitable<void> task) {
    if (stopped_) return;
    const auto signal = signals_.emplace(signals_.end());
    const auto ended = [this, signal](std::exception_ptr error) {
      const bool was_stopped = stopped_;
      signals_.erase(signal);
      if (error && !was_stopped) on_error_(error);
      if (signals_.empty()) idle_.cancel();
    };
    boost::asio::co_spawn(executor_, std::move(task),
                          boost::asio::bind_cancellation_slot(signal->slot(), ended));
  }

  void stop() {
    stopped_ = true;
    for (auto signal = signals_.begin(); signal != signals_.end();) {
      // Emitting may end the task and erase its signal.
      (signal++)->emit(boost::asio::cancellation_type::terminal);
    }
  }

  // Returns when no task is left.
  boost::asio::awaitable<void> wait() {
    while (!signals_.empty()) {
      co_await idle_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      idle_.expires_at(boost::asio::steady_timer::time_point::max());
    }
  }

 private:
  boost::asio::any_io_executor executor_;
  OnError on_error_;
  boost::asio::steady_timer idle_;
  std::list<boost::asio::cancellation_signal> signals_;
  bool stopped_ = false;
};

}  // namespace agent
