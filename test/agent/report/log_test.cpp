// SPDX-License-Identifier: Apache-2.0
#include "agent/report/log.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/log_lines.hpp"

namespace {

struct Verbosity {
  Verbosity() { agent::set_verbosity(0); }
  ~Verbosity() {
    agent::set_verbosity(0);
    agent::set_vmodule({});
  }
  Verbosity(const Verbosity&) = delete;
  Verbosity& operator=(const Verbosity&) = delete;
  const agent::test::CapturedLog log;
};

}  // namespace

TEST_CASE_METHOD(Verbosity, "the start sets the levels that the configuration has") {
  config::Config config;
  config.verbosity = 1;
  config.vmodule = {{.pattern = "log_test", .level = 3}};
  agent::set_up_log(config);
  CHECK(agent::verbosity() == 1);
  CHECK(agent::is_on(3));
  CHECK_FALSE(agent::is_on(2, "app.cpp"));
}

TEST_CASE_METHOD(Verbosity, "a signal makes the log one level more or less verbose, and says so") {
  agent::change_verbosity(1);
  agent::change_verbosity(1);
  CHECK(agent::verbosity() == 2);
  agent::change_verbosity(-1);
  CHECK(log.count("\"Log verbosity changed\" verbosity=1") == 2);
  for (int i = 0; i < 3; ++i) agent::change_verbosity(-1);
  CHECK(agent::verbosity() == 0);  // never without what changed
  for (int i = 0; i < 12; ++i) agent::change_verbosity(1);
  CHECK(agent::verbosity() == 10);
}

TEST_CASE_METHOD(Verbosity, "a level that is put is answered as by kube-proxy (18.4)") {
  const agent::HttpAnswer done = agent::answer_verbosity("4");
  CHECK(done.status == 200);
  CHECK(done.body == "successfully set klog.logging.verbosity to 4\n");
  CHECK(agent::verbosity() == 4);
  for (const char* wrong : {"", "four", "-1", "4x", "99999999999", "4\n"}) {
    const agent::HttpAnswer refused = agent::answer_verbosity(wrong);
    CHECK(refused.status == 400);
    CHECK(refused.body.starts_with("failed set klog.logging.verbosity "));
  }
  CHECK(agent::answer_verbosity("a\nb").body.starts_with(
      R"(failed set klog.logging.verbosity a\nb: "a\nb" is not a)"));
  CHECK(agent::verbosity() == 4);
}
