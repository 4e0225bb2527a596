// SPDX-License-Identifier: Apache-2.0
#include "k8s/client/encoding.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace k8s {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_unreserved(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

// A decimal of exactly `digits` digits at the front of `text`, which is moved behind it.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(0, digits)) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take_char(std::string_view& text, std::string_view allowed) {
  if (text.empty() || allowed.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// "Z", "+02:00" or "-02:00", in seconds.
std::optional<int> take_offset(std::string_view& text) {
  if (take_char(text, "Zz")) return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!take_char(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2);
  if (!hours || !take_char(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const int seconds = *hours * 3600 + *minutes * 60;
  return west ? -seconds : seconds;
}

bool is_host(std::string_view text, bool bracketed) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_' ||
           (bracketed && (c == ':' || c == '%'));
  });
}

bool is_path_char(char c) {
  return is_unreserved(c) || std::string_view("/%!$&'()*+,;=:@").find(c) != std::string_view::npos;
}

ServerUrlOrFault refuse(std::string reason) { return {.url = {}, .fault = std::move(reason)}; }

}  // namespace

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + 16);
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int count = 0;    // characters of the present group of four
  int padding = 0;  // '=' seen
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      ++padding;
    } else if (const int value = base64_value(c); value < 0 || padding > 0) {
      return std::nullopt;
    } else {
      bits = bits << 6 | static_cast<std::uint32_t>(value);
      if (++count == 4) {
        for (const int shift : {16, 8, 0}) out += static_cast<char>(bits >> shift & 0xff);
        bits = 0;
        count = 0;
      }
    }
  }
  if (count == 0 && padding == 0) return out;
  if (count < 2 || count + padding != 4) return std::nullopt;
  bits <<= 6 * (4 - count);
  out += static_cast<char>(bits >> 16 & 0xff);
  if (count == 3) out += static_cast<char>(bits >> 8 & 0xff);
  return out;
}

std::optional<UnixSeconds> parse_timestamp(std::string_view text) {
  const auto year = take_number(text, 4);
  if (!year || !take_char(text, "-")) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take_char(text, "-")) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day || !take_char(text, "Tt")) return std::nullopt;
  const auto hour = take_number(text, 2);
  if (!hour || !take_char(text, ":")) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || !take_char(text, ":")) return std::nullopt;
  const auto second = take_number(text, 2);
  if (!second) return std::nullopt;
  if (take_char(text, ".")) {
    if (!take_number(text, 1)) return std::nullopt;
    while (take_number(text, 1)) continue;
  }
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const UnixSeconds days = std::chrono::sys_days{date}.time_since_epoch().count();
  return days * 86400 + *hour * 3600 + *minute * 60 + *second - *offset;
}

ServerUrlOrFault parse_server_url(std::string_view text) {
  ServerUrl url;
  if (text.starts_with("https://")) {
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
    url.tls = false;
    url.port = 80;
  } else {
    return refuse("must start with https:// or http://");
  }
  const auto slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash);
  std::string_view path = text.substr(slash);
  if (authority.find('@') != std::string_view::npos) {
    return refuse("has a user name or password in it, which is not supported");
  }
  const bool bracketed = authority.starts_with('[');
  const auto host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && host_end == std::string_view::npos) return refuse("has a '[' with no ']'");
  url.host = bracketed ? authority.substr(1, host_end - 1) : authority.substr(0, host_end);
  if (!is_host(url.host, bracketed)) return refuse("has no valid host");
  authority.remove_prefix(std::min(authority.size(), bracketed ? host_end + 1 : url.host.size()));
  if (!authority.empty()) {
    if (authority.front() != ':') return refuse("has something other than a port after the host");
    authority.remove_prefix(1);
    const char* end = authority.data() + authority.size();
    const auto [stop, error] = std::from_chars(authority.data(), end, url.port);
    if (error != std::errc{} || stop != end || url.port == 0) {
      return refuse("'" + std::string(authority) + "' is not a port number (1-65535)");
    }
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!std::all_of(path.begin(), path.end(), is_path_char)) {
    return refuse("has characters after the host that are not part of a path");
  }
  url.path = path;
  return {.url = std::move(url), .fault = {}};
}

}  // namespace k8s
