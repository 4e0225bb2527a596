// SPDX-License-Identifier: Apache-2.0
//
// Reads the file of --config: from YAML to settings. It may be of two kinds:
//
//   kube-ipvs.io/v1alpha1 KubeIpvsConfiguration
//       ours: an unknown key is a fault; null means the default
//   kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration
//       kube-proxy's: an unknown key is a warning; null and "" mean the default, as in Go
//
// Both have the same structure. Ours also has the `own_key` of each option (config/options.hpp).
#pragma once

#include <string_view>

#include "config/setting.hpp"
#include "config/yaml.hpp"

namespace config {

inline constexpr std::string_view kOurApiVersion = "kube-ipvs.io/v1alpha1";
inline constexpr std::string_view kOurKind = "KubeIpvsConfiguration";
inline constexpr std::string_view kProxyApiVersion = "kubeproxy.config.k8s.io/v1alpha1";
inline constexpr std::string_view kProxyKind = "KubeProxyConfiguration";

// `name` is the file's name in faults.
Settings read_file(const YamlFile& file, const std::string& name);

}  // namespace config
