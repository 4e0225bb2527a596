// SPDX-License-Identifier: Apache-2.0
//
// The device kube-ipvs0 and what makes virtual IPs local, as text for `ip -batch -`, which makes what
// Device (ipvs/host/device.hpp) makes. Pure. The MTU of routes is left out: it is that of the node's
// interface (ipvs/host/device_mtu.cpp).
#pragma once

#include <optional>
#include <set>
#include <string>

#include "ipvs/state/kernel.hpp"

namespace ipvs {

struct VipSources {
  // Of routes, per family; unset: the kernel's choice, which for the agent is the source address of
  // the default route.
  std::optional<Address> v4{};
  std::optional<Address> v6{};
};

// `binding`: by addresses or by routes; with kAuto by the number of `addresses`, as on a node that has
// none yet.
std::string ip_text(const std::set<Address>& addresses, VipBinding binding,
                    const VipSources& sources);

}  // namespace ipvs
