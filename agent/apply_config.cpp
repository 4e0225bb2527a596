// SPDX-License-Identifier: Apache-2.0
//
// How a changed file of --config takes effect: each part learns what concerns it. What Services
// need is planned again and changes the kernel by its differences only, as any other event does.
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/app.hpp"
#include "agent/decide/health_checks.hpp"
#include "agent/log/log.hpp"
#include "agent/prepare_kernel.hpp"
#include "agent/process_settings.hpp"
#include "agent/report/log.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;

constexpr const char* kHostSettings = "host settings";  // a condition of the node
constexpr int kMostTries = 5;
constexpr std::chrono::seconds kPause{1};

// These change the plans of Services.
bool replans(const config::Difference& changed) {
  return changed.has({"ipvs-scheduler", "compat", "cluster-cidr"});
}

}  // namespace

void App::follow_file(const std::string& path, std::function<config::ParseOutcome()> load,
                      ConfigReload::Pace pace) {
  metrics_.config_loaded(static_cast<double>(ClusterState::unix_now()));
  reload_ = std::make_unique<ConfigReload>(
      context_.get_executor(), path,
      ConfigReload::Parts{
          .load = std::move(load),
          .current = [this]() -> const config::Config& { return config_; },
          .try_out = [this](const config::Config& next,
                            const config::Difference& changed) { return try_out(next, changed); },
          .apply =
              [this](config::Config next, const config::Difference& changed) {
                return apply(std::move(next), changed);
              },
          .conclude = [this](ConfigReload::Result result,
                             const std::string& why) { conclude_reload(result, why); },
          .restart_needed = [this](bool needed) { metrics_.config_needs_restart(needed); },
          .warn =
              [this](const std::string& line) {
                services_.warn_of_node("ConfigurationChanged", "Reload", line);
              },
          .note = [](const std::string& line) { log_info(line); }},
      pace);
}

asio::awaitable<std::string> App::try_out(const config::Config& next,
                                          const config::Difference& changed) {
  if (!changed.has({"ipvs-scheduler"})) co_return std::string();
  const std::string scheduler = next.ipvs_scheduler;
  const auto probed = co_await thread_.run([&] { return kernel_.probe_scheduler(scheduler); });
  co_return probed ? std::string() : "ipvs.scheduler: " + probed.error().text();
}

asio::awaitable<void> App::apply(config::Config next, const config::Difference& changed) {
  const bool changes_host =
      health_.faults().contains(kHostSettings) || host_settings(config_) != host_settings(next);
  config_ = std::move(next);
  if (changed.has({"log-format", "v", "vmodule"})) set_up_log(config_);
  if (changed.has({"oom-score-adj"})) {
    const std::string fault = set_oom_score_adj(config_.oom_score_adj);
    if (!fault.empty()) log_warning(fault);
  }
  if (changed.has({"ipvs-scheduler"})) sync_.schedulers_change();
  cluster_.configuration_changed(replans(changed));
  sync_.table_rules_may_differ();
  if (changed.has({"ipvs-min-sync-period", "ipvs-sync-period"})) {
    sync_.set_periods(config_.min_sync_period, config_.sync_period);
  }
  if (changed.has({"forward-accept", "ipvs-sync-period"})) {
    forwarding_.set({.accept = config_.forward_accept, .period = config_.sync_period});
  }
  health_checks_.set_addresses(health_check_addresses(config_, cluster_.node_view()));
  http_.configuration_changed(tasks_);
  change_dns(changed);
  if (!changes_host) co_return;
  const std::string refused = co_await apply_to_host();
  if (!refused.empty()) log_warning("Host settings refused", {{"err", refused}});
  health_.set_fault(kHostSettings, refused);
}

// What the kernel refuses of it is a condition of the node, and the audits try it again.
asio::awaitable<std::string> App::apply_to_host() {
  const ipvs::HostSettings settings = host_settings(config_);
  for (int tries = 1;; ++tries) {
    const auto facts = co_await thread_.run([&] { return kernel_.prepare(settings); });
    if (facts) {
      log_prepared(*facts);
      co_return std::string();
    }
    if (tries == kMostTries || !may_pass(facts.error().error_number)) {
      co_return facts.error().text();
    }
    asio::steady_timer pause(context_, kPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

void App::conclude_reload(ConfigReload::Result result, const std::string& why) {
  const auto name = [result] {
    switch (result) {
      case ConfigReload::Result::kApplied:
        return "applied";
      case ConfigReload::Result::kRefused:
        return "refused";
      case ConfigReload::Result::kUnchanged:
        break;
    }
    return "unchanged";
  };
  metrics_.config_reload(name(), static_cast<double>(ClusterState::unix_now()));
  health_.set_fault("config", why);
}

}  // namespace agent
