// SPDX-License-Identifier: Apache-2.0
//
// What kube-proxy has, on Linux, in any release from 1.20 to 1.37: each flag, and each field of
// KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1). For config/kube-proxy.md, which joins it
// with what kube-ipvs does with each (config/options.hpp, config/ignored_options.hpp); a test checks
// that none is missing there.
//
// Flags that came into kube-proxy with libraries, and that it does not read, are not in it.
#pragma once

#include <span>
#include <string_view>

namespace config {

struct UpstreamOption {
  std::string_view flag = {};   // without "--"; "": there is only the field
  std::string_view key = {};    // "": there is only the flag
  std::string_view since = {};  // the first release that has it; "": before 1.20
  std::string_view until = {};  // the last one; "": 1.37 has it
};

std::span<const UpstreamOption> upstream_options();

}  // namespace config
