// SPDX-License-Identifier: Apache-2.0
#include "agent/report/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace agent {
namespace {

// The message as the inside of a JSON string; spdlog's own %v does not escape.
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (byte < 0x20 || byte == 0x7f) {
        constexpr char kHex[] = "0123456789abcdef";
        const char escaped[] = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
        out.append(std::begin(escaped), std::end(escaped));
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

// klog's first letter: I, W, E; debug and trace are information at a higher verbosity.
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

void set_up_log(config::LogFormat format, int verbosity) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('Q').add_flag<KlogLevel>('K');
  formatter->set_pattern(format == config::LogFormat::kJson
                             ? R"({"ts":%E.%f,"level":"%l","msg":"%Q"})"
                             : "%K%m%d %H:%M:%S.%f %v");
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  sink->set_formatter(std::move(formatter));
  auto logger = std::make_shared<spdlog::logger>("kube-ipvs", std::move(sink));
  logger->set_level(level_of(verbosity));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace agent
