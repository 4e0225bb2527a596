// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/service_options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "config/values.hpp"
#include "ipvs/state/model.hpp"

namespace agent {
namespace {

constexpr std::string_view kScheduler = "kube-ipvs.io/scheduler";
constexpr std::string_view kRouterScheduler = "kube-router.io/service.scheduler";
constexpr std::string_view kSchedulerFlags = "kube-ipvs.io/scheduler-flags";
constexpr std::string_view kSlowStart = "kube-ipvs.io/slow-start";
constexpr std::string_view kDrainTimeout = "kube-ipvs.io/drain-timeout";
constexpr std::string_view kLinger = "kube-ipvs.io/linger";
constexpr std::string_view kMetrics = "kube-ipvs.io/metrics";
constexpr std::string_view kEndpointMetrics = "endpoints";
constexpr std::string_view kWeight = "kube-ipvs.io/weight";
constexpr std::string_view kSliceWeight = "service.cilium.io/weight";
constexpr std::array kOfServices{kScheduler,    kRouterScheduler, kSchedulerFlags, kSlowStart,
                                 kDrainTimeout, kLinger,          kMetrics};
constexpr std::string_view kOwnPrefix = "kube-ipvs.io/";

std::string fault_of(std::string_view annotation, std::string_view value, const std::string& why) {
  return "annotation " + std::string(annotation) + ": \"" + std::string(value.substr(0, 64)) +
         "\" " + why;
}

std::optional<std::string_view> value_of(const k8s::Labels& annotations, std::string_view key) {
  // A linear search: only annotations that we know are kept, and Pods have a few labels.
  const auto found = std::find_if(annotations.begin(), annotations.end(),
                                  [&](const auto& annotation) { return annotation.first == key; });
  if (found == annotations.end()) return std::nullopt;
  return found->second;
}

std::optional<std::uint32_t> number_in(std::string_view text, std::uint32_t least,
                                       std::uint32_t most) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || number < least || number > most) return std::nullopt;
  return number;
}

std::string range_text(std::uint32_t least, std::uint32_t most) {
  return "is not a number from " + std::to_string(least) + " to " + std::to_string(most);
}

WeightReading weight_in(std::string_view text, BadWeight place) {
  const auto weight = number_in(text, 0, 65535);
  return {.weight = weight, .bad = weight ? BadWeight::kNone : place};
}

// With "fallback", mh and sh choose another destination if the hashed one has weight 0; without it
// the clients of a draining pod are refused. mh also hashes the client's port, as kube-proxy sets
// it.
std::uint32_t default_flags(std::string_view scheduler) {
  if (scheduler == "mh") return ipvs::kFlagSched1 | ipvs::kFlagSched2;
  if (scheduler == "sh") return ipvs::kFlagSched1;
  return 0;
}

// IP_VS_SVC_F_SCHED_SH_FALLBACK, _SH_PORT, _MH_FALLBACK and _MH_PORT (linux/ip_vs.h).
std::optional<std::uint32_t> parse_flags(std::string_view text) {
  std::uint32_t flags = 0;
  if (text == "none") return flags;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    if (name == "fallback") {
      flags |= ipvs::kFlagSched1;
    } else if (name == "port") {
      flags |= ipvs::kFlagSched2;
    } else {
      return std::nullopt;
    }
    if (comma == std::string_view::npos) return flags;
    text.remove_prefix(comma + 1);
  }
}

class Reader {
 public:
  Reader(const k8s::Labels& annotations, const SchedulerDefaults& defaults)
      : annotations_(annotations), defaults_(defaults) {}

  ServiceOptionsReading read() {
    read_scheduler();
    read_flags();
    options().slow_start_seconds = number(kSlowStart, 1, 3600).value_or(0);
    options().drain_seconds = number(kDrainTimeout, 0, 86400);
    options().linger_seconds = number(kLinger, 1, 86400).value_or(0);
    options().endpoint_metrics = asks_for_endpoint_metrics(annotations_);
    const auto metrics = value_of(annotations_, kMetrics);
    if (metrics && *metrics != kEndpointMetrics)
      fault(fault_of(kMetrics, *metrics, "is not endpoints"));
    if (options().slow_start_seconds != 0 && !uses_weights(options().scheduler)) {
      fault("annotation " + std::string(kSlowStart) + ": the scheduler " + options().scheduler +
            " ignores weights");
      options().slow_start_seconds = 0;
    }
    for (const auto& [key, value] : annotations_) {
      const bool known =
          std::find(kOfServices.begin(), kOfServices.end(), key) != kOfServices.end();
      if (key.starts_with(kOwnPrefix) && !known) fault("annotation " + key + " is not known");
    }
    return std::move(reading_);
  }

