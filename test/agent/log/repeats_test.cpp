// SPDX-License-Identifier: Apache-2.0
#include "agent/log/repeats.hpp"

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <vector>

using agent::LogRecord;
using agent::Repeats;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<std::string>;

struct Bench {
  LogRecord record(int line, const std::string& message, const std::string& service = "default/a") {
    return {.place = {"file.cpp", line},
            .message = message,
            .fields = {{"service", agent::object_name(service)}}};
  }
  static Lines text(const std::vector<Repeats::Line>& lines) {
    Lines out;
    for (const Repeats::Line& each : lines) {
      const auto& service = std::get<agent::ObjectName>(each.record.fields[0].value);
      out.push_back(each.record.message + " " + service.name +
                    (each.repeated > 0 ? " x" + std::to_string(each.repeated) : ""));
    }
    return out;
  }
  Lines take(const LogRecord& of) { return text(repeats.take(of, now)); }

  Repeats repeats;
  Repeats::Time now{1h};
};

}  // namespace

TEST_CASE_METHOD(Bench, "a line that repeats is written once, and its count when 10 s are over") {
  CHECK(take(record(1, "no")) == Lines{"no a"});
  now += 1s;
  CHECK(take(record(1, "no")).empty());
  now += 8s;
  CHECK(take(record(1, "no")).empty());
  CHECK(text(repeats.take_due(now)).empty());
  now += 1s;
  CHECK(text(repeats.take_due(now)) == Lines{"no a x2"});
  CHECK(text(repeats.take_due(now)).empty());
  CHECK(take(record(1, "no")) == Lines{"no a"});
  now += 10s;
  CHECK(text(repeats.take_due(now)).empty());  // it did not repeat
}

TEST_CASE_METHOD(Bench, "the count comes before what that place says next") {
  take(record(1, "no"));
  take(record(1, "no"));
  take(record(1, "no"));
  CHECK(take(record(1, "yes")) == Lines{"no a x2", "yes a"});
  CHECK(take(record(1, "no")) == Lines{"no a"});
}

TEST_CASE_METHOD(Bench, "a repetition after 10 s is written, with the count of those before") {
  take(record(1, "no"));
  take(record(1, "no"));
  now += 10s;
  CHECK(take(record(1, "no")) == Lines{"no a x1", "no a"});
}

TEST_CASE_METHOD(Bench, "other fields, another severity or another place are no repetition") {
  take(record(1, "no"));
  CHECK(take(record(1, "no", "default/b")) == Lines{"no b"});
  CHECK(take(record(2, "no", "default/b")) == Lines{"no b"});
  LogRecord error = record(2, "no", "default/b");
  error.severity = agent::Severity::kError;
  CHECK(take(error) == Lines{"no b"});
  CHECK(take(record(1, "no", "default/b")).empty());
}

TEST_CASE_METHOD(Bench, "at the end nothing is left uncounted") {
  take(record(1, "no"));
  take(record(1, "no"));
  take(record(2, "yes"));
  CHECK(text(repeats.take_all()) == Lines{"no a x1"});
  CHECK(text(repeats.take_all()).empty());
}

TEST_CASE_METHOD(Bench, "places beyond the limit cost the oldest its count, but no line") {
  const auto most = static_cast<int>(Repeats::kMostPlaces);
  for (int line = 0; line < most; ++line) {
    CHECK(take(record(line, "no")) == Lines{"no a"});
    CHECK(take(record(line, "no")).empty());
    now += 1ms;
  }
  CHECK(take(record(most, "no")) == Lines{"no a x1", "no a"});
  CHECK(take(record(0, "no")) == Lines{"no a x1", "no a"});  // and so the next one
  CHECK(repeats.take_all().size() == Repeats::kMostPlaces - 2);
}
