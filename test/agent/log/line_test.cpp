// SPDX-License-Identifier: Apache-2.0
#include "agent/log/line.hpp"

#include <time.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <regex>
#include <string>

using agent::Field;
using agent::log_line;
using agent::LogRecord;
using agent::object_name;
using agent::Severity;
using config::LogFormat;

namespace {

// 2026-11-29T19:07:00.123456Z, where local time is UTC.
agent::LineContext context() {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  return {.at = std::chrono::system_clock::time_point(std::chrono::microseconds(1795979220123456)),
          .pid = 4711};
}

LogRecord record() {
  return {.severity = Severity::kWarning,
          .place = {"/build/agent/report/sync_reporter.cpp", 81},
          .message = "Kernel operation failed",
          .fields = {{"service", object_name("default/web")},
                     {agent::kErr, "NEW_DEST: Invalid argument"},
                     {"tries", 3U},
                     {"first", true},
                     {"node", object_name("node-1")}}};
}

std::string text(const LogRecord& of, std::uint64_t repeated = 0) {
  return log_line(LogFormat::kText, of, repeated, context());
}

boost::json::object json(const LogRecord& of, std::uint64_t repeated = 0) {
  const std::string line = log_line(LogFormat::kJson, of, repeated, context());
  CHECK(line.find('\n') == line.size() - 1);
  return boost::json::parse(line).as_object();
}

LogRecord saying(std::string message) {
  return {.place = {"a/b.cpp", 1}, .message = std::move(message), .fields = {}};
}

}  // namespace

TEST_CASE("a line of text is what klog writes for a structured line (18.4)") {
  CHECK(text(record()) ==
        "W1129 19:07:00.123456    4711 sync_reporter.cpp:81] \"Kernel operation failed\" "
        "err=\"NEW_DEST: Invalid argument\" service=\"default/web\" tries=3 first=true "
        "node=\"node-1\"\n");
  LogRecord info = saying("Stopping");
  CHECK(text(info) == "I1129 19:07:00.123456    4711 b.cpp:1] \"Stopping\"\n");
  info.severity = Severity::kError;
  info.place.file = "alone.cpp";
  CHECK(text(info, 7) == "E1129 19:07:00.123456    4711 alone.cpp:1] \"Stopping\" repeated=7\n");
}

TEST_CASE("a line of text has the header that parsers of klog's lines expect (18.4)") {
  const std::regex klog(R"(^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [^ :]+:\d+\] "(\\.|[^"\\])*")"
                        R"(( \w+=("(\\.|[^"\\])*"|\w+))*\n$)");
  CHECK(std::regex_match(text(record()), klog));
  CHECK(std::regex_match(text(saying("a \"quote\" and a \\")), klog));
  CHECK(text(saying("a \"quote\" and a \\"))
            .ends_with(R"("a \"quote\" and a \\")"
                       "\n"));
}

TEST_CASE("a line of JSON has the keys of Kubernetes' components (18.4)") {
  const auto line = json(record());
  CHECK(log_line(LogFormat::kJson, record(), 0, context())
            .starts_with(R"({"ts":1795979220123.456,"caller")"));
  CHECK(line.at("caller") == "report/sync_reporter.cpp:81");
  CHECK(line.at("level") == "warning");
  CHECK(line.at("msg") == "Kernel operation failed");
  CHECK(line.at("v") == 0);
  CHECK(line.at("err") == "NEW_DEST: Invalid argument");
  CHECK(line.at("service") == boost::json::parse(R"({"name":"web","namespace":"default"})"));
  CHECK(line.at("node") == boost::json::parse(R"({"name":"node-1"})"));
  CHECK(line.at("tries") == 3);
  CHECK(line.at("first") == true);
  CHECK(line.size() == 10);
}

TEST_CASE("in JSON an error has no level of verbosity, and information has its own (18.4)") {
  LogRecord error = saying("Ended");
  error.severity = Severity::kError;
  CHECK_FALSE(json(error).contains("v"));
  LogRecord verbose = saying("Sync done");
  verbose.verbosity = 2;
  CHECK(json(verbose).at("v") == 2);
  CHECK(json(verbose, 12).at("repeated") == 12);
}

TEST_CASE("a record is one line, whatever text of others is in it (H11)", "[log]") {
  const std::string foreign = "Pod list: 500 a\nE1122 forged\x1b[31m\xc2\x85\xe2\x80\xae\xff";
  const std::string shown = R"(Pod list: 500 a\nE1122 forged\x1b[31m\xc2\x85\xe2\x80\xae\xff)";
  LogRecord of = saying(foreign);
  of.fields = {{agent::kErr, foreign}, {"service", object_name("a\nb/c\nd")}};
  const std::string line = text(of);
  CHECK(line.ends_with("] \"" + shown + "\" err=\"" + shown + "\" service=\"a\\nb/c\\nd\"\n"));
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(json(of).at("msg").as_string() == shown);
  CHECK(json(of).at("err").as_string() == shown);
  CHECK(json(of).at("service").at("name").as_string() == R"(c\nd)");
}

TEST_CASE("a record has a limit of 16 KiB, and text that is harmless stays as it is (H11)",
          "[log]") {
  LogRecord of = saying(std::string(1 << 20, 'x'));
  CHECK(text(of).size() < 16'384);
  CHECK(text(of).ends_with("... (1048576 bytes)\"\n"));
  for (const char byte : {'x', '"', '\\', '\n'}) {
    of.message = std::string(1 << 20, byte);
    of.fields.clear();
    for (int i = 0; i < 20; ++i) of.fields.emplace_back("field", std::string(1 << 16, byte));
    CHECK(text(of).size() < 16'384);
    CHECK(log_line(LogFormat::kJson, of, 0, context()).size() < 16'384);
    CHECK(json(of).contains("msg"));
  }
  CHECK(text(saying("Gr\xc3\xbc\xc3\x9f"
                    "e"))
            .ends_with("\"Gr\xc3\xbc\xc3\x9f"
                       "e\"\n"));
}

TEST_CASE("an object without a namespace is its name (18.4)") {
  CHECK(object_name("node-1") == agent::ObjectName{.ns = "", .name = "node-1"});
  CHECK(object_name("default/web") == agent::ObjectName{.ns = "default", .name = "web"});
  CHECK(object_name("a/b/c") == agent::ObjectName{.ns = "a", .name = "b/c"});
}
