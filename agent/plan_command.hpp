// SPDX-License-Identifier: Apache-2.0
//
// `kube-ipvs plan --against-kernel`: what a start with the same flags would change on this node,
// which may be served by kube-proxy. Runs the agent up to its first complete table on a kernel that
// is only read (agent/plan_kernel.hpp); it opens no port and writes no Event.
#pragma once

#include <chrono>
#include <optional>

#include "config/config.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/client/kubeconfig.hpp"

namespace agent {

// As of diff(1).
inline constexpr int kNoDifference = 0;
inline constexpr int kDifference = 1;
inline constexpr int kNoPlan = 2;

// How long it waits for the first lists of all objects.
inline constexpr std::chrono::seconds kPlanTimeout{60};

// Prints to standard output. Reasons why there is no plan go to the log.
int plan_against_kernel(const config::Config& config, ipvs::Kernel& kernel,
                        std::optional<k8s::ApiAccess> access,
                        std::chrono::milliseconds timeout = kPlanTimeout);

}  // namespace agent
