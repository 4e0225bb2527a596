// SPDX-License-Identifier: Apache-2.0
//
// Pages of metrics: their size, what they cost, and the longest step of the event loop while one is
// made, which is the longest that a sync can be kept waiting by it. Without the kernel's part, which
// test/bench/kernel measures: the fake kernel answers from memory.
//
// Every Service has one port and ten Pods.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "agent/report/content_coding.hpp"
#include "agent/report/scrape.hpp"
#include "test/agent/report/report_fixture.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent;
using namespace agent::test;
using config::MetricsEndpoints;

// CPU time of this thread: other processes of the machine do not count.
double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct NoSource : k8s::Source {
  asio::awaitable<void> run() override { co_return; }
};

// A node that has programmed so many Services.
class Node : public ReportFixture {
 public:
  explicit Node(int services) {
    k8s::Sink<k8s::Service>& known = *cluster.sinks().services;
    k8s::Sink<k8s::Pod>& pods = *cluster.sinks().pods;
    for (int s = 0; s < services; ++s) {
      const std::string name = "web-" + std::to_string(s);
      k8s::Service service = make_service(name, {});
      service.cluster_ips = {address(0x0A600001, s)};
      service.selector = {{"app", name}};
      known.upsert(service);
      for (int p = 0; p < 10; ++p) {
        k8s::Pod pod = make_pod(name + "-6d4cf56db6-" + std::to_string(p), {}, {{"app", name}});
        pod.pod_ips = {address(0x0AF40000, s * 10 + p)};
        pods.upsert(pod);
      }
      sync.mark_dirty("default/" + name);
    }
    sync.sources_ready();
    asio::co_spawn(
        context, sync.run(),
        asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr) { ended_ = true; }));
    until([this] { return sync.complete() && !sync.unpassed_since(); });
  }
  ~Node() {
    stop_.emit(asio::cancellation_type::terminal);
    until([this] { return ended_; });
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  struct Cost {
    std::size_t bytes = 0;
    double longest_step = 0;  // seconds
  };
  Cost page(Scrape::Page which, bool gzip) {
    Cost cost;
    bool done = false;
    const BodyWriter write = [&](std::string_view piece) { return sent(cost.bytes, piece); };
    const auto body = [&](BodyWriter to) { return scrape.write(which, std::move(to)); };
    asio::co_spawn(context, gzip ? stream_gzip(body, write) : body(write),
                   [&](std::exception_ptr) { done = true; });
    until([&] { return done; }, &cost.longest_step);
    return cost;
  }

 private:
  static k8s::Address address(std::uint32_t first, int n) {
    return asio::ip::address_v4(first + static_cast<std::uint32_t>(n));
  }
  // As a socket with space takes it: copied, and the writer goes on in another step.
  static asio::awaitable<void> sent(std::size_t& bytes, std::string_view piece) {
    const std::string copy(piece);
    benchmark::DoNotOptimize(copy.data());
    bytes += copy.size();
    co_await asio::post(asio::use_awaitable);
  }
  template <typename Condition>
  void until(Condition condition, double* longest_step = nullptr) {
    while (!condition()) {
      if (context.stopped()) context.restart();
      const double begin = thread_seconds();
      context.run_one();
      if (longest_step) *longest_step = std::max(*longest_step, thread_seconds() - begin);
    }
  }

  ForwardGuard forwarding_{context.get_executor(),
                           kernel,
                           thread,
                           {.warn = [](const std::string&) {}, .note = [](const std::string&) {}},
                           {}};
  KubeProxyGuard kube_proxy_{context.get_executor(),
                             kernel,
                             thread,
                             {},
                             {.left = [](const std::string&) {},
                              .runs = [](const std::string&) {},
                              .note = [](const std::string&) {}},
                             {}};
  NoSource source_;
  Scrape scrape{kernel,     thread,      cluster,     sync,    reporter,
                conditions, forwarding_, kube_proxy_, source_, metrics};
  asio::cancellation_signal stop_;
  bool ended_ = false;
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
