// SPDX-License-Identifier: Apache-2.0
#include "k8s/async/task_group.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <exception>

namespace {

namespace asio = boost::asio;

asio::awaitable<void> run_for_ever(bool& started) {
  started = true;
  asio::steady_timer never(co_await asio::this_coro::executor,
                           asio::steady_timer::time_point::max());
  co_await never.async_wait(asio::use_awaitable);
}

}  // namespace

TEST_CASE("a task that is spawned after the group was stopped is not started, and not waited for") {
  asio::io_context context;
  agent::TaskGroup tasks(context.get_executor(), [](std::exception_ptr) {});
  bool first = false, late = false;
  tasks.spawn(run_for_ever(first));
  context.poll();
  tasks.stop();
  tasks.spawn(run_for_ever(late));
  bool ended = false;
  asio::co_spawn(context, tasks.wait(), [&](std::exception_ptr) { ended = true; });
  context.restart();
  context.run_for(std::chrono::seconds(10));
  CHECK(first);
  CHECK_FALSE(late);
  CHECK(ended);
}
