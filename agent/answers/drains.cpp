// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/drains.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <limits>

#include "agent/answers/query.hpp"
#include "agent/report/time_text.hpp"
#include "config/address.hpp"
#include "config/printable.hpp"
#include "config/values.hpp"

namespace agent {
namespace {

namespace json = boost::json;

constexpr std::int64_t kLongest = 2'592'000;  // 30 days
constexpr std::size_t kLongestText = 200;
// What std::chrono::system_clock holds, as nanoseconds: until the year 2262.
constexpr k8s::UnixSeconds kLatest = std::numeric_limits<std::int64_t>::max() / 1'000'000'000;

bool can_be_shown(k8s::UnixSeconds at) { return at >= 0 && at <= kLatest; }

std::string text_of(const json::object& object, std::string_view field) {
  const json::value* value = object.if_contains(field);
  if (!value) return {};
  if (!value->is_string()) throw QuestionFault{.what = std::string(field) + " is not a text"};
  return config::printable(std::string_view(value->as_string()), kLongestText);
}

// "10.244.1.7", "10.244.1.7:8080", "fd00::7", "[fd00::7]:8080"
ipvs::Endpoint endpoint_of(std::string_view text) {
  constexpr std::uint64_t kHighestPort = 65'535;
  if (const auto alone = config::read_address(text)) return {.address = *alone};
  const std::size_t colon = std::min(text.rfind(':'), text.size());
  std::string_view address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  const auto read = config::read_address(address);
  const auto port =
      config::parse_number(text.substr(std::min(colon + 1, text.size())), 1, kHighestPort);
  if (!read || !port) {
    throw QuestionFault{.what = "endpoint " + config::printable_quoted(text) +
                                " is not an address or ADDRESS:PORT, as in 10.244.1.7:8080 or "
                                "[fd00::7]:8080"};
  }
  return {.address = *read, .port = static_cast<std::uint16_t>(*port)};
}

json::object object_of(std::string_view body) {
  boost::system::error_code error;
  json::value parsed = json::parse(body, error);
  if (error || !parsed.is_object()) throw QuestionFault{.what = "the body is not a JSON object"};
  return std::move(parsed.as_object());
}

json::object to_json(const HandDrain& drain) {
  const auto time = [](k8s::UnixSeconds at) {
    return rfc3339(std::chrono::system_clock::from_time_t(at));
  };
  json::object object{{"endpoint", drained_text(drain.endpoint)},
                      {"since", time(drain.since)},
                      {"sinceUnix", drain.since}};
  if (drain.until) {
    object["until"] = time(*drain.until);
    object["untilUnix"] = *drain.until;
  }
  if (!drain.by.empty()) object["by"] = drain.by;
  if (!drain.reason.empty()) object["reason"] = drain.reason;
  return object;
}

}  // namespace

json::array drains_json(const HandDrains& drains) {
  json::array all;
  for (const HandDrain& each : drains.all()) all.push_back(to_json(each));
  return all;
}

HandDrain drain_request(std::string_view body, k8s::UnixSeconds now) {
  const json::object object = object_of(body);
  HandDrain drain{.endpoint = endpoint_of(text_of(object, "endpoint")),
                  .by = text_of(object, "by"),
                  .reason = text_of(object, "reason"),
                  .since = now};
  if (const json::value* seconds = object.if_contains("seconds")) {
    const bool is_right =
        seconds->is_int64() && seconds->as_int64() >= 1 && seconds->as_int64() <= kLongest;
    if (!is_right) {
      throw QuestionFault{.what = "seconds is not a number from 1 to " + std::to_string(kLongest)};
    }
    drain.until = now + seconds->as_int64();
  }
  return drain;
}

ipvs::Endpoint undrain_request(std::string_view body) {
  return endpoint_of(text_of(object_of(body), "endpoint"));
}

void read_drains(const std::string& file, k8s::UnixSeconds now, HandDrains& drains) {
  std::ifstream in(file);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  take_drains(text, now, drains);
}

void take_drains(std::string_view text, k8s::UnixSeconds now, HandDrains& drains) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_array()) return;
  for (const json::value& each : parsed.as_array()) {
    try {
      const json::object& object = each.as_object();
      HandDrain drain{.endpoint = endpoint_of(text_of(object, "endpoint")),
                      .by = text_of(object, "by"),
                      .reason = text_of(object, "reason"),
                      .since = object.at("sinceUnix").as_int64()};
      if (const json::value* until = object.if_contains("untilUnix"))
        drain.until = until->as_int64();
      if (!can_be_shown(drain.since) || !can_be_shown(drain.until.value_or(now))) continue;
      if (!drain.until || *drain.until > now) drains.set(std::move(drain));
    } catch (const QuestionFault&) {
      continue;  // what it does not understand
    } catch (const std::exception&) {
      continue;  // a field that is missing or of another type
    }
  }
}

std::string write_drains(const std::string& file, const HandDrains& drains) {
  if (file.empty()) return "there is no --run-dir";
  if (drains.all().empty()) {
    return std::remove(file.c_str()) == 0 || errno == ENOENT ? ""
                                                             : file + ": " + std::strerror(errno);
  }
  const std::string next = file + ".new";
  std::ofstream out(next, std::ios::trunc);
  out << json::serialize(drains_json(drains)) << "\n";
  out.close();
  if (!out || std::rename(next.c_str(), file.c_str()) != 0)
    return file + ": " + std::strerror(errno);
  return "";
}

}  // namespace agent
