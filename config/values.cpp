// SPDX-License-Identifier: Apache-2.0
#include "config/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "config/address.hpp"

namespace config {
namespace {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

constexpr std::array<std::string_view, 14> kSchedulers = {
    "rr", "wrr", "lc", "wlc", "sh", "mh", "dh", "sed", "nq", "fo", "ovf", "lblc", "lblcr", "twos"};

BadValue bad(std::string_view text, std::string_view why) {
  return BadValue{quoted(text) + " " + std::string(why)};
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::string_view kTooLong = "is too long a duration: at most 292 years";

struct Unit {
  std::string_view name;
  std::uint64_t nanoseconds;
};
// With both code points of the micro sign, as in Go.
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"\xC2\xB5s", 1'000},
                                         {"\xCE\xBCs", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};

constexpr auto kLongest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// Removes the digits at the front of `text` and returns them.
std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  const auto digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  return digits;
}

// Removes one term such as "1.5h" from the front of `text` and returns it in nanoseconds.
Parsed<std::uint64_t> take_term(std::string_view& text, std::string_view whole_text) {
  const std::string_view whole = take_digits(text);
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = take_digits(text);
  }
  constexpr std::string_view kShape = "is not a duration such as 15m, 1h30m or 900s";
  if (whole.empty() && fraction.empty()) return bad(whole_text, kShape);

  const auto unit_end =
      std::find_if(text.begin(), text.end(), [](char c) { return c == '.' || is_digit(c); });
  const auto name = text.substr(0, static_cast<std::size_t>(unit_end - text.begin()));
  if (name.empty()) return bad(whole_text, "has no unit: write for example 900s, 15m or 1h30m");
  const auto* const unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == name; });
  if (unit == kUnits.end()) {
    return bad(whole_text, "has the unknown unit " + quoted(name) + ": use h, m, s, ms, us or ns");
  }
  text.remove_prefix(name.size());

  const auto count = whole.empty() ? std::uint64_t{0} : decimal(whole);
  if (!count || *count > kLongest / unit->nanoseconds) return bad(whole_text, kTooLong);
  std::uint64_t total = *count * unit->nanoseconds;
  // Digit by digit, in integers; fractions of a nanosecond are dropped.
  std::uint64_t scale = unit->nanoseconds;
  for (const char digit : fraction) {
    total += static_cast<std::uint64_t>(digit - '0') * scale / 10;
    scale /= 10;
  }
  if (total > kLongest) return bad(whole_text, kTooLong);
  return total;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Optimal string alignment; three rows are enough to detect swapped neighbours.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string quoted(std::string_view text) {
  // Someone may have pasted a whole file as a value.
  constexpr std::size_t kMost = 80;
  if (text.size() <= kMost) return "\"" + std::string(text) + "\"";
  return "\"" + std::string(text.substr(0, kMost)) + "...\"";
}

Parsed<double> parse_decimal(std::string_view text) {
  constexpr double kMost = 1e6;
  std::string_view rest = text;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  double value = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), value, std::chars_format::fixed);
  const bool is_number = !rest.empty() && error == std::errc{} && end == rest.data() + rest.size();
  // Written so that what is no number at all is refused, too.
  if (!is_number || !(value >= -kMost && value <= kMost)) {
    return bad(text, "is not a number such as 5 or 0.5, from -1000000 to 1000000");
  }
  return value;
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  const auto value = decimal(text);
  if (!value || *value < least || *value > most) {
    return bad(text,
               "is not a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *value;
}

Parsed<bool> parse_bool(std::string_view text) {
  for (const std::string_view word : {"1", "t", "T", "true", "True", "TRUE"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"0", "f", "F", "false", "False", "FALSE"}) {
    if (text == word) return false;
  }
  return bad(text, "is neither true nor false");
}

Parsed<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return std::chrono::nanoseconds(0);
  if (rest.empty()) return bad(text, "is not a duration such as 15m, 1h30m or 900s");
  std::uint64_t total = 0;
  while (!rest.empty()) {
    const auto term = take_term(rest, text);
    if (!term) return term.error();
    if (*term > kLongest - total) return bad(text, kTooLong);
    total += *term;
  }
  const auto value = static_cast<std::int64_t>(total);
  return std::chrono::nanoseconds(negative ? -value : value);
}

