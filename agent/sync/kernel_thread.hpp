// SPDX-License-Identifier: Apache-2.0
//
// The one thread on which the kernel is talked to, so that a burst of netlink never keeps the
// watches waiting. Work is queued and done in order; a coroutine waits for its result and goes on
// where it was.
//
//   auto outcome = co_await kernel.run([&] { return ipvs::apply(k, changes); });
//
// A short job need not go there: run_short() does it at once on the calling thread, as long as the
// kernel thread has nothing to do. Going over and back costs more than a message to the kernel.
//
// Threading: both may be called from the io_context thread only; the functions run one at a time,
// and each sees what those before it did. What it refers to must stay alive and untouched until the
// result is there: a cancelled coroutine ends when it has its result, not before.
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
    const UnderWay job(under_way_);
    auto result = co_await call(co_await boost::asio::this_coro::executor, std::move(function));
    co_return std::move(*result);
  }

  // `is_short`: it blocks for no longer than reading an event may be put off, 1 ms or so.
  template <typename F>
  boost::asio::awaitable<std::invoke_result_t<F>> run_short(bool is_short, F function) {
    if (is_short && under_way_ == 0) co_return function();
    co_return co_await run(std::move(function));
  }

 private:
  struct UnderWay {
    explicit UnderWay(int& jobs_in) : jobs(jobs_in) { ++jobs; }
    ~UnderWay() { --jobs; }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    int& jobs;
  };

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
  int under_way_ = 0;  // handed over, and not back yet
};

}  // namespace agent
