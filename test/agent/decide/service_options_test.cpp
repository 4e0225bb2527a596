// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/service_options.hpp"

#include <catch2/catch_test_macros.hpp>

#include "ipvs/state/model.hpp"

namespace {

using agent::read_service_options;
using agent::ServiceOptions;
using Faults = agent::AnnotationFaults;

}  // namespace

TEST_CASE("without annotations a Service has the default scheduler and no other options") {
  const auto reading = read_service_options({}, {.scheduler = "lc"});
  CHECK(reading.options == ServiceOptions{.scheduler = "lc"});
  CHECK(reading.faults.empty());
}

TEST_CASE("the annotation gives a Service's scheduler, kube-router's if ours is missing") {
  CHECK(read_service_options({{"kube-ipvs.io/scheduler", "wlc"}}, {}).options.scheduler == "wlc");
  CHECK(read_service_options({{"kube-router.io/service.scheduler", "dh"}}, {}).options.scheduler ==
        "dh");
  const k8s::Labels both{{"kube-ipvs.io/scheduler", "sed"},
                         {"kube-router.io/service.scheduler", "dh"}};
  CHECK(read_service_options(both, {}).options.scheduler == "sed");
}

TEST_CASE("mh and sh fall back unless the annotation says otherwise, and only they have flags") {
  using ipvs::kFlagSched1;
  using ipvs::kFlagSched2;
  const auto flags = [](const char* scheduler, const char* value) {
    k8s::Labels annotations{{"kube-ipvs.io/scheduler", scheduler}};
    if (value) annotations["kube-ipvs.io/scheduler-flags"] = value;
    return read_service_options(annotations, {});
  };
  CHECK(flags("mh", nullptr).options.scheduler_flags == (kFlagSched1 | kFlagSched2));
  CHECK(flags("sh", nullptr).options.scheduler_flags == kFlagSched1);
  CHECK(flags("mh", "fallback").options.scheduler_flags == kFlagSched1);
  CHECK(flags("sh", "port,fallback").options.scheduler_flags == (kFlagSched1 | kFlagSched2));
  CHECK(flags("sh", "none").options.scheduler_flags == 0);
  CHECK(
      flags("rr", "port").faults ==
      Faults{
          "annotation kube-ipvs.io/scheduler-flags: \"port\" does not apply to the scheduler rr"});
  const auto wrong = flags("mh", "port,");
  CHECK(wrong.options.scheduler_flags == (kFlagSched1 | kFlagSched2));
  CHECK(wrong.faults == Faults{"annotation kube-ipvs.io/scheduler-flags: \"port,\" is not "
                               "fallback, port, \"fallback,port\" or none"});
}

TEST_CASE("an invalid value is reported with the valid ones, and the default applies") {
  const k8s::Labels annotations{{"kube-ipvs.io/scheduler", "wrr"},
                                {"kube-ipvs.io/slow-start", "soon"},
                                {"kube-ipvs.io/drain-timeout", "-1"},
                                {"kube-ipvs.io/linger", "86401"},
                                {"kube-ipvs.io/colour", "red"}};
  const auto reading = read_service_options(annotations, {});
  CHECK(reading.options == ServiceOptions{.scheduler = "wrr"});
  CHECK(reading.faults ==
        Faults{"annotation kube-ipvs.io/slow-start: \"soon\" is not a number from 1 to 3600",
               "annotation kube-ipvs.io/drain-timeout: \"-1\" is not a number from 0 to 86400",
               "annotation kube-ipvs.io/linger: \"86401\" is not a number from 1 to 86400",
               "annotation kube-ipvs.io/colour is not known"});
}

TEST_CASE(
    "an unknown scheduler, or one that this kernel lacks, is reported and the default applies") {
  const auto unknown =
      read_service_options({{"kube-ipvs.io/scheduler", "random"}}, {.scheduler = "lc"});
  CHECK(unknown.options.scheduler == "lc");
  REQUIRE(unknown.faults.size() == 1);
  CHECK(unknown.faults[0].starts_with(
      "annotation kube-ipvs.io/scheduler: \"random\" is not a scheduler (rr, "));
  const auto missing = read_service_options({{"kube-ipvs.io/scheduler", "mh"}},
                                            {.scheduler = "lc", .unavailable = {"mh"}});
  CHECK(missing.options.scheduler == "lc");
  CHECK(missing.faults ==
        Faults{"annotation kube-ipvs.io/scheduler: \"mh\" is a scheduler that this "
               "node's kernel does not have (module ip_vs_mh)"});
}

TEST_CASE("slow start with a scheduler that ignores weights is refused, with the reason") {
  const auto reading =
      read_service_options({{"kube-ipvs.io/slow-start", "30"}}, {.scheduler = "rr"});
  CHECK(reading.options.slow_start_seconds == 0);
  CHECK(reading.faults ==
        Faults{"annotation kube-ipvs.io/slow-start: the scheduler rr ignores weights"});
}

TEST_CASE("a Pod's weight is 0 to 65535, anything else is invalid") {
  using agent::BadWeight;
  k8s::Meta pod;
  CHECK(agent::read_pod_weight(pod) == agent::WeightReading{});
  for (const char* value : {"0", "65535"}) {
    pod.annotations["kube-ipvs.io/weight"] = value;
    CHECK(agent::read_pod_weight(pod).weight == std::stoul(value));
    CHECK(agent::read_pod_weight(pod).bad == BadWeight::kNone);
  }
  pod.annotations["kube-ipvs.io/weight"] = "65536";
  CHECK(agent::read_pod_weight(pod).weight == std::nullopt);
  CHECK(agent::read_pod_weight(pod).bad == BadWeight::kPodAnnotation);
}

TEST_CASE("a Pod's weight may be a label, which an annotation overrides (18.4)") {
  using agent::BadWeight;
  k8s::Meta pod;
  pod.labels = {{"app", "web"}, {"kube-ipvs.io/weight", "7"}};
  CHECK(agent::read_pod_weight(pod).weight == 7);
  pod.annotations["kube-ipvs.io/weight"] = "9";
  CHECK(agent::read_pod_weight(pod).weight == 9);
  pod.annotations.clear();
  pod.labels["kube-ipvs.io/weight"] = "heavy";
  CHECK(agent::read_pod_weight(pod) == agent::WeightReading{.bad = BadWeight::kPodLabel});
  // Only an EndpointSlice has that of another program.
  pod.annotations["service.cilium.io/weight"] = "3";
  CHECK(agent::read_pod_weight(pod).bad == BadWeight::kPodLabel);
  CHECK(agent::read_slice_weight(pod).weight == 3);
}

TEST_CASE("series of endpoints are asked for with the word endpoints, and nothing else") {
  const auto reading = read_service_options({{"kube-ipvs.io/metrics", "endpoints"}}, {});
  CHECK(reading.options.endpoint_metrics);
  CHECK(reading.faults.empty());
  CHECK_FALSE(read_service_options({}, {}).options.endpoint_metrics);
  for (const char* wrong : {"", "Endpoints", "endpoints ", "true"}) {
    const auto refused = read_service_options({{"kube-ipvs.io/metrics", wrong}}, {});
    CHECK_FALSE(refused.options.endpoint_metrics);
    CHECK(refused.faults == Faults{"annotation kube-ipvs.io/metrics: \"" + std::string(wrong) +
                                   "\" is not endpoints"});
  }
}
