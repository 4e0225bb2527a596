// SPDX-License-Identifier: Apache-2.0
//
// `kube-ipvs plan`: what an agent with the same flags would make the kernel hold, as a summary, as text
// for other tools, as JSON, or as the difference from the kernel of this node or from another plan.
//
// Runs the agent up to its first complete table on a kernel that is only read, for a difference from
// it, or else on one that holds nothing (agent/plan/plan_kernel.hpp). It opens no port and writes no
// Event.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "config/parse.hpp"
#include "ipvs/state/kernel.hpp"
#include "k8s/client/kubeconfig.hpp"

namespace agent {

// As of diff(1).
inline constexpr int kNoDifference = 0;  // or none was asked for
inline constexpr int kDifference = 1;
inline constexpr int kNoPlan = 2;

// How long it waits for the first lists of all objects.
inline constexpr std::chrono::seconds kPlanTimeout{60};

struct PlanRequest {
  const config::Config& config;
  ipvs::Kernel& kernel;  // of this host
  std::optional<k8s::ApiAccess> access{};
  // Reads the file of --compare-with as settings.
  std::function<config::ParseOutcome()> load_compared{};
  std::chrono::milliseconds timeout = kPlanTimeout;
};

// Prints to standard output; what the text cannot show, and for which node it is, to standard error.
// Reasons why there is no plan go to the log.
int run_plan(PlanRequest request);

}  // namespace agent
