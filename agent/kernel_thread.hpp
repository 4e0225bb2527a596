// SPDX-License-Identifier: Apache-2.0
//
// The one thread on which the kernel is talked to, so that a burst of netlink never keeps the
// watches waiting. Work is queued and done in order; a coroutine waits for its result and goes on
// where it was.
//
//   auto outcome = co_await kernel.run([&] { return ipvs::apply(k, changes); });
//
// Threading: run() may be called from the io_context thread only; the function runs on the kernel
// thread. What it refers to must stay alive and untouched until the result is there.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <type_traits>
#include <utility>

namespace agent {

class KernelThread {
 public:
  KernelThread() : pool_(1) {}
  ~KernelThread() { pool_.join(); }

  template <typename F>
  boost::asio::awaitable<std::invoke_result_t<F>> run(F function) {
    return boost::asio::co_spawn(pool_, call(std::move(function)), boost::asio::use_awaitable);
  }

 private:
  template <typename F>
  static boost::asio::awaitable<std::invoke_result_t<F>> call(F function) {
    co_return function();
  }

  boost::asio::thread_pool pool_;
};

}  // namespace agent
