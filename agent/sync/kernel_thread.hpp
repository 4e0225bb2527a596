// SPDX-License-Identifier: Apache-2.0
//
// The thread for calls of the kernel, so that a burst of netlink never delays the watches. Jobs are
// queued and run in order; a coroutine waits for the result and resumes on its own executor.
//
//   auto outcome = co_await kernel.run([&] { return ipvs::apply(k, changes); });
//
// run_short() runs a short job at once on the calling thread, if the kernel thread is idle:
// changing threads twice costs more than a message to the kernel.
//
// Threading: run() and run_short() are called on the io_context thread only. Jobs run one at a
// time, and each sees the effects of those before it. What a job refers to must stay alive and
// unchanged until the result is there: a cancelled coroutine ends after its job, not before.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "k8s/async/coarse_clock.hpp"

namespace agent {

class KernelThread {
 public:
  KernelThread() : pool_(1) {}
  ~KernelThread() { pool_.join(); }

  template <typename F>
  boost::asio::awaitable<std::invoke_result_t<F>> run(F function) {
    const UnderWay job(*this);
    auto result = co_await call(co_await boost::asio::this_coro::executor, std::move(function));
    co_return std::move(*result);
  }

  // Since when the kernel thread has been at its present job; nullopt: it has none. A job that never
  // ends is a call that the kernel does not return from.
  std::optional<std::chrono::steady_clock::time_point> busy_since() const {
    return under_way_ == 0 ? std::nullopt : std::optional(job_since_);
  }

  // `is_short`: the job blocks for at most about 1 ms, so it may delay the event loop.
  template <typename F>
  boost::asio::awaitable<std::invoke_result_t<F>> run_short(bool is_short, F function) {
    if (is_short && under_way_ == 0) co_return function();
    co_return co_await run(std::move(function));
  }

 private:
  // Jobs run in order: each begins when it is queued, or when the one before it ends.
  struct UnderWay {
    explicit UnderWay(KernelThread& thread_in) : thread(thread_in) {
      if (thread.under_way_++ == 0) thread.job_since_ = k8s::coarse_now();
    }
    ~UnderWay() {
      --thread.under_way_;
      thread.job_since_ = k8s::coarse_now();
    }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;
    KernelThread& thread;
  };

  template <typename F>
  using Outcome = std::optional<std::invoke_result_t<F>>;

  // Only the two posts cross threads. co_spawn() on the pool would also give it the coroutine's
  // cancellation slot, which no lock protects.
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
  int under_way_ = 0;  // jobs whose result is not there yet
  std::chrono::steady_clock::time_point job_since_{};
};

}  // namespace agent
