// SPDX-License-Identifier: Apache-2.0
#include "ipvs/kube_proxy/child_process.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <string>

using namespace ipvs;
using namespace std::chrono_literals;

TEST_CASE("a child gets its input and gives its output, both larger than a pipe") {
  const std::string text(1'000'000, 'x');
  const ChildOutcome outcome = run_child({"/bin/cat"}, text, 60s);
  CHECK(outcome.succeeded());
  CHECK(outcome.output == text);
  CHECK(outcome.messages.empty());
}

TEST_CASE("a child's environment is PATH alone, and no shell reads its arguments") {
  CHECK(run_child({"/usr/bin/env"}, {}, 60s).output == "PATH=/usr/sbin:/sbin:/usr/bin:/bin\n");
  CHECK(run_child({"/bin/echo", "$HOME; *"}, {}, 60s).output == "$HOME; *\n");
}

TEST_CASE("a child that fails is reported with what it said") {
  const ChildOutcome outcome =
      run_child({"/bin/sh", "-c", "printf 'line 3 failed\\n\\033[0m' >&2; exit 2"}, {}, 60s);
  CHECK_FALSE(outcome.succeeded());
  CHECK(outcome.text() == "exited with status 2: line 3 failed  [0m");
  CHECK(run_child({"/bin/sh", "-c", "kill -9 $$"}, {}, 60s).text() == "was killed by signal 9");
  const ChildOutcome missing = run_child({"/nowhere/iptables-restore"}, {}, 60s);
  CHECK(missing.error_number == ENOENT);
  CHECK(missing.text() == "cannot be run: No such file or directory");
}

TEST_CASE("a child that does not end is killed, and so is one that has closed its output") {
  for (const char* script : {"sleep 1000", "exec >&- 2>&-; sleep 1000"}) {
    const ChildOutcome outcome = run_child({"/bin/sh", "-c", script}, {}, 20ms);
    CHECK(outcome.error_number == ETIMEDOUT);
    CHECK(outcome.text() == "took too long and was killed");
  }
}

TEST_CASE("what a child says beyond the limit is dropped") {
  const ChildOutcome outcome =
      run_child({"/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x >&2"}, {}, 60s);
  CHECK(outcome.succeeded());
  CHECK(outcome.messages.size() == 4096);
}

TEST_CASE("programs are searched in the system's directories only") {
  CHECK_FALSE(find_program("sh").empty());
  CHECK(find_program("no-such-program").empty());
}
