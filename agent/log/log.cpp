// SPDX-License-Identifier: Apache-2.0
#include "agent/log/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "agent/log/line.hpp"
#include "agent/log/repeats.hpp"

namespace agent {
namespace {

// spdlog writes the finished lines: it takes care of partial writes and reports what fails.
std::shared_ptr<spdlog::logger> standard_error() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  sink->set_pattern("%v");
  auto logger = std::make_shared<spdlog::logger>("kube-ipvs", std::move(sink));
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

struct Log {
  config::LogFormat format = config::LogFormat::kText;
  std::shared_ptr<spdlog::logger> out = standard_error();
  Repeats repeats;
  LogReceiver receiver;
};

Log& the_log() {
  static Log log;
  return log;
}

void write(const std::vector<Repeats::Line>& lines) {
  Log& log = the_log();
  for (const Repeats::Line& each : lines) {
    std::string line =
        log_line(log.format, each.record, each.repeated,
                 {.at = std::chrono::system_clock::now(), .pid = static_cast<int>(::getpid())});
    line.pop_back();  // spdlog adds the end
    log.out->log(spdlog::level::info, spdlog::string_view_t(line));
  }
}

void take(LogRecord record) {
  Log& log = the_log();
  if (log.receiver) return log.receiver(record);
  write(log.repeats.take(std::move(record), std::chrono::steady_clock::now()));
}

}  // namespace

void log_error(std::string message, Fields fields, Place place) {
  take({.severity = Severity::kError,
        .place = place,
        .message = std::move(message),
        .fields = std::move(fields)});
}

void log_warning(std::string message, Fields fields, Place place) {
  take({.severity = Severity::kWarning,
        .place = place,
        .message = std::move(message),
        .fields = std::move(fields)});
}

void log_info(std::string message, Fields fields, Place place) {
  log_verbose(0, std::move(message), std::move(fields), place);
}

void log_verbose(int level, std::string message, Fields fields, Place place) {
  if (!is_on(level, place.file)) return;
  take({.severity = Severity::kInfo,
        .verbosity = level,
        .place = place,
        .message = std::move(message),
        .fields = std::move(fields)});
}

void set_log_format(config::LogFormat format) { the_log().format = format; }

void write_due_repeats() { write(the_log().repeats.take_due(std::chrono::steady_clock::now())); }

void write_all_repeats() { write(the_log().repeats.take_all()); }

LogReceiver set_log_receiver(LogReceiver receiver) {
  return std::exchange(the_log().receiver, std::move(receiver));
}

}  // namespace agent
