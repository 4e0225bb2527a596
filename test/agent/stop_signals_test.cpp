// SPDX-License-Identifier: Apache-2.0
//
// Each case runs in a child process, because it ends by the signal.
#include "agent/stop_signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <functional>
#include <string>
#include <vector>

namespace {

using std::chrono::milliseconds;

struct Ended {
  int code = -1;  // -1: by a signal
  std::string error_output;
};

// Runs `work` in a child whose standard error is read until it has ended. A child that is there
// after 20 s of processor time, or that waits for ever, fails the test by its own limit.
Ended run_child(const std::function<void()>& work) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::dup2(ends[1], 2);
    ::close(ends[0]);
    ::close(ends[1]);
    const rlimit limit{.rlim_cur = 20, .rlim_max = 20};
    ::setrlimit(RLIMIT_CPU, &limit);
    work();
    ::_exit(99);
  }
  ::close(ends[1]);
  Ended ended;
  std::array<char, 512> buffer{};
  for (ssize_t size = 0; (size = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    ended.error_output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  return ended;
}

[[noreturn]] void hang() {
  for (;;) continue;
}

}  // namespace

TEST_CASE("a signal before anything listens ends the process at once (H5)", "[stop_signals]") {
  const int number = GENERATE(SIGTERM, SIGINT);
  const int interrupted = GENERATE(0, 1);
  const Ended ended = run_child([&] {
    agent::catch_stop_signals(interrupted);
    ::raise(number);
  });
  CHECK(ended.code == interrupted);
  CHECK(ended.error_output == "kube-ipvs: ended by a signal; what is programmed stays\n");
}

TEST_CASE("a signal ends a process that inherited it blocked or ignored (H5)", "[stop_signals]") {
  const Ended ended = run_child([&] {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ::signal(SIGTERM, SIG_IGN);
    ::raise(SIGINT);  // waits
    ::signal(SIGINT, SIG_DFL);
    agent::catch_stop_signals();
    ::raise(SIGTERM);
  });
  CHECK(ended.code == 0);
}

TEST_CASE("a signal that the loop cannot take ends the process after its time of grace (H5)",
          "[stop_signals]") {
  const Ended ended = run_child([&] {
    agent::catch_stop_signals();
    boost::asio::io_context context;
    agent::StopSignals signals(context.get_executor(), milliseconds(20));
    signals.listen([](int) {});
    ::raise(SIGTERM);
    hang();  // as in a call of the kernel
  });
  CHECK(ended.code == 0);
  CHECK(ended.error_output ==
        "kube-ipvs: not everything had stopped in time: ended; what is programmed stays\n");
}

TEST_CASE("a second signal ends the process at once (H5)", "[stop_signals]") {
  const Ended ended = run_child([&] {
    agent::catch_stop_signals();
    boost::asio::io_context context;
    agent::StopSignals signals(context.get_executor(), std::chrono::hours(1));
    ::raise(SIGTERM);
    ::raise(SIGINT);
  });
  CHECK(ended.code == 0);
  CHECK(ended.error_output == "kube-ipvs: a second signal: ended at once\n");
}

TEST_CASE("a signal ends the process although nobody reads its standard error (H5)",
          "[stop_signals]") {
  const Ended ended = run_child([&] {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_NONBLOCK) != 0) ::_exit(98);
    const std::array<char, 4096> block{};
    while (::write(ends[1], block.data(), block.size()) > 0) continue;
    ::dup2(ends[1], 2);
    ::fcntl(2, F_SETFL, 0);
    agent::catch_stop_signals();
    ::raise(SIGTERM);
  });
  CHECK(ended.code == 0);
}

TEST_CASE("signals are kept from the start of listening until they can be delivered (H5)",
          "[stop_signals]") {
  boost::asio::io_context context;
  agent::StopSignals signals(context.get_executor(), std::chrono::hours(1));
  for (const int number : {SIGHUP, SIGUSR1, SIGUSR2, SIGUSR1, SIGTERM}) ::raise(number);
  std::vector<int> seen;
  signals.listen([&](int number) {
    seen.push_back(number);
    if (number == SIGTERM) signals.close();
  });
  context.run();
  CHECK(seen == std::vector<int>{SIGHUP, SIGUSR1, SIGUSR2, SIGUSR1, SIGTERM});
}

TEST_CASE("a hang-up or a broken pipe does not end the process (G)", "[stop_signals]") {
  const Ended ended = run_child([&] {
    agent::catch_stop_signals();
    ::raise(SIGHUP);
    ::raise(SIGPIPE);
    boost::asio::io_context context;
    const agent::StopSignals signals(context.get_executor());
    ::raise(SIGHUP);
    ::_exit(42);
  });
  CHECK(ended.code == 42);
}

TEST_CASE("what has stopped in time has no deadline left, and the end has one of its own (H5)",
          "[stop_signals]") {
  const bool in_time = GENERATE(true, false);
  const Ended ended = run_child([&] {
    agent::catch_stop_signals();
    boost::asio::io_context context;
    agent::StopSignals signals(context.get_executor(), milliseconds(1));
    signals.close();
    agent::end_within(in_time ? milliseconds(3'600'000) : milliseconds(1), 7);
    if (in_time) ::_exit(7);
    hang();  // as in the destructor that waits for a lookup
  });
  CHECK(ended.code == 7);
}
