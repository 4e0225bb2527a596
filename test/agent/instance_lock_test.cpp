// SPDX-License-Identifier: Apache-2.0
#include "agent/instance_lock.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>

#include "test/fake/temporary_folder.hpp"

namespace {

using agent::InstanceLock;
using State = InstanceLock::State;

// Tests run side by side in one network namespace.
std::string own_name() { return "kube-ipvs-test-" + std::to_string(::getpid()); }

// Runs `work` in a process of its own, and returns when it says that it is ready.
pid_t fork_ready(const std::function<void(int ready)>& work) {
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(pipe[0]);
    work(pipe[1]);
    ::_exit(0);
  }
  ::close(pipe[1]);
  char byte = 0;
  REQUIRE(::read(pipe[0], &byte, 1) == 1);
  ::close(pipe[0]);
  return pid;
}

void say_ready(int pipe) { (void)!::write(pipe, "r", 1); }

void wait_for(pid_t pid) { REQUIRE(::waitpid(pid, nullptr, 0) == pid); }

pid_t fork_holder(const std::string& name) {
  return fork_ready([&](int ready) {
    InstanceLock lock("", name);
    if (lock.take() == State::kHeld) say_ready(ready);
    ::pause();
  });
}

}  // namespace

TEST_CASE("a second agent finds the first and names its process (C5)") {
  const std::string name = own_name();
  const pid_t first = fork_holder(name);
  InstanceLock second("", name);
  CHECK(second.take() == State::kTaken);
  CHECK(second.holder() == "process " + std::to_string(first));
  ::kill(first, SIGKILL);
  wait_for(first);
  second.wait();
  CHECK(second.take() == State::kHeld);
}

TEST_CASE("a second agent takes over as soon as the first is killed (C5)") {
  const std::string name = own_name();
  const pid_t first = fork_holder(name);
  const pid_t second = fork_ready([&](int ready) {
    InstanceLock lock("", name);
    if (lock.take() != State::kTaken) return;
    say_ready(ready);
    while (lock.take() == State::kTaken) lock.wait();
    ::_exit(lock.take() == State::kHeld ? 7 : 1);
  });
  ::kill(first, SIGKILL);
  wait_for(first);
  int status = 0;
  REQUIRE(::waitpid(second, &status, 0) == second);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a lock that is held stays held, and is free for the next after it (C5)") {
  const std::string name = own_name();
  {
    InstanceLock lock("", name);
    CHECK(lock.take() == State::kHeld);
    CHECK(lock.take() == State::kHeld);
  }
  InstanceLock next("", name);
  CHECK(next.take() == State::kHeld);
}

TEST_CASE("a name taken by a program that does not listen keeps no agent from starting (C5)") {
  const std::string name = own_name();
  const int squatter = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  REQUIRE(::bind(squatter, reinterpret_cast<const sockaddr*>(&address), size) == 0);
  InstanceLock lock("", name);
  CHECK(lock.take() == State::kUncertain);
  CHECK(lock.why().find("does not listen") != std::string::npos);
  ::close(squatter);
}

TEST_CASE("a name taken by another user keeps no agent from starting (C5)") {
  if (::geteuid() != 0) SKIP("needs root, to become another user");
  const std::string name = own_name();
  const pid_t squatter = fork_ready([&](int ready) {
    if (::setuid(65534) != 0) return;
    InstanceLock lock("", name);
    if (lock.take() == State::kHeld) say_ready(ready);
    ::pause();
  });
  InstanceLock lock("", name);
  CHECK(lock.take() == State::kUncertain);
  CHECK(lock.why().find("of user 65534") != std::string::npos);
  ::kill(squatter, SIGKILL);
  wait_for(squatter);
}

TEST_CASE("an agent of the user who owns the run directory is found, as under systemd (C5)") {
  if (::geteuid() != 0) SKIP("needs root, to become another user");
  const std::string name = own_name();
  const fake::TemporaryFolder run_dir;
  REQUIRE(::chown(run_dir.path().c_str(), 65534, 65534) == 0);
  const pid_t first = fork_ready([&](int ready) {
    if (::setuid(65534) != 0) return;
    InstanceLock lock(run_dir.path(), name);
    if (lock.take() == State::kHeld) say_ready(ready);
    ::pause();
  });
  CHECK(InstanceLock(run_dir.path(), name).take() == State::kTaken);
  ::kill(first, SIGKILL);
  wait_for(first);
}
