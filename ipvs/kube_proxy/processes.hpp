// SPDX-License-Identifier: Apache-2.0
//
// kube-proxy's processes, as far as they can be seen: by name, in this thread's network namespace.
// kube-ipvs may have that name too (a link to it): this process is none, nor one whose program is called
// kube-ipvs.
// In a container with a PID namespace of its own there are none to be seen, and neither where the
// rights to look at another's namespace are missing.
//
// Threading: blocks for the time that /proc takes, some 10 us a process.
#pragma once

#include <string>
#include <vector>

#include "ipvs/state/host_network.hpp"

namespace ipvs {

// `proc`: where the procfs is; tests have one of their own.
std::vector<KubeProxyProcess> find_kube_proxies(const std::string& proc = "/proc");

}  // namespace ipvs
