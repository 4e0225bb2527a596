// SPDX-License-Identifier: Apache-2.0
//
// Virtual servers with their destinations as text for `ipvsadm -R`, in the form of `ipvsadm -S -n`.
// Pure. Written for ipvsadm 1.31 (Debian 12), which names flags of a scheduler by its name.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ipvs/state/model.hpp"

namespace ipvs {

struct IpvsadmText {
  std::string commands{};  // a line for each virtual server and each destination
  // What ipvsadm has no words for: "TCP 10.96.0.1:80: ...". `commands` is without it.
  std::vector<std::string> left_out{};
};

IpvsadmText ipvsadm_text(std::span<const Server> servers);

}  // namespace ipvs
