// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/history_view.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstring>

#include "agent/report/time_text.hpp"

namespace agent {

namespace json = boost::json;

std::string time_text(UnixMilliseconds time) {
  constexpr UnixMilliseconds kSecond = 1000;
  std::string text = rfc3339(std::chrono::system_clock::from_time_t(time / kSecond));
  text.pop_back();
  return text + fmt::format(".{:03}Z", time % kSecond);
}

json::object to_json(const HistoryEntry& entry) {
  json::object object{{"at", time_text(entry.at)}, {"command", entry.command}};
  const auto add = [&object](const char* name, const std::string& value) {
    if (!value.empty()) object[name] = value;
  };
  add("service", entry.service);
  add("object", entry.object);
  add("endpoint", entry.endpoint);
  add("before", entry.before);
  add("after", entry.after);
  const char* name = entry.error > 0 ? ::strerrorname_np(entry.error) : nullptr;
  object["result"] = entry.error == 0 ? "done" : name ? name : "not tried";
  object["milliseconds"] = static_cast<double>(entry.microseconds) / 1000;
  json::object cause;
  const auto add_cause = [&cause](const char* field, const std::string& value) {
    if (!value.empty()) cause[field] = value;
  };
  add_cause("object", entry.cause.object);
  add_cause("verb", entry.cause.verb);
  add_cause("resourceVersion", entry.cause.resource_version);
  if (entry.cause.seen != 0) cause["seen"] = time_text(entry.cause.seen);
  if (!cause.empty()) object["cause"] = std::move(cause);
  return object;
}

}  // namespace agent
