// SPDX-License-Identifier: Apache-2.0
//
// Sources: kubernetes cmd/kube-proxy/app/options.go and pkg/proxy/apis/config/v1alpha1/types.go up
// to 1.36, and the klog flags of older releases.
#include "config/ignored_options.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

#include "config/values.hpp"

namespace config {
namespace {

using enum IgnoredType;

constexpr std::string_view kLogging = "logs go to standard error: see --log-format and --v";
constexpr std::string_view kUnbuffered = "each line is written to standard error at once";
constexpr std::string_view kOtherMode = "it applies to other proxy modes only";
constexpr std::string_view kWindows = "it applies to Windows only";
constexpr std::string_view kOtherParts =
    "it belongs to libraries that old kube-proxy binaries contain (cAdvisor, cloud providers)";
constexpr std::string_view kNoResync =
    "there is no periodic resync: changes are applied as they arrive";

constexpr IgnoredOption kIgnored[] = {
    {.flag = "config-sync-period",
     .key = "configSyncPeriod",
     .type = kDuration,
     .reason = kNoResync,
     .silent = "15m"},

    {.flag = "conntrack-max",
     .key = "conntrack.max",
     .type = kNumber,
     .reason = "it depends on the CPUs: see --conntrack-max-per-core and --conntrack-min"},

    {.flag = "iptables-sync-period",
     .key = "iptables.syncPeriod",
     .type = kDuration,
     .reason = kOtherMode,
     .silent = "30s"},
    {.flag = "iptables-min-sync-period",
     .key = "iptables.minSyncPeriod",
     .type = kDuration,
     .reason = kOtherMode,
     .silent = "0s 1s"},
    // Without effect in kube-proxy's ipvs mode, too.
    {.flag = "iptables-localhost-nodeports",
     .key = "iptables.localhostNodePorts",
     .type = kFlag,
     .reason = "node ports are served on loopback addresses with --nodeport-addresses=localhost",
     .silent = "true false"},
    {.key = "nftables.masqueradeAll", .type = kFlag, .reason = kOtherMode, .silent = "false"},
    {.key = "nftables.masqueradeBit", .type = kNumber, .reason = kOtherMode, .silent = "14"},
    {.key = "nftables.minSyncPeriod", .type = kDuration, .reason = kOtherMode, .silent = "0s 1s"},
    {.key = "nftables.syncPeriod", .type = kDuration, .reason = kOtherMode, .silent = "30s"},
    {.key = "winkernel.enableDSR", .type = kFlag, .reason = kWindows, .silent = "false"},
    {.key = "winkernel.forwardHealthCheckVip",
     .type = kFlag,
     .reason = kWindows,
     .silent = "false"},
    {.key = "winkernel.networkName", .reason = kWindows},
    {.key = "winkernel.rootHnsEndpointName", .reason = kWindows},
    {.key = "winkernel.sourceVip", .reason = kWindows},
    {.key = "windowsRunAsService", .type = kFlag, .reason = kWindows, .silent = "false"},
    {.flag = "proxy-port-range", .key = "portRange", .reason = kOtherMode, .silent = "0-0"},
    {.flag = "udp-timeout",
     .key = "udpIdleTimeout",
     .type = kDuration,
     .reason = kOtherMode,
     .silent = "250ms"},

    {.flag = "resource-container",
     .key = "resourceContainer",
     .reason = "set the cgroup where the process is started",
     .silent = "/kube-proxy"},
    {.flag = "cleanup-ipvs",
     .type = kFlag,
     .reason = "--cleanup removes what kube-ipvs made, and nothing else",
     .silent = "true"},
    {.flag = "machine-id-file", .reason = "the machine id is not read"},
    {.flag = "boot-id-file", .reason = "the boot id is not read"},
    {.flag = "allow-dynamic-housekeeping", .type = kFlag, .reason = kOtherParts},
    {.flag = "application-metrics-count-limit", .reason = kOtherParts},
    {.flag = "azure-container-registry-config", .reason = kOtherParts},
    {.flag = "cloud-provider-gce-l7lb-src-cidrs", .reason = kOtherParts},
    {.flag = "cloud-provider-gce-lb-src-cidrs", .reason = kOtherParts},
    {.flag = "default-not-ready-toleration-seconds", .reason = kOtherParts},
    {.flag = "default-unreachable-toleration-seconds", .reason = kOtherParts},
    {.flag = "event-storage-age-limit", .reason = kOtherParts},
    {.flag = "event-storage-event-limit", .reason = kOtherParts},
    {.flag = "global-housekeeping-interval", .reason = kOtherParts},
    {.flag = "google-json-key", .reason = kOtherParts},
    {.flag = "housekeeping-interval", .reason = kOtherParts},
    {.flag = "log-cadvisor-usage", .type = kFlag, .reason = kOtherParts},

    {.flag = "log-flush-frequency",
     .key = "logging.flushFrequency",
     .reason = kUnbuffered,
     .silent = "5s"},
    {.flag = "log-json-info-buffer-size", .key = "logging.options", .reason = kUnbuffered},
    {.flag = "log-json-split-stream", .type = kFlag, .reason = kUnbuffered},
    {.flag = "log-text-info-buffer-size", .reason = kUnbuffered},
    {.flag = "log-text-split-stream", .type = kFlag, .reason = kUnbuffered},
    {.flag = "log-backtrace-at", .reason = kLogging},
    {.flag = "log-dir", .reason = kLogging},
    {.flag = "log-file", .reason = kLogging},
    {.flag = "log-file-max-size", .reason = kLogging},
    {.flag = "logtostderr", .type = kFlag, .reason = kLogging, .silent = "true"},
    {.flag = "alsologtostderr", .type = kFlag, .reason = kLogging},
    {.flag = "stderrthreshold", .reason = kLogging},
    {.flag = "add-dir-header", .type = kFlag, .reason = kLogging},
    {.flag = "one-output", .type = kFlag, .reason = kLogging},
    {.flag = "legacy-stderr-threshold-behavior", .type = kFlag, .reason = kLogging},
    {.flag = "skip-headers", .type = kFlag, .reason = kLogging},
    {.flag = "skip-log-headers", .type = kFlag, .reason = kLogging},
};

}  // namespace

std::span<const IgnoredOption> ignored_options() { return kIgnored; }

const IgnoredOption* find_ignored(std::string_view flag) {
  const auto* const place = std::find_if(
      std::begin(kIgnored), std::end(kIgnored),
      [&](const IgnoredOption& option) { return !option.flag.empty() && option.flag == flag; });
  return place == std::end(kIgnored) ? nullptr : place;
}

std::string fault_of(const IgnoredOption& option, std::string_view text) {
  switch (option.type) {
    case kAny:
      return {};
    case kFlag: {
      const auto value = parse_bool(text);
      return value ? std::string() : value.error().what;
    }
    case kNumber: {
      constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
      const auto value = parse_number(text, 0, kMost);
      return value ? std::string() : value.error().what;
    }
    case kDuration: {
      const auto value = parse_duration(text);
      return value ? std::string() : value.error().what;
    }
  }
  return {};
}

bool is_silent(const IgnoredOption& option, std::string_view text) {
  if (text.empty()) return true;
  std::string_view rest = option.silent;
  while (!rest.empty()) {
    const std::size_t blank = rest.find(' ');
    const std::string_view word = rest.substr(0, blank);
    rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
    if (word == text) return true;
    if (option.type != kDuration) continue;
    const auto one = parse_duration(word);
    const auto other = parse_duration(text);
    if (one && other && *one == *other) return true;
  }
  return false;
}

}  // namespace config
