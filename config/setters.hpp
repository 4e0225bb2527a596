// SPDX-License-Identifier: Apache-2.0
//
// Write an option's text into a Config and back: the functions `set`, `get` and `clear` of the
// table in options.cpp, the only file that includes this one.
//
// Errors: a setter returns what is wrong with the text, or "".
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "config/values.hpp"

namespace config::detail {

// ip_vs_set_timeout() refuses more than INT_MAX / HZ seconds. HZ is set when the kernel is built,
// and user space cannot query it; this is the limit for the largest HZ, 1000.
inline constexpr std::int64_t kMaxTimeoutSeconds = std::numeric_limits<std::int32_t>::max() / 1000;
inline constexpr std::int64_t kMaxSyncPeriodSeconds = 3600;

template <bool Config::*kMember>
std::string set_flag(Config& config, std::string_view value) {
  const auto parsed = parse_bool(value);
  if (!parsed) return parsed.error().what;
  config.*kMember = *parsed;
  return {};
}
template <bool Config::*kMember>
std::string get_flag(const Config& config) {
  return config.*kMember ? "true" : "false";
}

template <std::string Config::*kMember>
std::string set_text(Config& config, std::string_view value) {
  // The text is used in paths, names and log lines.
  if (std::any_of(value.begin(), value.end(),
                  [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; })) {
    return "must not contain control characters";
  }
  config.*kMember = std::string(value);
  return {};
}
template <std::string Config::*kMember>
std::string get_text(const Config& config) {
  return config.*kMember;
}

// Says that `used` takes the place of the duration `value`, and why.
template <typename Duration>
void note_used(Config& config, std::string_view value, Duration used, const std::string& why) {
  config.warnings.push_back(std::string(value) + " is " + why + ": " +
                            text(std::chrono::duration_cast<std::chrono::milliseconds>(used)) +
                            " is used");
}

// kube-proxy takes any duration here, so all that makes sense is brought to what the kernel takes.
template <std::uint32_t Config::*kMember>
std::string set_timeout(Config& config, std::string_view value) {
  constexpr std::chrono::seconds kMost(kMaxTimeoutSeconds);
  const auto parsed = parse_duration(value);
  if (!parsed) return parsed.error().what;
  if (parsed->count() < 0) return "must not be negative";
  auto seconds = std::chrono::ceil<std::chrono::seconds>(*parsed);
  if (seconds > kMost) {
    seconds = kMost;
    note_used(config, value, seconds, "more than the kernel's limit");
  } else if (seconds != *parsed) {
    note_used(config, value, seconds, "not a whole number of seconds");
  }
  config.*kMember = static_cast<std::uint32_t>(seconds.count());
  return {};
}
template <std::uint32_t Config::*kMember>
std::string get_timeout(const Config& config) {
  return text(std::chrono::seconds(config.*kMember));
}

inline std::string set_sync_period(Config& config, std::string_view value) {
  const auto parsed = parse_duration(value);
  if (!parsed) return parsed.error().what;
  if (parsed->count() < 0) return "must not be negative";
  constexpr std::chrono::seconds kMost(kMaxSyncPeriodSeconds);
  // kube-proxy's default is 0s and means 30s.
  config.sync_period = parsed->count() == 0
                           ? std::chrono::seconds(30)
                           : std::min(std::chrono::ceil<std::chrono::seconds>(*parsed), kMost);
  if (*parsed > kMost) {
    note_used(config, value, kMost, "more than 1h");
  } else if (parsed->count() != 0 && config.sync_period != *parsed) {
    note_used(config, value, config.sync_period, "not a whole number of seconds");
  }
  return {};
}

inline std::string set_min_sync_period(Config& config, std::string_view value) {
  const auto parsed = parse_duration(value);
  if (!parsed) return parsed.error().what;
  if (parsed->count() < 0) return "must not be negative";
  constexpr std::chrono::seconds kMost(kMaxSyncPeriodSeconds);
  config.min_sync_period = std::min<std::chrono::milliseconds>(
      std::chrono::floor<std::chrono::milliseconds>(*parsed), kMost);
  if (*parsed > kMost) note_used(config, value, kMost, "more than 1h");
  return {};
}

template <std::vector<Network> Config::*kMember>
std::string add_network(Config& config, std::string_view value) {
  const auto parsed = parse_network(value);
  if (!parsed) return parsed.error().what;
  (config.*kMember).push_back(*parsed);
  return {};
}
template <std::vector<Network> Config::*kMember>
std::string get_networks(const Config& config) {
  std::string out;
  for (const Network& network : config.*kMember) {
    if (!out.empty()) out += ",";
    out += text(network);
  }
  return out;
}
template <std::vector<Network> Config::*kMember>
void clear_networks(Config& config) {
  (config.*kMember).clear();
}

inline std::string add_nodeport_address(Config& config, std::string_view value) {
  if (value == "primary") {
    config.nodeport_addresses_primary = true;
    return {};
  }
  std::string why = add_network<&Config::nodeport_addresses>(config, value);
  return why.empty() ? why : why + ", nor \"primary\"";
}
inline std::string get_nodeport_addresses(const Config& config) {
  return config.nodeport_addresses_primary ? "primary"
                                           : get_networks<&Config::nodeport_addresses>(config);
}
inline void clear_nodeport_addresses(Config& config) {
  config.nodeport_addresses.clear();
  config.nodeport_addresses_primary = false;
}

template <std::optional<HostPort> Config::*kMember, std::uint16_t kDefaultPort>
std::string set_bind(Config& config, std::string_view value) {
  if (value.empty()) {
    (config.*kMember).reset();
    return {};
  }
  const auto parsed = parse_host_port(value, kDefaultPort);
  if (!parsed) return parsed.error().what;
  config.*kMember = *parsed;
  return {};
}
template <std::optional<HostPort> Config::*kMember>
std::string get_bind(const Config& config) {
  return config.*kMember ? text(*(config.*kMember)) : std::string();
}

inline std::string set_bind_address(Config& config, std::string_view value) {
  const auto parsed = parse_address(value);
  if (!parsed) return parsed.error().what;
  config.bind_address = *parsed;
  return {};
}

// The names of the enum values, in the order of the enum.
inline constexpr std::array<std::string_view, 3> kEndpointSources = {"auto", "selector",
                                                                     "endpointslice"};
inline constexpr std::array<std::string_view, 2> kVipBindings = {"address", "route"};
inline constexpr std::array<std::string_view, 2> kCompats = {"none", "kube-proxy"};
inline constexpr std::array<std::string_view, 3> kTakeovers = {"auto", "report", "off"};
inline constexpr std::array<std::string_view, 3> kMetricsEndpoints = {"off", "annotated", "all"};
inline constexpr std::array<std::string_view, 2> kLogFormats = {"text", "json"};

template <auto kMember, const auto& kNames>
std::string set_choice(Config& config, std::string_view value) {
  const auto place = std::find(kNames.begin(), kNames.end(), value);
  if (place == kNames.end()) {
    return "\"" + std::string(value) + "\" is not one of: " + join(kNames);
  }
  using Choice = std::remove_reference_t<decltype(config.*kMember)>;
  config.*kMember = static_cast<Choice>(place - kNames.begin());
  return {};
}
template <auto kMember, const auto& kNames>
std::string get_choice(const Config& config) {
  return std::string(kNames[static_cast<std::size_t>(config.*kMember)]);
}

inline std::string set_scheduler(Config& config, std::string_view value) {
  // kube-proxy's default is "" and means rr.
  if (value.empty()) value = "rr";
  if (!is_known_scheduler(value)) {
    const std::string_view near = nearest(value, known_schedulers());
    return "\"" + std::string(value) +
           "\" is not an IPVS scheduler; known: " + join(known_schedulers()) +
           (near.empty() ? "" : "; did you mean \"" + std::string(near) + "\"?");
  }
  config.ipvs_scheduler = std::string(value);
  return {};
}

inline std::string set_masquerade_bit(Config& config, std::string_view value) {
  const auto parsed = parse_number(value, 0, 31);
  if (!parsed) return parsed.error().what;
  config.masquerade_mark = std::uint32_t{1} << *parsed;
  return {};
}
inline std::string get_masquerade_bit(const Config& config) {
  return std::to_string(std::countr_zero(config.masquerade_mark));
}

// Distributions write a mode that kube-ipvs does not have into what they start, and whoever puts
// kube-ipvs there wants IPVS.
inline std::string set_mode(Config& config, std::string_view value) {
  if (value.empty() || value == "ipvs") return {};
  if (value != "iptables" && value != "nftables") {
    return "\"" + std::string(value) + "\" is not one of: ipvs, iptables, nftables";
  }
  config.warnings.push_back("\"" + std::string(value) +
                            "\" is a mode of kube-proxy: Services are served with IPVS");
  return {};
}

inline std::string set_node_port_range(Config& config, std::string_view value) {
  const auto parsed = parse_port_range(value);
  if (!parsed) return parsed.error().what;
  config.node_port_first = parsed->first;
  config.node_port_last = parsed->last;
  return {};
}

// klog takes any level; those above 10 say no more than 10.
inline std::string set_verbosity(Config& config, std::string_view value) {
  const auto parsed = parse_number(value, 0, std::numeric_limits<std::int32_t>::max());
  if (!parsed) return parsed.error().what;
  config.verbosity = static_cast<int>(std::min<std::uint64_t>(*parsed, 10));
  return {};
}

// Up to what fits, and at most the largest number of a Go int32.
template <auto kMember>
std::string set_number(Config& config, std::string_view value) {
  using Number = std::remove_reference_t<decltype(config.*kMember)>;
  constexpr std::uint64_t kLargest = std::min<std::uint64_t>(
      std::numeric_limits<Number>::max(), std::numeric_limits<std::int32_t>::max());
  const auto parsed = parse_number(value, 0, kLargest);
  if (!parsed) return parsed.error().what;
  config.*kMember = static_cast<Number>(*parsed);
  return {};
}
template <auto kMember>
std::string get_number(const Config& config) {
  return std::to_string(config.*kMember);
}

inline std::string set_oom_score_adj(Config& config, std::string_view value) {
  config.oom_score_adj.reset();
  if (value.empty()) return {};
  const bool is_negative = value.front() == '-';
  const auto parsed = parse_number(value.substr(is_negative ? 1 : 0), 0, 1000);
  if (!parsed) return "\"" + std::string(value) + "\" is not a number from -1000 to 1000";
  const int number = static_cast<int>(*parsed);
  config.oom_score_adj = is_negative ? -number : number;
  return {};
}
inline std::string get_oom_score_adj(const Config& config) {
  return config.oom_score_adj ? std::to_string(*config.oom_score_adj) : std::string();
}

}  // namespace config::detail
