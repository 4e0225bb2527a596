// SPDX-License-Identifier: Apache-2.0
//
// The file of --config: from YAML to settings. Two kinds are read:
//
//   kube-ipvs.io/v1alpha1 KubeIpvsConfiguration              ours: an unknown key is a fault
//   kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration  kube-proxy's: an unknown key is a
//   warning, and
//                                                            null or "" stands for the default, as
//                                                            in Go
//
// Both have the same structure; ours also has the own_key of each option (config/options.hpp).
#pragma once

#include <string_view>

#include "config/setting.hpp"
#include "config/yaml.hpp"

namespace config {

inline constexpr std::string_view kOurApiVersion = "kube-ipvs.io/v1alpha1";
inline constexpr std::string_view kOurKind = "KubeIpvsConfiguration";
inline constexpr std::string_view kProxyApiVersion = "kubeproxy.config.k8s.io/v1alpha1";
inline constexpr std::string_view kProxyKind = "KubeProxyConfiguration";

// `name` is what faults call the file where it has no document.
Settings read_file(const YamlFile& file, const std::string& name);

}  // namespace config
