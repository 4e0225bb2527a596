// SPDX-License-Identifier: Apache-2.0
//
// Sources: kubernetes cmd/kube-proxy/app/options.go and pkg/proxy/apis/config/v1alpha1/types.go up
// to 1.36, and the klog flags of older releases.
#include "config/ignored_options.hpp"

#include <algorithm>
#include <iterator>

namespace config {
namespace {

constexpr std::string_view kLocal = "local traffic is recognised by --cluster-cidr only";
constexpr std::string_view kLogging = "logs go to standard error: see --log-format and --v";
constexpr std::string_view kUnbuffered = "each line is written to standard error at once";
constexpr std::string_view kOtherMode = "it applies to other proxy modes only";
constexpr std::string_view kApiClient = "the API client has no rate limit and prefers protobuf";
constexpr std::string_view kOtherParts =
    "it belongs to libraries that old kube-proxy binaries contain (cAdvisor, cloud providers)";
constexpr std::string_view kNoResync =
    "there is no periodic resync: changes are applied as they arrive";

constexpr IgnoredOption kIgnored[] = {
    {.flag = "config-sync-period", .key = "configSyncPeriod", .reason = kNoResync},

    {.flag = "conntrack-max",
     .key = "conntrack.max",
     .reason = "it depends on the CPUs: see --conntrack-max-per-core and --conntrack-min"},

    {.flag = "detect-local-mode",
     .key = "detectLocalMode",
     .reason = kLocal,
     .silent = "ClusterCIDR"},
    {.flag = "pod-bridge-interface", .key = "detectLocal", .reason = kLocal},
    {.flag = "pod-interface-name-prefix", .reason = kLocal},

    {.flag = "iptables-sync-period", .key = "iptables.syncPeriod", .reason = kOtherMode},
    {.flag = "iptables-min-sync-period", .key = "iptables.minSyncPeriod", .reason = kOtherMode},
    {.flag = "iptables-localhost-nodeports",
     .key = "iptables.localhostNodePorts",
     .takes_value = false,
     .reason = "node ports are not served on loopback addresses"},
    {.flag = "", .key = "nftables", .reason = kOtherMode},
    {.flag = "", .key = "winkernel", .reason = kOtherMode},
    {.flag = "", .key = "windowsRunAsService", .reason = kOtherMode},
    {.flag = "proxy-port-range", .key = "portRange", .reason = kOtherMode},
    {.flag = "udp-timeout", .key = "udpIdleTimeout", .reason = kOtherMode},

    {.flag = "kube-api-burst", .key = "clientConnection.burst", .reason = kApiClient},
    {.flag = "kube-api-qps", .key = "clientConnection.qps", .reason = kApiClient},
    {.flag = "kube-api-content-type", .key = "clientConnection.contentType", .reason = kApiClient},
    {.flag = "", .key = "clientConnection.acceptContentTypes", .reason = kApiClient},

    {.flag = "feature-gates", .key = "featureGates", .reason = "kube-ipvs has no feature gates"},
    {.flag = "show-hidden-metrics-for-version",
     .key = "showHiddenMetricsForVersion",
     .reason = "kube-ipvs hides no metrics"},
    {.flag = "resource-container",
     .key = "resourceContainer",
     .reason = "set the cgroup where the process is started"},
    {.flag = "cleanup-ipvs",
     .takes_value = false,
     .reason = "--cleanup removes what kube-ipvs made, and nothing else",
     .silent = "true"},
    {.flag = "machine-id-file", .reason = "the machine id is not read"},
    {.flag = "boot-id-file", .reason = "the boot id is not read"},
    {.flag = "allow-dynamic-housekeeping", .takes_value = false, .reason = kOtherParts},
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
    {.flag = "log-cadvisor-usage", .takes_value = false, .reason = kOtherParts},

    {.flag = "log-flush-frequency", .key = "logging.flushFrequency", .reason = kUnbuffered},
    {.flag = "log-json-info-buffer-size", .key = "logging.options", .reason = kUnbuffered},
    {.flag = "log-json-split-stream", .takes_value = false, .reason = kUnbuffered},
    {.flag = "log-text-info-buffer-size", .reason = kUnbuffered},
    {.flag = "log-text-split-stream", .takes_value = false, .reason = kUnbuffered},
    {.flag = "log-backtrace-at", .reason = kLogging},
    {.flag = "log-dir", .reason = kLogging},
    {.flag = "log-file", .reason = kLogging},
    {.flag = "log-file-max-size", .reason = kLogging},
    {.flag = "logtostderr", .takes_value = false, .reason = kLogging, .silent = "true"},
    {.flag = "alsologtostderr", .takes_value = false, .reason = kLogging},
    {.flag = "stderrthreshold", .reason = kLogging},
    {.flag = "add-dir-header", .takes_value = false, .reason = kLogging},
    {.flag = "one-output", .takes_value = false, .reason = kLogging},
    {.flag = "legacy-stderr-threshold-behavior", .takes_value = false, .reason = kLogging},
    {.flag = "skip-headers", .takes_value = false, .reason = kLogging},
    {.flag = "skip-log-headers", .takes_value = false, .reason = kLogging},
};

}  // namespace

std::span<const IgnoredOption> ignored_options() { return kIgnored; }

const IgnoredOption* find_ignored(std::string_view flag) {
  const auto* const place = std::find_if(
      std::begin(kIgnored), std::end(kIgnored),
      [&](const IgnoredOption& option) { return !option.flag.empty() && option.flag == flag; });
  return place == std::end(kIgnored) ? nullptr : place;
}

}  // namespace config
