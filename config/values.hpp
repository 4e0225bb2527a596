// SPDX-License-Identifier: Apache-2.0
//
// Parsers for the text of one value: number, boolean, duration, address, network. No side effects.
//
// Flags and the YAML file both use these, so a text such as "0x10", "0777" or "yes" means the same
// in both. Only the forms listed here are accepted. Where kube-proxy parses a value with a Go
// function, the parser here accepts the same texts.
//
// Errors: BadValue quotes the text and says what is wrong with it. It does not name the option.
#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace config {

struct BadValue {
  std::string what;
};

template <typename T>
using Parsed = boost::system::result<T, BadValue>;

// Decimal digits only; from `least` to `most`, both included.
[[nodiscard]] Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                                 std::uint64_t most);

// A number with or without a sign and a fraction: "5", "0.5", "-1". At most 1,000,000 from zero.
[[nodiscard]] Parsed<double> parse_decimal(std::string_view text);

// As Go's strconv.ParseBool: 1 t T true True TRUE and 0 f F false False FALSE.
[[nodiscard]] Parsed<bool> parse_bool(std::string_view text);

// As Go's time.ParseDuration: "15m", "1h30m", "1.5h", "900s", "250ms", "0", "-1s".
[[nodiscard]] Parsed<std::chrono::nanoseconds> parse_duration(std::string_view text);

// "10.0.0.1" or "fd00::1", as kube-proxy reads them (config/address.hpp). No zone ("%eth0").
[[nodiscard]] Parsed<Address> parse_address(std::string_view text);

// "10.0.0.0/8". The host bits are cleared, as Go's net.ParseCIDR does.
[[nodiscard]] Parsed<Network> parse_network(std::string_view text);

// "0.0.0.0:10256", "[::]:10256", or an address alone ("0.0.0.0", "::", "[::]") with `default_port`.
[[nodiscard]] Parsed<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port);

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};
// "30000-32767" or one port, 1-65535.
[[nodiscard]] Parsed<PortRange> parse_port_range(std::string_view text);

// The network of `address`: its host bits are cleared.
[[nodiscard]] Network make_network(const Address& address, std::uint8_t prefix_length);

[[nodiscard]] std::string text(const Network& network);              // "10.0.0.0/8"
[[nodiscard]] std::string text(const HostPort& bind);                // "[::]:10256"
[[nodiscard]] std::string text(std::chrono::milliseconds duration);  // "1h30m", "250ms", "0s"

// The IPVS schedulers of the kernel (net/netfilter/ipvs/ip_vs_*.c), the most common first.
[[nodiscard]] std::span<const std::string_view> known_schedulers();
[[nodiscard]] bool is_known_scheduler(std::string_view name);

// The candidate that is closest to a misspelt word, or "" if none is close. Distance: number of
// edits (at least 1 and at most a third of the word's length); swapping two neighbouring letters is
// one edit. Words under 2 or over 64 characters have no candidate.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

// The text in double quotes, and only its beginning if it is long.
[[nodiscard]] std::string quoted(std::string_view text);

// "a, b, c".
[[nodiscard]] std::string join(std::span<const std::string_view> words);

}  // namespace config
