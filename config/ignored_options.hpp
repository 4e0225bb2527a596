// SPDX-License-Identifier: Apache-2.0
//
// Flags and keys of kube-proxy that do nothing in kube-ipvs. They are accepted with a warning, so
// that a command line or file written for kube-proxy works unchanged.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace config {

// What kube-proxy would refuse is refused here, too.
enum class IgnoredType : std::uint8_t {
  kAny,       // any text, or in the file any tree
  kFlag,      // --name or --name=false; in the file: true or false
  kNumber,    // a whole number, without quotes in the file
  kDuration,  // "30s"
};

struct IgnoredOption {
  std::string_view flag = {};  // without "--"; empty if there is only a key
  std::string_view key = {};   // in KubeProxyConfiguration: a key, or a whole section
  IgnoredType type = IgnoredType::kAny;
  std::string_view reason = {};  // why it does nothing, for the warning
  // No warning for these values, separated by blanks: kube-proxy's default, which files have without
  // anybody's wish, and what kube-ipvs does anyway.
  std::string_view silent = {};
};

std::span<const IgnoredOption> ignored_options();

// By the flag's name without "--"; nullptr if there is none.
const IgnoredOption* find_ignored(std::string_view flag);

// What is wrong with the text, or "".
std::string fault_of(const IgnoredOption& option, std::string_view text);
// Whether the text is one of `silent`. Durations are compared as such: "15m" is "15m0s".
bool is_silent(const IgnoredOption& option, std::string_view text);

}  // namespace config
