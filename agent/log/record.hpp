// SPDX-License-Identifier: Apache-2.0
//
// What a log line says, before it is written: a message, which is the same text each time, and
// fields, which say about what. Keys are those of Kubernetes' own components: "service", "pod",
// "node", "endpointSlice", "err" (what went wrong).
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace agent {

enum class Severity : std::uint8_t {
  kInfo,     // what changed
  kWarning,  // degraded: the agent continues
  kError,    // a person must act
};

// A line of our source. As a default argument, that of the caller.
struct Place {
  const char* file = "";
  int line = 0;

  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// "default/web" in text, {"name":"web","namespace":"default"} in JSON.
struct ObjectName {
  std::string ns;  // empty: the object has none, as a Node
  std::string name;
  bool operator==(const ObjectName&) const = default;
};

// From "namespace/name" or "name".
inline ObjectName object_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {.ns = {}, .name = std::string(text)};
  return {.ns = std::string(text.substr(0, slash)), .name = std::string(text.substr(slash + 1))};
}

using FieldValue = std::variant<std::string, ObjectName, std::int64_t, bool>;

struct Field {
  Field(std::string_view named, std::string text) : key(named), value(std::move(text)) {}
  Field(std::string_view named, std::string_view text) : key(named), value(std::string(text)) {}
  Field(std::string_view named, const char* text) : key(named), value(std::string(text)) {}
  Field(std::string_view named, ObjectName object) : key(named), value(std::move(object)) {}
  Field(std::string_view named, bool is) : key(named), value(is) {}
  template <std::integral Number>
  Field(std::string_view named, Number number)
      : key(named), value(static_cast<std::int64_t>(number)) {}

  bool operator==(const Field&) const = default;

  std::string key;
  FieldValue value;
};
using Fields = std::vector<Field>;

// What went wrong: first among the fields in text, last in JSON.
inline constexpr std::string_view kErr = "err";

struct LogRecord {
  Severity severity = Severity::kInfo;
  int verbosity = 0;  // of kInfo: the level of --v that it needs
  Place place;
  std::string message;
  Fields fields;
};

inline bool say_the_same(const LogRecord& a, const LogRecord& b) {
  return a.severity == b.severity && a.message == b.message && a.fields == b.fields;
}

}  // namespace agent
