// SPDX-License-Identifier: Apache-2.0
//
// What the agent logs while a CapturedLog lives: every record that is on, before repeated ones are
// collapsed, as `warning: "Has no port" service="default/web"`.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "agent/log/line.hpp"
#include "agent/log/log.hpp"

namespace agent::test {

class CapturedLog {
 public:
  CapturedLog() : previous_(set_log_receiver([this](const LogRecord& record) { take(record); })) {}
  ~CapturedLog() { set_log_receiver(previous_); }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  // The lines that contain `part`.
  std::size_t count(const std::string& part) const {
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [&](const std::string& line) { return line.find(part) != std::string::npos; }));
  }
  std::string text() const {
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }

 private:
  void take(const LogRecord& record) {
    const char* severity = "error: ";
    if (record.severity == Severity::kInfo) severity = "info: ";
    if (record.severity == Severity::kWarning) severity = "warning: ";
    lines_.push_back(severity + message_and_fields(record, 0));
  }

  std::vector<std::string> lines_;
  LogReceiver previous_;
};

}  // namespace agent::test