 private:
  ServiceOptions& options() { return reading_.options; }
  void fault(std::string what) { reading_.faults.push_back(std::move(what)); }

  void read_scheduler() {
    options().scheduler = defaults_.scheduler;
    for (const std::string_view key : {kScheduler, kRouterScheduler}) {
      const auto value = value_of(annotations_, key);
      if (!value) continue;
      if (!config::is_known_scheduler(*value)) {
        fault(fault_of(key, *value,
                       "is not a scheduler (" + config::join(config::known_schedulers()) + ")"));
      } else if (defaults_.unavailable.contains(std::string(*value))) {
        fault(fault_of(key, *value,
                       "is a scheduler that this node's kernel does not have (module ip_vs_" +
                           std::string(*value) + ")"));
      } else {
        options().scheduler = std::string(*value);
      }
      return;
    }
  }

  void read_flags() {
    const std::string& scheduler = options().scheduler;
    options().scheduler_flags = default_flags(scheduler);
    const auto value = value_of(annotations_, kSchedulerFlags);
    if (!value) return;
    const auto flags = parse_flags(*value);
    if (!flags) {
      fault(fault_of(kSchedulerFlags, *value, "is not fallback, port, \"fallback,port\" or none"));
    } else if (scheduler != "sh" && scheduler != "mh") {
      fault(fault_of(kSchedulerFlags, *value, "does not apply to the scheduler " + scheduler));
    } else {
      options().scheduler_flags = *flags;
    }
  }

  std::optional<std::uint32_t> number(std::string_view key, std::uint32_t least,
                                      std::uint32_t most) {
    const auto value = value_of(annotations_, key);
    if (!value) return std::nullopt;
    const auto result = number_in(*value, least, most);
    if (!result) fault(fault_of(key, *value, range_text(least, most)));
    return result;
  }

  const k8s::Labels& annotations_;
  const SchedulerDefaults& defaults_;
  ServiceOptionsReading reading_;
};

}  // namespace

ServiceOptionsReading read_service_options(const k8s::Labels& annotations,
                                           const SchedulerDefaults& defaults) {
  return Reader(annotations, defaults).read();
}

bool asks_for_endpoint_metrics(const k8s::Labels& annotations) {
  return value_of(annotations, kMetrics) == kEndpointMetrics;
}

WeightReading read_pod_weight(const k8s::Meta& pod) {
  if (const auto value = value_of(pod.annotations, kWeight))
    return weight_in(*value, BadWeight::kPodAnnotation);
  if (const auto value = value_of(pod.labels, kWeight))
    return weight_in(*value, BadWeight::kPodLabel);
  return {};
}

WeightReading read_slice_weight(const k8s::Meta& slice) {
  const auto value = value_of(slice.annotations, kSliceWeight);
  return value ? weight_in(*value, BadWeight::kSliceAnnotation) : WeightReading{};
}

std::string_view name_of(BadWeight place) {
  switch (place) {
    case BadWeight::kPodAnnotation:
      return "annotation kube-ipvs.io/weight";
    case BadWeight::kPodLabel:
      return "label kube-ipvs.io/weight";
    case BadWeight::kSliceAnnotation:
      return "annotation service.cilium.io/weight of its EndpointSlice";
    case BadWeight::kNone:
      break;
  }
  return {};
}

bool uses_weights(const std::string& scheduler) {
  constexpr std::array<std::string_view, 4> kIgnoring{"rr", "lc", "sh", "dh"};
  return std::find(kIgnoring.begin(), kIgnoring.end(), scheduler) == kIgnoring.end();
}

}  // namespace agent
