// SPDX-License-Identifier: Apache-2.0
//
// Write an option's text into a Config and back: the functions `set`, `get` and `clear` of the
// table in options.cpp and cluster_options.cpp, the only files that include this one.
//
// Errors: a setter returns what is wrong with the text, or "".
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <limits>
#include <optional>
#include <span>
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
inline constexpr const char* kNotNegative = "must not be negative: 0s or more";

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
                  [](unsigned char c) { return c < ' ' || c == 0x7F; })) {
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
  if (parsed->count() < 0) return kNotNegative;
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
  if (parsed->count() < 0) return kNotNegative;
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
  if (parsed->count() < 0) return kNotNegative;
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

// The words that kube-proxy takes in place of networks (KEP-6032).
struct NodePortWord {
  std::string_view word;
  bool Config::*member;
};
inline constexpr std::array<NodePortWord, 3> kNodePortWords = {
    {{"primary", &Config::nodeport_addresses_primary},
     {"localhost", &Config::nodeport_addresses_localhost},
     {"all", &Config::nodeport_addresses_all}}};

inline std::string add_nodeport_address(Config& config, std::string_view value) {
  for (const NodePortWord& each : kNodePortWords) {
    if (value != each.word) continue;
    config.*each.member = true;
    return {};
  }
  std::string why = add_network<&Config::nodeport_addresses>(config, value);
  return why.empty() ? why : why + ", nor one of: primary, localhost, all";
}
inline std::string get_nodeport_addresses(const Config& config) {
  std::string out;
  for (const NodePortWord& each : kNodePortWords) {
    if (config.*each.member) out += (out.empty() ? "" : ",") + std::string(each.word);
  }
  const std::string networks = get_networks<&Config::nodeport_addresses>(config);
  return out + (out.empty() || networks.empty() ? "" : ",") + networks;
}
inline void clear_nodeport_addresses(Config& config) {
  config.nodeport_addresses.clear();
  for (const NodePortWord& each : kNodePortWords) config.*each.member = false;
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
inline constexpr std::array<std::string_view, 3> kVipBindings = {"auto", "address", "route"};
inline constexpr std::array<std::string_view, 2> kCompats = {"none", "kube-proxy"};
inline constexpr std::array<std::string_view, 3> kTakeovers = {"auto", "report", "off"};
inline constexpr std::array<std::string_view, 3> kMetricsEndpoints = {"off", "annotated", "all"};
inline constexpr std::array<std::string_view, 2> kLogFormats = {"text", "json"};
inline constexpr std::array<std::string_view, 4> kLocalModes = {
    "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"};

template <const auto& kNames>
std::span<const std::string_view> words_of() {
  return kNames;
}

template <auto kMember, const auto& kNames>
std::string set_choice(Config& config, std::string_view value) {
  const auto place = std::find(kNames.begin(), kNames.end(), value);
  if (place == kNames.end()) {
    return quoted(value) + " is not one of: " + join(kNames);
  }
  using Choice = std::remove_reference_t<decltype(config.*kMember)>;
  config.*kMember = static_cast<Choice>(place - kNames.begin());
  return {};
}
template <auto kMember, const auto& kNames>
std::string get_choice(const Config& config) {
  return std::string(kNames[static_cast<std::size_t>(config.*kMember)]);
}

// As set_choice; "" is the first, as in kube-proxy.
template <auto kMember, const auto& kNames>
std::string set_choice_or_empty(Config& config, std::string_view value) {
  return set_choice<kMember, kNames>(config, value.empty() ? kNames.front() : value);
}

// What the kernel takes as a name (dev_valid_name() in net/core/dev.c), without the characters that
// `nft` would read as something else.
template <std::string Config::*kMember>
std::string set_interface(Config& config, std::string_view value) {
  constexpr std::size_t kLongest = 15;  // IFNAMSIZ without the NUL
  const bool is_bad =
      value.size() > kLongest || value == "." || value == ".." ||
      std::any_of(value.begin(), value.end(), [](char c) {
        return c <= ' ' || c > '~' || std::string_view("/:*\\\"").find(c) != std::string_view::npos;
      });
  if (is_bad) {
    return quoted(value) +
           " is not the name of an interface: 1-15 characters, no blanks and none of / : * \\ \"";
  }
  config.*kMember = std::string(value);
  return {};
}

// A limit of requests in a second: a number as Go's strconv.ParseFloat reads it, without exponents.
// client-go takes a negative one as no limit.
inline std::string set_qps(Config& config, std::string_view value) {
  const auto parsed = parse_decimal(value);
  if (!parsed) return parsed.error().what;
  config.kube_api_qps = std::max(*parsed, 0.0);
  return {};
}
std::string get_qps(const Config& config);

std::string set_hidden_metrics(Config& config, std::string_view value);

// "Name=true", of a list of them.
std::string add_feature_gate(Config& config, std::string_view value);
std::string get_feature_gates(const Config& config);
inline void clear_feature_gates(Config& config) { config.feature_gates.clear(); }

inline std::string set_scheduler(Config& config, std::string_view value) {
  // kube-proxy's default is "" and means rr.
  if (value.empty()) value = "rr";
  if (!is_known_scheduler(value)) {
    const std::string_view near = nearest(value, known_schedulers());
    return quoted(value) + " is not an IPVS scheduler; known: " + join(known_schedulers()) +
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
    return quoted(value) + " is not one of: ipvs, iptables, nftables";
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

// As klog reads it: "pattern=N"; an item without text is none.
inline std::string add_file_verbosity(Config& config, std::string_view value) {
  if (value.empty()) return {};
  const std::size_t equals = value.find('=');
  const auto level = parse_number(equals == std::string_view::npos ? "" : value.substr(equals + 1),
                                  0, std::numeric_limits<std::int32_t>::max());
  if (!level || equals == 0) {
    return quoted(value) +
           " is not PATTERN=LEVEL: the name of a source file, which may have * and ?, and a "
           "number from 0, as in sync_*=4";
  }
  config.vmodule.push_back({.pattern = std::string(value.substr(0, equals)),
                            .level = static_cast<int>(std::min<std::uint64_t>(*level, 10))});
  return {};
}
inline std::string get_file_verbosities(const Config& config) {
  std::string out;
  for (const FileVerbosity& each : config.vmodule) {
    out += (out.empty() ? "" : ",") + each.pattern + "=" + std::to_string(each.level);
  }
  return out;
}
inline void clear_file_verbosities(Config& config) { config.vmodule.clear(); }

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
  if (!parsed) return quoted(value) + " is not a number from -1000 to 1000";
  const int number = static_cast<int>(*parsed);
  config.oom_score_adj = is_negative ? -number : number;
  return {};
}
inline std::string get_oom_score_adj(const Config& config) {
  return config.oom_score_adj ? std::to_string(*config.oom_score_adj) : std::string();
}

}  // namespace config::detail
