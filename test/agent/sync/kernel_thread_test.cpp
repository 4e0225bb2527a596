// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/kernel_thread.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;

struct Jobs {
  asio::io_context io;
  agent::KernelThread thread;

  template <typename F>
  void spawn(F work) {
    asio::co_spawn(io, std::move(work), asio::detached);
  }
};

TEST_CASE("a short job runs on the calling thread, any other on the kernel thread") {
  Jobs jobs;
  std::thread::id far, short_one, long_one;
  jobs.spawn([&]() -> asio::awaitable<void> {
    far = co_await jobs.thread.run([] { return std::this_thread::get_id(); });
    short_one = co_await jobs.thread.run_short(true, [] { return std::this_thread::get_id(); });
    long_one = co_await jobs.thread.run_short(false, [] { return std::this_thread::get_id(); });
  });
  jobs.io.run();
  CHECK(far != std::this_thread::get_id());
  CHECK(short_one == std::this_thread::get_id());
  CHECK(long_one == far);
}

TEST_CASE("a short job waits for its turn while the kernel thread is busy") {
  Jobs jobs;
  std::vector<int> order;
  jobs.spawn([&]() -> asio::awaitable<void> {
    co_await jobs.thread.run([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      order.push_back(1);
      return 0;
    });
  });
  jobs.spawn([&]() -> asio::awaitable<void> {
    co_await jobs.thread.run_short(true, [&] {
      order.push_back(2);
      return 0;
    });
  });
  jobs.io.run();
  CHECK(order == std::vector{1, 2});
}

TEST_CASE("after a job that throws, short jobs run at once again") {
  Jobs jobs;
  bool caught = false;
  std::thread::id after;
  jobs.spawn([&]() -> asio::awaitable<void> {
    try {
      co_await jobs.thread.run([]() -> int { throw std::runtime_error("no"); });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    after = co_await jobs.thread.run_short(true, [] { return std::this_thread::get_id(); });
  });
  jobs.io.run();
  CHECK(caught);
  CHECK(after == std::this_thread::get_id());
}

TEST_CASE("it is known since when the kernel has not returned from a call (A1)") {
  Jobs jobs;
  CHECK_FALSE(jobs.thread.busy_since());
  std::promise<void> answer;
  std::vector<std::chrono::steady_clock::time_point> ends;
  for (int i = 0; i < 2; ++i) {
    jobs.spawn([&, i]() -> asio::awaitable<void> {
      co_await jobs.thread.run([&] {
        if (i == 0) answer.get_future().wait();
        return 0;
      });
      if (i == 0) ends.push_back(*jobs.thread.busy_since());
    });
  }
  jobs.io.poll();
  const auto since = jobs.thread.busy_since();
  REQUIRE(since);
  CHECK(jobs.thread.busy_since() == since);
  answer.set_value();
  jobs.io.run();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0] >= *since);  // the second began when the first had ended
  CHECK_FALSE(jobs.thread.busy_since());
}

}  // namespace
