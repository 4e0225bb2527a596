// SPDX-License-Identifier: Apache-2.0
//
// Pages of metrics: their size, what they cost, and the longest step of the event loop while one is
// made. Without the kernel's part, which test/bench/kernel measures: the fake kernel answers from memory.
//
// Every Service has one port and ten Pods.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "agent/report/content_coding.hpp"
#include "test/bench/bench_node.hpp"

namespace {

using namespace agent;
using namespace agent::test;
using config::MetricsEndpoints;

class Node : public BenchNode {
 public:
  explicit Node(int service_count) : BenchNode(service_count, 10) {}
  Cost page(Scrape::Page which, bool gzip) {
    const Body body = [&](BodyWriter to) { return scrape_.write(which, std::move(to)); };
    return send([&](BodyWriter to) { return gzip ? stream_gzip(body, to) : body(to); });
  }

 private:
  Scrape scrape_{kernel,     thread,     cluster, sync,   reporter, conditions,
                 forwarding, kube_proxy, source,  digest, metrics};
};

Node& node_with(int services) {
  static std::unique_ptr<Node> node;
  static int has = 0;
  if (has != services) {
    node.reset();
    node = std::make_unique<Node>(services);
    has = services;
  }
  return *node;
}

void measure(benchmark::State& bench, MetricsEndpoints endpoints, Scrape::Page page) {
  Node& node = node_with(static_cast<int>(bench.range(0)));
  node.config.metrics_endpoints = endpoints;
  const bool gzip = bench.range(1) != 0;
  node.page(page, gzip);
  Node::Cost last;
  double longest = 0;
  for (auto _ : bench) {
    last = node.page(page, gzip);
    longest = std::max(longest, last.longest_step);
  }
  bench.counters["bytes"] = static_cast<double>(last.bytes);
  bench.counters["longest_step_us"] = longest * 1e6;
}

void BM_PageByDefault(benchmark::State& bench) {
  measure(bench, MetricsEndpoints::kAnnotated, Scrape::Page::kMetrics);
}
void BM_PageWithAllEndpoints(benchmark::State& bench) {
  measure(bench, MetricsEndpoints::kAll, Scrape::Page::kMetrics);
}
void BM_PageOfEndpoints(benchmark::State& bench) {
  measure(bench, MetricsEndpoints::kAnnotated, Scrape::Page::kEndpoints);
}

// Services, gzip. One size after the other, because the node is built once for each.
void sizes(benchmark::internal::Benchmark* bench, int services) {
  bench->Args({services, 0})->Args({services, 1})->Unit(benchmark::kMillisecond);
}
void thousand(benchmark::internal::Benchmark* bench) { sizes(bench, 1000); }
void ten_thousand(benchmark::internal::Benchmark* bench) { sizes(bench, 10000); }
BENCHMARK(BM_PageByDefault)->Apply(thousand);
BENCHMARK(BM_PageWithAllEndpoints)->Apply(thousand);
BENCHMARK(BM_PageOfEndpoints)->Apply(thousand);
BENCHMARK(BM_PageByDefault)->Apply(ten_thousand);
BENCHMARK(BM_PageWithAllEndpoints)->Apply(ten_thousand);
BENCHMARK(BM_PageOfEndpoints)->Apply(ten_thousand);

}  // namespace
