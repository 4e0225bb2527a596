// SPDX-License-Identifier: Apache-2.0
#include "agent/report/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <memory>
#include <string>
#include <utility>

#include "config/printable.hpp"

namespace agent {
namespace {

constexpr std::size_t kMaxMessage = 16'384;

// The message on one line, whatever text of others it contains; spdlog's own %v does not escape.
std::string on_one_line(const spdlog::details::log_msg& message) {
  return config::printable({message.payload.data(), message.payload.size()}, kMaxMessage);
}

class TextMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string line = on_one_line(message);
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TextMessage>();
  }
};

// The same as a JSON string.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string line = on_one_line(message);
    const std::string quoted =
        boost::json::serialize(boost::json::string_view(line.data(), line.size()));
    out.append(quoted.data(), quoted.data() + quoted.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

// klog's first letter: I, W, E. To klog, debug and trace are information at a higher verbosity.
class KlogLevel : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    switch (message.level) {
      case spdlog::level::warn:
        out.push_back('W');
        break;
      case spdlog::level::err:
      case spdlog::level::critical:
        out.push_back('E');
        break;
      default:
        out.push_back('I');
        break;
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<KlogLevel>();
  }
};

spdlog::level::level_enum level_of(int verbosity) {
  if (verbosity >= 4) return spdlog::level::trace;
  if (verbosity >= 2) return spdlog::level::debug;
  return spdlog::level::info;
}

}  // namespace

std::unique_ptr<spdlog::formatter> log_formatter(config::LogFormat format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('Q').add_flag<KlogLevel>('K').add_flag<TextMessage>('T');
  formatter->set_pattern(format == config::LogFormat::kJson
                             ? R"({"ts":%E.%f,"level":"%l","msg":%Q})"
                             : "%K%m%d %H:%M:%S.%f %T");
  return formatter;
}

void set_up_log(config::LogFormat format, int verbosity) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  sink->set_formatter(log_formatter(format));
  auto logger = std::make_shared<spdlog::logger>("kube-ipvs", std::move(sink));
  logger->set_level(level_of(verbosity));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace agent
