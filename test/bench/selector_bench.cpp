// SPDX-License-Identifier: Apache-2.0
//
// Speed of parsing label selectors and of matching them with the labels of a Pod.
#include <benchmark/benchmark.h>

#include "k8s/decode/selector.hpp"

namespace {

k8s::Labels pod_labels() {
  return {{"app", "web"},
          {"app.kubernetes.io/instance", "prod"},
          {"app.kubernetes.io/name", "web"},
          {"pod-template-hash", "6d4cf56db6"},
          {"tier", "frontend"}};
}

void BM_SelectorFromMapMatches(benchmark::State& state) {
  const auto labels = pod_labels();
  const auto selector = k8s::LabelSelector::from_map({{"app", "web"}, {"tier", "frontend"}});
  for (auto _ : state) benchmark::DoNotOptimize(selector.matches(labels));
}
BENCHMARK(BM_SelectorFromMapMatches);

void BM_SelectorSetMatches(benchmark::State& state) {
  const auto labels = pod_labels();
  const auto selector =
      k8s::LabelSelector::parse("app in (api,web,worker),!canary,tier!=backend").value();
  for (auto _ : state) benchmark::DoNotOptimize(selector.matches(labels));
}
BENCHMARK(BM_SelectorSetMatches);

void BM_SelectorParse(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        k8s::LabelSelector::parse("app in (api,web,worker),!canary,tier!=backend"));
  }
}
BENCHMARK(BM_SelectorParse);

}  // namespace
