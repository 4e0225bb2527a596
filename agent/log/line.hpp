// SPDX-License-Identifier: Apache-2.0
//
// A log record as one line, with its end: text as klog writes structured lines, or JSON with the
// keys of Kubernetes' component-base. Pure.
//
//   I1129 19:07:00.123456    4711 sync_reporter.cpp:81] "Has endpoints again" service="default/web"
//   {"ts":1795979220123.456,"caller":"report/sync_reporter.cpp:81","level":"info",
//    "msg":"Has endpoints again","v":0,"service":{"name":"web","namespace":"default"}}
//
// Text: the header is Lmmdd hh:mm:ss.uuuuuu pid file:line], in local time; L is I, W or E. JSON: `ts`
// is in milliseconds since 1970; `v` is there unless it is an error; `err` is last. `level` is ours:
// JSON of Kubernetes' components does not tell a warning from information.
//
// A record is always one line of printable text, and at most 16 KiB: text of others in it is escaped
// (config/printable.hpp) and cut.
//
// Sources: klog internal/buffer/buffer.go and internal/serialize/keyvalues.go, component-base
// logs/json/json.go.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "agent/log/record.hpp"
#include "config/config.hpp"

namespace agent {

struct LineContext {
  std::chrono::system_clock::time_point at;
  int pid = 0;
};

// `repeated`: how often it was logged since it was last written; 0: it is written for the first
// time.
std::string log_line(config::LogFormat format, const LogRecord& record, std::uint64_t repeated,
                     const LineContext& context);

// "Has endpoints again" service="default/web", as in text.
std::string message_and_fields(const LogRecord& record, std::uint64_t repeated);

}  // namespace agent
