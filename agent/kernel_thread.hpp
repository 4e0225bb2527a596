// SPDX-License-Identifier: Apache-2.0
//
// The one thread on which the kernel is talked to, so that a burst of netlink never keeps the
// watches waiting. Work is queued and done in order; a coroutine waits for its result and goes on
// where it was.
//
//   auto outcome = co_await kernel.run([&] { return ipvs::apply(k, changes); });
//
// Threading: run() may be called from the io_context thread only; the function runs on the kernel
// thread. What it refers to must stay alive and untouched until the result is there: a cancelled
// coroutine ends when it has its result, not before.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace agent {

class KernelThread {
 public:
  KernelThread() : pool_(1) {}
  ~KernelThread() { pool_.join(); }

  template <typename F>
  boost::asio::awaitable<std::invoke_result_t<F>> run(F function) {
    auto result = co_await call(co_await boost::asio::this_coro::executor, std::move(function));
    co_return std::move(*result);
  }

 private:
  template <typename F>
  using Outcome = std::optional<std::invoke_result_t<F>>;

  // Only two posts cross the threads. co_spawn() on the pool would hand it the coroutine's
  // cancellation slot as well, which no lock protects.
  template <typename F>
  boost::asio::awaitable<Outcome<F>> call(boost::asio::any_io_executor caller, F function) {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                       void(std::exception_ptr, Outcome<F>)>(
        [this, caller](auto handler, F work) {
          boost::asio::post(
              pool_, [caller, handler = std::move(handler), work = std::move(work)]() mutable {
                std::exception_ptr error;
                Outcome<F> outcome;
                try {
                  outcome.emplace(work());
                } catch (...) {
                  error = std::current_exception();
                }
                boost::asio::post(caller, [handler = std::move(handler), error = std::move(error),
                                           outcome = std::move(outcome)]() mutable {
                  handler(std::move(error), std::move(outcome));
                });
              });
        },
        boost::asio::use_awaitable, std::move(function));
  }

  boost::asio::thread_pool pool_;
};

}  // namespace agent
