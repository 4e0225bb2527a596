// SPDX-License-Identifier: Apache-2.0
#include "agent/answers/query.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <utility>

#include "config/printable.hpp"
#include "config/values.hpp"
#include "k8s/client/url.hpp"

namespace agent {
namespace {

constexpr std::size_t kMostParameters = 32;
constexpr std::size_t kLongest = 1024;
// What std::chrono::system_clock holds, as nanoseconds.
constexpr int kFirstYear = 1970, kLastYear = 2261;

std::string value_of(const Parameters& parameters, const std::string& name) {
  const auto at = parameters.find(name);
  return at == parameters.end() ? std::string() : at->second;
}

}  // namespace

Parameters parameters_of(std::string_view target, const std::vector<std::string_view>& allowed) {
  Parameters parameters;
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return parameters;
  std::string_view query = target.substr(mark + 1);
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    std::string name = k8s::percent_decode(pair.substr(0, equals));
    std::string value =
        equals == std::string_view::npos ? "" : k8s::percent_decode(pair.substr(equals + 1));
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
      throw QuestionFault{.what = "parameter " + config::printable_quoted(name) +
                                  " is not known here; those that are: " +
                                  (allowed.empty() ? "none" : config::join(allowed))};
    }
    if (value.size() > kLongest || parameters.size() >= kMostParameters) {
      throw QuestionFault{.what = "parameter " + config::printable_quoted(name) +
                                  " is too long, or one too many"};
    }
    parameters[std::move(name)] = std::move(value);
  }
  return parameters;
}

bool ServiceQuery::matches(const k8s::Service& service) const {
  if (!ns.empty() && service.meta.key.ns != ns) return false;
  if (!name.empty() && service.meta.key.name != name) return false;
  return labels.matches(service.meta.labels);
}

ServiceQuery service_query(const Parameters& parameters) {
  ServiceQuery query{.ns = value_of(parameters, "namespace"), .name = value_of(parameters, "name")};
  const std::size_t slash = query.name.find('/');
  if (slash != std::string::npos) {
    const std::string ns = query.name.substr(0, slash);
    if (!query.ns.empty() && query.ns != ns) {
      throw QuestionFault{.what = "name " + config::printable_quoted(query.name) +
                                  " is in another namespace than " +
                                  config::printable_quoted(query.ns)};
    }
    query.ns = ns;
    query.name.erase(0, slash + 1);
  }
  const std::string selector = value_of(parameters, "selector");
  auto parsed = k8s::LabelSelector::parse(selector);
  if (!parsed) {
    throw QuestionFault{.what = "selector " + config::printable_quoted(selector) + ": " +
                                parsed.error().text()};
  }
  query.labels = std::move(*parsed);
  return query;
}

HistoryQuery history_query(const Parameters& parameters, k8s::UnixSeconds now) {
  HistoryQuery query{.service = value_of(parameters, "service")};
  constexpr std::int64_t kSecond = 1000;
  if (!query.service.empty() && query.service.find('/') == std::string::npos) {
    throw QuestionFault{.what = "service " + config::printable_quoted(query.service) +
                                " is not NAMESPACE/NAME"};
  }
  if (const std::string since = value_of(parameters, "since"); !since.empty()) {
    std::int64_t seconds = 0;
    const char* end = since.data() + since.size();
    const auto [rest, error] = std::from_chars(since.data(), end, seconds);
    if (error != std::errc() || rest != end || seconds < 1 || seconds > now) {
      throw QuestionFault{.what = "since " + config::printable_quoted(since) +
                                  " is not a number of seconds"};
    }
    query.since = (now - seconds) * kSecond;
  }
  if (const std::string at = value_of(parameters, "at"); !at.empty()) {
    std::tm time{};
    const char* rest = ::strptime(at.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
    std::int64_t fraction = 0;
    if (rest && *rest == '.') {
      std::int64_t scale = kSecond;
      for (++rest; *rest >= '0' && *rest <= '9'; ++rest) {
        scale /= 10;
        fraction += scale * (*rest - '0');
      }
    }
    if (!rest || std::string_view(rest) != "Z") {
      throw QuestionFault{.what = "at " + config::printable_quoted(at) +
                                  " is not a time like 2026-11-30T03:10:00Z or with .123Z"};
    }
    constexpr int kYearOfTm = 1900;
    if (time.tm_year + kYearOfTm < kFirstYear || time.tm_year + kYearOfTm > kLastYear) {
      throw QuestionFault{.what = "at " + config::printable_quoted(at) + " is not from " +
                                  std::to_string(kFirstYear) + " to " + std::to_string(kLastYear)};
    }
    if (query.service.empty()) throw QuestionFault{.what = "at needs a service"};
    query.at = static_cast<std::int64_t>(::timegm(&time)) * kSecond + fraction;
  }
  return query;
}

}  // namespace agent
