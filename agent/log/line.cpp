// SPDX-License-Identifier: Apache-2.0
#include "agent/log/line.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <string_view>

#include "config/printable.hpp"

namespace agent {
namespace {

// Together at most 16 KiB: the message has its share, and each field what those before it left.
constexpr std::size_t kMaxMessage = 5'000;
constexpr std::size_t kMaxFields = 8'000;
constexpr std::size_t kMaxValue = 4'000;
constexpr std::size_t kMaxRestOfValues = 32;

using Quote = std::string (*)(std::string_view text, std::size_t limit);

// As strconv.Quote of Go: between quotation marks, which are escaped in it as backslashes are.
std::string quoted_text(std::string_view text, std::size_t limit) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    if (out.size() > limit) return out + fmt::format("... ({} bytes)\"", text.size());
    const std::string_view rest = text.substr(at);
    const std::size_t shown = config::printable_length(rest);
    if (rest.front() == '"' || rest.front() == '\\') out += '\\';
    out += shown > 0 ? std::string(rest.substr(0, shown)) : config::printable(rest.substr(0, 1), 8);
    at += std::max<std::size_t>(shown, 1);
  }
  return out + '"';
}

std::string quoted_json(std::string_view text, std::size_t limit) {
  std::string out;
  do {  // each quotation mark takes two bytes
    const std::string shown = config::printable(text, limit);
    out = boost::json::serialize(boost::json::string_view(shown.data(), shown.size()));
    limit /= 2;
  } while (out.size() > 2 * limit + 64);
  return out;
}

std::string full_name(const ObjectName& object) {
  return object.ns.empty() ? object.name : object.ns + "/" + object.name;
}

std::string object_json(const ObjectName& object, std::size_t limit) {
  std::string out = "{\"name\":" + quoted_json(object.name, limit);
  if (!object.ns.empty()) out += ",\"namespace\":" + quoted_json(object.ns, limit);
  return out + "}";
}

std::string value_text(const FieldValue& value, std::size_t limit, config::LogFormat format) {
  const bool is_json = format == config::LogFormat::kJson;
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* is = std::get_if<bool>(&value)) return *is ? "true" : "false";
  if (const auto* object = std::get_if<ObjectName>(&value)) {
    return is_json ? object_json(*object, limit) : quoted_text(full_name(*object), limit);
  }
  const auto& text = std::get<std::string>(value);
  return is_json ? quoted_json(text, limit) : quoted_text(text, limit);
}

// Writes one field after another, each with less room.
class FieldWriter {
 public:
  FieldWriter(std::string& out, config::LogFormat format) : out_(out), format_(format) {}

  void write(const Field& field) {
    const std::size_t left = kMaxFields - std::min(kMaxFields, written_);
    const std::size_t limit = std::clamp(left, kMaxRestOfValues, kMaxValue);
    const std::string value = value_text(field.value, limit, format_);
    if (format_ == config::LogFormat::kJson) {
      out_ += ",\"" + field.key + "\":" + value;
    } else {
      out_ += " " + field.key + "=" + value;
    }
    written_ += value.size();
  }

  void write_all(const Fields& fields, bool errors) {
    for (const Field& field : fields) {
      if ((field.key == kErr) == errors) write(field);
    }
  }

 private:
  std::string& out_;
  config::LogFormat format_;
  std::size_t written_ = 0;
};

// The name of a file in the folder it is in.
std::string_view tail(std::string_view path, int parts) {
  std::size_t at = path.size();
  for (; parts > 0 && at != std::string_view::npos && at > 0; --parts) at = path.rfind('/', at - 1);
  return at == std::string_view::npos || at == 0 ? path : path.substr(at + 1);
}

char letter_of(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return 'I';
    case Severity::kWarning:
      return 'W';
    case Severity::kError:
      return 'E';
  }
  return 'E';
}

const char* word_of(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

std::int64_t micros_of(std::chrono::system_clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
}

std::string text_line(const LogRecord& record, std::uint64_t repeated, const LineContext& context) {
  const std::int64_t micros = micros_of(context.at);
  return fmt::format("{}{:%m%d %H:%M:%S}.{:06} {:>7} {}:{}] {}\n", letter_of(record.severity),
                     fmt::localtime(micros / 1'000'000), micros % 1'000'000, context.pid,
                     tail(record.place.file, 1), record.place.line,
                     message_and_fields(record, repeated));
}

std::string json_line(const LogRecord& record, std::uint64_t repeated, const LineContext& context) {
  std::string out = fmt::format(R"({{"ts":{}.{:03},"caller":"{}:{}","level":"{}","msg":{})",
                                micros_of(context.at) / 1'000, micros_of(context.at) % 1'000,
                                tail(record.place.file, 2), record.place.line,
                                word_of(record.severity), quoted_json(record.message, kMaxMessage));
  if (record.severity != Severity::kError) out += fmt::format(R"(,"v":{})", record.verbosity);
  FieldWriter writer(out, config::LogFormat::kJson);
  writer.write_all(record.fields, false);
  if (repeated > 0) writer.write({"repeated", repeated});
  writer.write_all(record.fields, true);
  return out + "}\n";
}

}  // namespace

std::string message_and_fields(const LogRecord& record, std::uint64_t repeated) {
  std::string out = quoted_text(record.message, kMaxMessage);
  FieldWriter writer(out, config::LogFormat::kText);
  writer.write_all(record.fields, true);
  writer.write_all(record.fields, false);
  if (repeated > 0) writer.write({"repeated", repeated});
  return out;
}

std::string log_line(config::LogFormat format, const LogRecord& record, std::uint64_t repeated,
                     const LineContext& context) {
  return format == config::LogFormat::kJson ? json_line(record, repeated, context)
                                            : text_line(record, repeated, context);
}

}  // namespace agent
