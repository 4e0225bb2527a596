// SPDX-License-Identifier: Apache-2.0
#include "k8s/decode/values.hpp"

#include <algorithm>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <chrono>

#include "config/address.hpp"
#include "config/printable.hpp"
#include "config/utf8.hpp"

namespace k8s {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string not_an_address(std::string_view text, std::string_view because = {}) {
  std::string reason = quoted(text) + " is not an IP address";
  if (!because.empty()) (reason += " (").append(because) += ')';
  return reason;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Removes `digits` decimal digits from the front of `text`; their value is `value`.
bool take_number(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (!is_digit(text[i])) return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

bool take_date(std::string_view& text, std::chrono::sys_days& days) {
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) ||
      !take(text, '-') || !take_number(text, 2, day)) {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  days = date;
  return date.ok();
}

bool take_clock(std::string_view& text, int& seconds) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!take_number(text, 2, hour) || !take(text, ':') || !take_number(text, 2, minute) ||
      !take(text, ':') || !take_number(text, 2, second)) {
    return false;
  }
  if (take(text, '.')) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    if (end == text.begin()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
  seconds = hour * 3600 + minute * 60 + second;
  return hour < 24 && minute < 60 && second < 60;
}

bool take_offset(std::string_view& text, int& seconds) {
  seconds = 0;
  if (take(text, 'Z') || take(text, 'z')) return true;
  const bool west = take(text, '-');
  int hour = 0;
  int minute = 0;
  if ((!west && !take(text, '+')) || !take_number(text, 2, hour) || !take(text, ':') ||
      !take_number(text, 2, minute)) {
    return false;
  }
  seconds = (hour * 3600 + minute * 60) * (west ? -1 : 1);
  return hour < 24 && minute < 60;
}

}  // namespace

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  std::size_t at = 0;
  for (std::size_t size = 0; at < text.size(); at += size) {
    const std::string_view rest = text.substr(at);
    size = std::max<std::size_t>(config::utf8_length(rest), 1);
    if (at + size > kShown) break;
    if (config::printable_length(rest) == 0) {
      for (const char c : rest.substr(0, size)) {
        const auto byte = static_cast<unsigned char>(c);
        ((out += "\\x") += kHex[byte >> 4]) += kHex[byte & 15];
      }
    } else {
      if (rest.front() == '"' || rest.front() == '\\') out += '\\';
      out += rest.substr(0, size);
    }
  }
  return out += at < text.size() ? "...\"" : "\"";
}

bool is_utf8_beyond_ascii(std::string_view text) {
  while (!text.empty()) {
    const bool is_ascii = static_cast<unsigned char>(text.front()) < 0x80;
    const std::size_t size = is_ascii ? 1 : config::utf8_length(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

Parsed<Address> parse_address(std::string_view text) {
  if (const auto address = config::read_address(text)) return *address;
  const bool has_scope = text.find('%') != text.npos;
  return Parsed<Address>::failed(
      not_an_address(text, has_scope ? "a scope id is not allowed" : ""));
}

Parsed<Address> parse_routable_address(std::string_view text) {
  auto parsed = parse_address(text);
  if (!parsed) return parsed;
  std::string_view special;
  if (parsed->is_unspecified()) special = "unspecified";
  if (parsed->is_loopback()) special = "loopback";
  const bool link_local =
      parsed->is_v4()
          ? (parsed->to_v4().to_uint() >> 16) == 0xa9fe ||    // 169.254.0.0/16
                (parsed->to_v4().to_uint() >> 8) == 0xe00000  // 224.0.0.0/24
          : parsed->to_v6().is_link_local() || parsed->to_v6().is_multicast_link_local();
  if (link_local) special = "link-local";
  if (special.empty()) return parsed;
  return Parsed<Address>::failed(std::string(text) + " cannot be used here (" +
                                 std::string(special) + ")");
}

Parsed<Cidr> parse_cidr(std::string_view text) {
  const auto given = text;
  text = trimmed(text);
  const auto bad = [given](std::string_view because) {
    return Parsed<Cidr>::failed(quoted(given) + " is not a CIDR (" + std::string(because) + ")");
  };
  const auto slash = text.find('/');
  if (slash == text.npos) return bad("no prefix length");
  const auto network = config::read_network(text);
  if (!network) {
    const auto address = parse_address(text.substr(0, slash));
    if (!address) return bad(address.reason());
    return bad("the prefix length is 0-" + std::string(address->is_v4() ? "32" : "128"));
  }
  const auto& [address, length] = *network;
  const Address cleared =
      address.is_v4()
          ? Address(boost::asio::ip::make_network_v4(address.to_v4(), length).network())
          : Address(boost::asio::ip::make_network_v6(address.to_v6(), length).network());
  return Cidr{.address = cleared, .prefix_length = length};
}

Parsed<Protocol> parse_protocol(std::string_view text) {
  if (text == "TCP") return Protocol::kTcp;
  if (text == "UDP") return Protocol::kUdp;
  if (text == "SCTP") return Protocol::kSctp;
  return Parsed<Protocol>::failed(quoted(text) + " is not a protocol (TCP, UDP, SCTP)");
}

Parsed<std::uint16_t> parse_port(std::int64_t value, std::int64_t lowest) {
  if (value >= lowest && value <= 65535) return static_cast<std::uint16_t>(value);
  return Parsed<std::uint16_t>::failed(std::to_string(value) + " is not a port number (" +
                                       std::to_string(lowest) + "-65535)");
}

Parsed<UnixSeconds> parse_time(std::string_view text) {
  const auto given = text;
  std::chrono::sys_days days;
  int clock = 0;
  int offset = 0;
  const bool good = take_date(text, days) && (take(text, 'T') || take(text, 't')) &&
                    take_clock(text, clock) && take_offset(text, offset) && text.empty();
  if (!good) return Parsed<UnixSeconds>::failed(quoted(given) + " is not an RFC 3339 time");
  return UnixSeconds{days.time_since_epoch().count()} * 86400 + clock - offset;
}

bool is_dns_label(std::string_view text) {
  if (text.empty() || text.size() > 63) return false;
  if (!is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  char before = '.';
  for (const char c : text) {
    if (!is_lower_or_digit(c) && c != '-' && c != '.') return false;
    if (!is_lower_or_digit(c) && before == '.') return false;
    if (c == '.' && before == '-') return false;
    before = c;
  }
  return is_lower_or_digit(before);
}

bool is_dns_name(std::string_view text) {
  if (!is_dns_subdomain(text)) return false;
  while (!text.empty()) {
    const std::size_t dot = text.find('.');
    if (!is_dns_label(text.substr(0, dot))) return false;
    text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
  }
  return true;
}

bool is_service_port_name(std::string_view text) {
  if (text.size() > 15 || !is_dns_label(text) || text.find("--") != text.npos) return false;
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

}  // namespace k8s
