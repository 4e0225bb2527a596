// SPDX-License-Identifier: Apache-2.0
#include "agent/log/levels.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "agent/log/log.hpp"
#include "test/agent/log_lines.hpp"

namespace {

struct Levels {
  Levels() { reset(); }
  ~Levels() { reset(); }
  Levels(const Levels&) = delete;
  Levels& operator=(const Levels&) = delete;
  static void reset() {
    agent::set_verbosity(0);
    agent::set_vmodule({});
  }
};

}  // namespace

TEST_CASE_METHOD(Levels, "information is logged up to the level of --v, whenever that changes") {
  CHECK(agent::is_on(0));
  CHECK_FALSE(agent::is_on(1));
  agent::set_verbosity(4);
  CHECK(agent::is_on(4));
  CHECK_FALSE(agent::is_on(5));
  agent::set_verbosity(11);
  CHECK(agent::verbosity() == 10);
  agent::set_verbosity(-1);
  CHECK_FALSE(agent::is_on(0));
  agent::set_verbosity(-7);
  CHECK(agent::verbosity() == -1);
}

TEST_CASE_METHOD(Levels,
                 "the flag --vmodule adds to --v for the files that a pattern names (18.4)") {
  agent::set_vmodule({{.pattern = "sync_*", .level = 4}, {.pattern = "app", .level = 2}});
  CHECK(agent::is_on(4, "/build/agent/report/sync_reporter.cpp"));
  CHECK_FALSE(agent::is_on(5, "/build/agent/report/sync_reporter.cpp"));
  CHECK(agent::is_on(2, "app.cpp"));
  CHECK_FALSE(agent::is_on(3, "app.cpp"));
  CHECK_FALSE(agent::is_on(1, "agent/app_fixture.hpp"));
  CHECK_FALSE(agent::is_on(1, "agent/sync_loop/other.cpp"));  // a folder is not a file
  agent::set_verbosity(3);
  CHECK(agent::is_on(3, "other.cpp"));
  CHECK(agent::is_on(3, "app.cpp"));  // never less than --v
  agent::set_vmodule({});
  CHECK_FALSE(agent::is_on(4, "sync_reporter.cpp"));
}

TEST_CASE_METHOD(Levels,
                 "the first pattern that names a file decides, and a broken one names none") {
  agent::set_vmodule(
      {{.pattern = "app", .level = 1}, {.pattern = "*", .level = 5}, {.pattern = "[", .level = 9}});
  CHECK_FALSE(agent::is_on(2, "app.cpp"));
  CHECK(agent::is_on(5, "main.cpp"));
  CHECK_FALSE(agent::is_on(6, "main.cpp"));
  agent::set_vmodule({{.pattern = "app", .level = 0}});
  CHECK_FALSE(agent::is_on(1, "app.cpp"));
}

TEST_CASE_METHOD(Levels, "a line says where it comes from, and is asked about for that file") {
  const agent::test::CapturedLog log;
  std::string file;
  int line = 0;
  const auto before = agent::set_log_receiver([&](const agent::LogRecord& record) {
    file = record.place.file;
    line = record.place.line;
  });
  agent::log_info("Here");
  CHECK(line == __LINE__ - 1);
  CHECK(file.ends_with("levels_test.cpp"));
  agent::set_log_receiver(before);
  agent::log_verbose(2, "Not on");
  agent::set_vmodule({{.pattern = "levels_?est", .level = 2}});
  agent::log_verbose(2, "On");
  agent::log_verbose(3, "Not on");
  agent::log_warning("Always");
  CHECK(log.text() == "info: \"On\"\nwarning: \"Always\"\n");
}
