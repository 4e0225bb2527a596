// SPDX-License-Identifier: Apache-2.0
#include "config/setters.hpp"

#include <charconv>

#include "config/feature_gates.hpp"

namespace config::detail {

std::string get_qps(const Config& config) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), config.kube_api_qps,
                                 std::chars_format::fixed);
  return {digits.data(), end.ptr};
}

// kube-proxy allows the release before its own. Which Kubernetes this node has is not known, so it
// may be any that is before one of those that kube-ipvs takes the place of.
std::string set_hidden_metrics(Config& config, std::string_view value) {
  constexpr std::uint64_t kFirst = 19;
  constexpr std::uint64_t kLast = 36;
  const bool is_release = value.starts_with("1.") && parse_number(value.substr(2), kFirst, kLast);
  if (!value.empty() && !is_release) {
    return quoted(value) + " is not the release before a kube-proxy's: 1." +
           std::to_string(kFirst) + " to 1." + std::to_string(kLast) + ", or nothing";
  }
  config.show_hidden_metrics_for_version = std::string(value);
  return {};
}

std::string add_feature_gate(Config& config, std::string_view value) {
  const std::size_t equals = value.find('=');
  const std::string_view name = value.substr(0, equals);
  if (name.empty() || equals == std::string_view::npos)
    return quoted(value) + " is not NAME=true or NAME=false";
  const auto enabled = parse_bool(value.substr(equals + 1));
  if (!enabled) return quoted(name) + ": " + enabled.error().what;
  if (const std::string why = difference_of_gate(name, *enabled); !why.empty())
    config.warnings.push_back("the gate " + quoted(name) + " " + why + ": ignored");
  config.feature_gates.push_back(std::string(name) + (*enabled ? "=true" : "=false"));
  return {};
}

std::string get_feature_gates(const Config& config) {
  std::string out;
  for (const std::string& gate : config.feature_gates) out += (out.empty() ? "" : ",") + gate;
  return out;
}

}  // namespace config::detail
