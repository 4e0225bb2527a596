// SPDX-License-Identifier: Apache-2.0
#include "agent/plan_command.hpp"

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <utility>

#include "agent/app.hpp"
#include "agent/log/log.hpp"
#include "agent/plan_kernel.hpp"

namespace agent {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{20};

// Nobody may think that this is the agent which serves the node.
config::Config quiet(config::Config config) {
  config.metrics_bind.reset();
  config.healthz_bind.reset();
  return config;
}

void print(const std::vector<std::string>& lines) {
  if (lines.empty()) std::puts("no difference");
  for (const std::string& line : lines) std::puts(line.c_str());
}

// What the node has that no Service wants.
std::size_t count_foreign(const KernelPicture& after, const OwnerOf& owner_of) {
  std::size_t count = 0;
  for (const auto& [key, server] : after.servers) count += owner_of(key).empty() ? 1 : 0;
  return count;
}

std::string unread_line(const std::vector<std::string>& unread) {
  std::string text = "without CAP_NET_ADMIN not read, and so not compared: ";
  for (std::size_t i = 0; i < unread.size(); ++i) text += (i == 0 ? "" : ", ") + unread[i];
  return text + "\n";
}

}  // namespace

int plan_against_kernel(const config::Config& config, ipvs::Kernel& kernel,
                        std::optional<k8s::ApiAccess> access, std::chrono::milliseconds timeout) {
  PlanKernel plan(kernel);
  if (const auto observed = plan.observe(); !observed) {
    log_error("There is no plan", {{kErr, observed.error().text()}});
    return kNoPlan;
  }
  if (!plan.unread().empty()) std::fputs(unread_line(plan.unread()).c_str(), stderr);
  const config::Config planned = quiet(config);
  boost::asio::io_context context(1);
  App app(context, planned, plan, std::move(access));
  app.only_plan();
  app.start();
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!app.is_complete() && !app.exit_code() && std::chrono::steady_clock::now() < end) {
    context.run_for(kBetweenLooks);
  }
  if (!app.is_complete()) {
    if (!app.exit_code())
      log_error("There is no plan", {{kErr, "no complete list of all objects in time"}});
    return kNoPlan;
  }
  const OwnerOf owner_of = [&](const ipvs::ServerKey& key) {
    const ipvs::Owner* owner = app.desired().owner_of(key);
    return owner != nullptr ? std::string(*owner) : std::string();
  };
  const auto lines = difference_lines(plan.before(), plan.after(), owner_of);
  print(lines);
  if (!plan.before().has_table && plan.unread().empty()) {
    std::fputs("nftables: the table inet kube-ipvs would be installed\n", stderr);
  }
  if (const std::size_t foreign = count_foreign(plan.after(), owner_of); foreign > 0) {
    std::fprintf(stderr, "%zu virtual servers that no Service wants are left alone\n", foreign);
  }
  return lines.empty() ? kNoDifference : kDifference;
}

}  // namespace agent
