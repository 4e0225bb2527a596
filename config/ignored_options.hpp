// SPDX-License-Identifier: Apache-2.0
//
// Flags and keys of kube-proxy that do nothing in kube-ipvs. They are accepted with a warning, so
// that a command line or file written for kube-proxy works unchanged.
#pragma once

#include <span>
#include <string_view>

namespace config {

struct IgnoredOption {
  std::string_view flag;      // without "--"; empty if there is only a key
  std::string_view key = {};  // in KubeProxyConfiguration: a key, or a whole section ("conntrack")
  bool takes_value = true;
  std::string_view reason = {};  // why it does nothing, for the warning
  std::string_view silent =
      {};  // no warning for this value: it asks for what kube-ipvs does anyway
};

std::span<const IgnoredOption> ignored_options();

// By the flag's name without "--"; nullptr if there is none.
const IgnoredOption* find_ignored(std::string_view flag);

}  // namespace config
