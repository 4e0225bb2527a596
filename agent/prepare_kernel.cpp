// SPDX-License-Identifier: Apache-2.0
#include "agent/prepare_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>
#include <vector>

#include "agent/log/log.hpp"

namespace agent {
namespace {

using namespace std::chrono_literals;

constexpr auto kFirstPause = 100ms;
constexpr std::chrono::milliseconds kLongestPause = 10s;

// --bind-address, of its family; for the others the kernel chooses.
std::optional<ipvs::Address> route_source(const config::Config& config, ipvs::Family family) {
  const ipvs::Address& bind = config.bind_address;
  if (bind.is_unspecified() || ipvs::family_of(bind) != family) return std::nullopt;
  return bind;
}

std::vector<ipvs::Network> excluded_networks(const config::Config& config) {
  std::vector<ipvs::Network> networks;
  for (const config::Network& each : config.ipvs_exclude_cidrs) {
    networks.push_back({each.address, each.prefix_length});
  }
  return networks;
}

std::optional<ipvs::KernelError> prepare_once(const config::Config& config, ipvs::Kernel& kernel) {
  const auto facts = kernel.prepare(host_settings(config));
  if (!facts) return facts.error();
  log_prepared(*facts);
  const auto scheduler = kernel.probe_scheduler(config.ipvs_scheduler);
  if (!scheduler) return scheduler.error();
  return std::nullopt;
}

}  // namespace

void log_prepared(const ipvs::HostFacts& facts) {
  for (const std::string& change : facts.changes) log_info("Host prepared", {{"change", change}});
  for (const std::string& warning : facts.warnings)
    log_warning("Host not as it should be", {{"what", warning}});
}

// By ipvs::VipBinding's order.
static_assert(static_cast<int>(config::VipBinding::kAuto) ==
                  static_cast<int>(ipvs::VipBinding::kAuto) &&
              static_cast<int>(config::VipBinding::kRoute) ==
                  static_cast<int>(ipvs::VipBinding::kRoute));

ipvs::HostSettings host_settings(const config::Config& config) {
  return {.vip_binding = static_cast<ipvs::VipBinding>(config.vip_binding),
          .route_source_v4 = route_source(config, ipvs::Family::kIpv4),
          .route_source_v6 = route_source(config, ipvs::Family::kIpv6),
          .strict_arp = config.ipvs_strict_arp,
          .node_port_first = config.node_port_first,
          .node_port_last = config.node_port_last,
          .reserve_node_ports = config.reserve_node_ports,
          .conntrack = {.entries_per_cpu = config.conntrack_max_per_core,
                        .least_entries = config.conntrack_min,
                        .tcp_established = config.conntrack_tcp_established,
                        .tcp_close_wait = config.conntrack_tcp_close_wait,
                        .udp = config.conntrack_udp,
                        .udp_stream = config.conntrack_udp_stream,
                        .tcp_be_liberal = config.conntrack_tcp_be_liberal},
          .timeouts = {.tcp = config.ipvs_tcp_timeout,
                       .tcp_fin = config.ipvs_tcp_fin_timeout,
                       .udp = config.ipvs_udp_timeout},
          .excluded = excluded_networks(config)};
}

void sleep_for(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

bool may_pass(int error_number) {
  if (ipvs::blame_of(error_number) == ipvs::Blame::kPassing) return true;
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOSPC ||
         error_number == ENODEV;
}

std::string prepare_kernel(const config::Config& config, ipvs::Kernel& kernel, const Pause& pause) {
  std::string reported;
  auto next = std::chrono::milliseconds(kFirstPause);
  while (true) {
    const auto error = prepare_once(config, kernel);
    if (!error) return {};
    if (!may_pass(error->error_number)) return error->text();
    if (reported != error->text()) {
      reported = error->text();
      log_warning("The kernel is not prepared: trying again until it accepts it",
                  {{kErr, reported}});
    }
    pause(next);
    next = std::min(next * 2, kLongestPause);
  }
}

}  // namespace agent
