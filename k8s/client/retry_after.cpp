// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/retry_after.hpp"

#include <ctime>

#include <algorithm>
#include <charconv>
#include <string>

namespace k8s {
namespace {

// The three forms of RFC 9110, section 5.6.7. Names of days and months are those of the C locale.
std::optional<UnixSeconds> parse_http_date(std::string_view text) {
  const std::string terminated(text);
  for (const char* form :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    std::tm time{};
    const char* end = ::strptime(terminated.c_str(), form, &time);
    if (end && *end == '\0') return ::timegm(&time);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::string_view date,
                                                      UnixSeconds now) {
  std::int64_t seconds = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, seconds);
  const bool too_large = error == std::errc::result_out_of_range;
  if (stop == end && !value.empty() && (error == std::errc{} || too_large)) {
    if (value.front() == '-') return std::nullopt;
    if (too_large) return kMaxRetryAfter;
    return std::min(std::chrono::seconds(seconds), kMaxRetryAfter);
  }
  const auto until = parse_http_date(value);
  if (!until) return std::nullopt;
  const UnixSeconds from = parse_http_date(date).value_or(now);
  const UnixSeconds left = std::clamp<UnixSeconds>(*until - from, 0, kMaxRetryAfter.count());
  return std::chrono::seconds(left);
}

}  // namespace k8s