Parsed<Address> parse_address(std::string_view text) {
  constexpr std::string_view kNotOne = "is not an IP address such as 10.0.0.1 or fd00::1";
  if (text.find('%') != std::string_view::npos)
    return bad(text, "has a zone, which is not allowed: write an address such as fd00::1");
  const auto address = read_address(text);
  return address ? Parsed<Address>(*address) : Parsed<Address>(bad(text, kNotOne));
}

Network make_network(const Address& address, std::uint8_t prefix_length) {
  const auto clear = [prefix_length](auto bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const int kept = std::clamp(int{prefix_length} - static_cast<int>(i) * 8, 0, 8);
      bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xFF00 >> kept));
    }
    return bytes;
  };
  if (address.is_v4()) return {address_v4(clear(address.to_v4().to_bytes())), prefix_length};
  return {address_v6(clear(address.to_v6().to_bytes())), prefix_length};
}

Parsed<Network> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return bad(text, "is not a network such as 10.0.0.0/8 or fd00::/64");
  }
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return bad(text, "is not a network: " + address.error().what);
  const auto network = read_network(text);
  if (!network) {
    const std::string most = address->is_v4() ? "32" : "128";
    return bad(text, "is not a network: its prefix length must be 0-" + most);
  }
  return make_network(network->address, network->prefix_length);
}

Parsed<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::optional<std::string_view> port;
  bool bracketed = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return bad(text, "has no closing ]: write [::]:10256");
    bracketed = true;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':')
      return bad(text, "has text between ] and the port: write [::]:10256");
    if (!rest.empty()) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.empty())
      return bad(text, "has no address: write 0.0.0.0" + std::string(text) + " or [::]" +
                           std::string(text));
  }
  const auto address = parse_address(host);
  if (!address) {
    return bad(text, "is not ADDRESS:PORT such as 0.0.0.0:10256 or [::]:10256");
  }
  if (bracketed && address->is_v4())
    return bad(text, "has brackets, which are for IPv6 only: write 0.0.0.0:10256");
  if (!port) return HostPort{*address, default_port};
  const auto number = parse_number(*port, 0, 65535);
  if (!number) return bad(text, "has no valid port (0-65535)");
  return HostPort{*address, static_cast<std::uint16_t>(*number)};
}

Parsed<PortRange> parse_port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), 1, 65535);
  const auto last =
      dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 1, 65535);
  if (!first || !last) return bad(text, "is not a range of ports (1-65535) such as 30000-32767");
  if (*first > *last) return bad(text, "ends before it begins: write 30000-32767");
  return PortRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

std::string text(const Network& network) {
  return network.address.to_string() + "/" + std::to_string(network.prefix_length);
}

std::string text(const HostPort& bind) {
  const std::string host = bind.address.to_string();
  return (bind.address.is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(bind.port);
}

std::string text(std::chrono::milliseconds duration) {
  const auto total = duration.count();
  if (total == 0) return "0s";
  std::string out;
  if (total >= 3'600'000) out += std::to_string(total / 3'600'000) + "h";
  if (total / 60'000 % 60 != 0) out += std::to_string(total / 60'000 % 60) + "m";
  if (total / 1000 % 60 != 0) out += std::to_string(total / 1000 % 60) + "s";
  if (total % 1000 != 0) out += std::to_string(total % 1000) + "ms";
  return out;
}

std::span<const std::string_view> known_schedulers() { return kSchedulers; }

bool is_known_scheduler(std::string_view name) {
  return std::find(kSchedulers.begin(), kSchedulers.end(), name) != kSchedulers.end();
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() < 2 || word.size() > 64) return {};  // too short to compare; too slow to compare
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string join(std::span<const std::string_view> words) {
  std::string out;
  for (const std::string_view word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

}  // namespace config
