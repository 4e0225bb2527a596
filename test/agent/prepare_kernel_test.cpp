// SPDX-License-Identifier: Apache-2.0
#include "agent/prepare_kernel.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <vector>

#include "test/agent/log_lines.hpp"
#include "test/agent/objects.hpp"
#include "test/fake/failing_kernel.hpp"

namespace agent {
namespace {

using namespace std::chrono_literals;
using namespace agent::test;

struct Start {
  // Mends the kernel in the nth pause.
  std::string run(std::size_t nth) {
    return prepare_kernel(config, kernel, [&](std::chrono::milliseconds time) {
      pauses.push_back(time);
      if (pauses.size() == nth) kernel.mend();
    });
  }
  const CapturedLog log;
  config::Config config;
  fake::FailingKernel kernel;
  std::vector<std::chrono::milliseconds> pauses;
};

}  // namespace

TEST_CASE_METHOD(Start,
                 "a kernel that is busy is asked again after growing pauses, with one line (A)") {
  for (const std::string call : {"prepare", "probe_scheduler"}) {
    pauses.clear();
    kernel.break_call({.call = call, .error = EBUSY});
    CHECK(run(9) == "");
    CHECK(pauses == std::vector<std::chrono::milliseconds>{100ms, 200ms, 400ms, 800ms, 1600ms,
                                                           3200ms, 6400ms, 10s, 10s});
  }
  CHECK(log.count("trying again until it accepts it") == 2);
}

TEST_CASE_METHOD(Start,
                 "a refusal that nothing but an operator can mend ends the start at once (A)") {
  for (const int error : {EPERM, EACCES, ENOENT, EOPNOTSUPP, EEXIST, EINVAL}) {
    kernel.break_call({.call = "prepare", .error = error});
    CHECK(run(1).find("prepare: ") == 0);
  }
  CHECK(pauses.empty());
}

}  // namespace agent
