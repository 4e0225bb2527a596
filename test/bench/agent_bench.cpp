// SPDX-License-Identifier: Apache-2.0
//
// The cost of deciding, from an event of the cluster to the operations for the kernel. Without the
// kernel's part, which test/bench/kernel measures.
//
// Every Service has ten Pods, or as many as the benchmark says, on this node and others, and one
// virtual server.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/cluster_state.hpp"
#include "agent/decide/reconciler.hpp"
#include "agent/report/traffic_history.hpp"
#include "agent/report/traffic_metrics.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using ipvs::Owner;

constexpr int kPodsOfService = 10;

std::string name_of(int service) { return "web-" + std::to_string(service); }

k8s::Address address_of(std::uint32_t first, int n) {
  return boost::asio::ip::address_v4(first + static_cast<std::uint32_t>(n));
}

k8s::Service service_number(int n) {
  k8s::Service service = make_service(name_of(n), {});
  service.cluster_ips = {address_of(0x0A600001, n)};
  service.selector = {{"app", name_of(n)}, {"part-of", "shop"}};
  return service;
}

k8s::Pod pod_number(int service, int n, int of_each = kPodsOfService) {
  k8s::Pod pod = make_pod(
      name_of(service) + "-" + std::to_string(n), {},
      {{"app", name_of(service)}, {"part-of", "shop"}, {"pod-template-hash", "6d4cf56db6"}});
  pod.pod_ips = {address_of(0x0AF40000, service * of_each + n)};
  if (n % 3 != 0) pod.node_name = kOtherNode;
  return pod;
}

// A cluster of `services` Services, and the state of an agent that knows it.
struct World : agent::ClusterObserver {
  std::set<Owner> dirty;
  config::Config config;
  std::unique_ptr<agent::ClusterState> state;
  agent::Reconciler reconciler;

  explicit World(int services, int pods_of_each = kPodsOfService) {
    config.node_name = kThisNode;
    state = std::make_unique<agent::ClusterState>(config, *this,
                                                  agent::Clocks{.monotonic = [] { return 0; }});
    for (int s = 0; s < services; ++s) {
      state->sinks().services->upsert(service_number(s));
      for (int p = 0; p < pods_of_each; ++p) {
        state->sinks().pods->upsert(pod_number(s, p, pods_of_each));
      }
    }
  }

  void on_dirty(const Owner& service) override { dirty.insert(service); }

  // As the sync loop does it.
  ipvs::Changes plan_and_diff() {
    while (!dirty.empty()) {
      const Owner owner = *dirty.begin();
      dirty.erase(dirty.begin());
      auto wanted = state->plan(owner);
      reconciler.set_plan(owner, wanted->since, std::move(wanted->plan));
    }
    return reconciler.next_changes({});
  }
  // The kernel did all of it.
  void enter(const ipvs::Changes& changes) {
    ipvs::Outcome outcome;
    const auto done = [](const auto& ops) { return std::vector<int>(ops.size(), 0); };
    outcome.protect = done(changes.protect);
    outcome.create = done(changes.create);
    outcome.fill = done(changes.fill);
    outcome.bind = done(changes.bind);
    outcome.release = done(changes.release);
    outcome.unbind = done(changes.unbind);
    outcome.dismantle = done(changes.dismantle);
    outcome.unprotect = done(changes.unprotect);
    reconciler.record(changes, outcome);
  }
};

// One Pod that becomes ready and unready: finding its Services.
void BM_PodEvent(benchmark::State& bench) {
  World world(static_cast<int>(bench.range(0)));
  k8s::Sink<k8s::Pod>& pods = *world.state->sinks().pods;
  k8s::Pod pod = pod_number(7, 3);
  world.dirty.clear();
  for (auto _ : bench) {
    pod.ready = !pod.ready;
    pods.upsert(pod);
    benchmark::DoNotOptimize(world.dirty.size());
    world.dirty.clear();
  }
}
BENCHMARK(BM_PodEvent)->Arg(100)->Arg(10000);

// Everything at the start: all Services planned and compared with an empty kernel.
void BM_PlanFromNothing(benchmark::State& bench) {
  const int services = static_cast<int>(bench.range(0));
  World world(services);
  const std::set<Owner> all = world.dirty;
  for (auto _ : bench) {
    bench.PauseTiming();
    world.dirty = all;
    world.reconciler = agent::Reconciler{};
    bench.ResumeTiming();
    ipvs::Changes changes = world.plan_and_diff();
    bench.PauseTiming();
    if (changes.fill.size() != static_cast<std::size_t>(services * kPodsOfService)) {
      bench.SkipWithError("not everything was planned");
    }
    changes = {};
    bench.ResumeTiming();
  }
  bench.SetItemsProcessed(bench.iterations() * services);
}
BENCHMARK(BM_PlanFromNothing)->Arg(100)->Arg(10000)->Unit(benchmark::kMillisecond);

// One endpoint moves to another address: from the event's Service to the operations.
void move_one_endpoint(benchmark::State& bench, World& world, k8s::Pod pod) {
  world.enter(world.plan_and_diff());
  k8s::Sink<k8s::Pod>& pods = *world.state->sinks().pods;
  const k8s::Address home = pod.pod_ips[0];
  const k8s::Address away = address_of(0x0AF40000, 1 << 20);
  for (auto _ : bench) {
    bench.PauseTiming();
    pod.pod_ips[0] = pod.pod_ips[0] == home ? away : home;
    pods.upsert(pod);
    bench.ResumeTiming();
    const ipvs::Changes changes = world.plan_and_diff();
    bench.PauseTiming();
    if (changes.fill.size() != 1 || changes.release.size() != 1) {
      bench.SkipWithError("not two operations");
    }
    world.enter(changes);
    bench.ResumeTiming();
  }
}

void BM_OneEndpoint(benchmark::State& bench) {
  World world(static_cast<int>(bench.range(0)));
  move_one_endpoint(bench, world, pod_number(7, 3));
}
BENCHMARK(BM_OneEndpoint)->Arg(100)->Arg(10000)->Unit(benchmark::kMicrosecond);

// The same in a Service with that many Pods.
void BM_OneEndpointOfMany(benchmark::State& bench) {
  const int pods = static_cast<int>(bench.range(0));
  World world(1, pods);
  move_one_endpoint(bench, world, pod_number(0, 3, pods));
}
BENCHMARK(BM_OneEndpointOfMany)->Arg(10)->Arg(500)->Arg(5000)->Unit(benchmark::kMicrosecond);

boost::asio::awaitable<void> take(std::size_t& bytes, std::string_view piece) {
  bytes += piece.size();
  co_return;
}

std::vector<ipvs::ServerReading> readings_of(int services) {
  std::vector<ipvs::ServerReading> readings;
  for (int s = 0; s < services; ++s) {
    ipvs::ServerReading reading{.settings = {.key = {address_of(0x0A600001, s), 80}}};
    for (int p = 0; p < kPodsOfService; ++p) {
      reading.destinations.push_back(
          {.destination = {.endpoint = {address_of(0x0AF40000, s * kPodsOfService + p), 8080}},
           .counters = {.connections = 12345, .packets_in = 123456, .bytes_in = 1234567890}});
    }
    readings.push_back(std::move(reading));
  }
  return readings;
}

double heap_kilobytes() {
  const auto info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd) / 1024;
}

// The page of a scrape, from given readings: everything except reading the kernel.
void BM_TrafficPage(benchmark::State& bench) {
  const auto readings = readings_of(static_cast<int>(bench.range(0)));
  std::size_t bytes = 0;
  const agent::TextWriter write = [&](std::string_view piece) { return take(bytes, piece); };
  const agent::PodName pod_name = [](const ipvs::Address&) -> std::string_view {
    return "web-6d4cf56db6-x2x7k";
  };
  agent::TrafficHistory history;
  double page_kilobytes = 0;
  double history_kilobytes = 0;
  for (auto _ : bench) {
    const double before = heap_kilobytes();
    agent::TrafficPage page;
    const auto scrape = history.start_scrape();
    for (std::size_t s = 0; s < readings.size(); ++s) {
      agent::PortTraffic port{
          .ns = "default", .service = name_of(static_cast<int>(s)), .port = "http"};
      agent::add_reading(port, readings[s], pod_name);
      history.carry_on(scrape, port, {&readings[s]}, {});
      page.add(port);
    }
    history.finish_scrape(scrape);
    page_kilobytes = heap_kilobytes() - before;
    if (scrape == 1) history_kilobytes = page_kilobytes;
    boost::asio::io_context context;
    boost::asio::co_spawn(context, page.write(write), [](std::exception_ptr) {});
    context.run();
  }
  bench.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  bench.counters["page_KB"] = page_kilobytes;
  bench.counters["history_KB"] = history_kilobytes - page_kilobytes;
}
BENCHMARK(BM_TrafficPage)->Arg(1000)->Unit(benchmark::kMillisecond);

// The text of that page only.
void BM_TrafficText(benchmark::State& bench) {
  agent::TrafficPage page;
  const agent::PodName pod_name = [](const ipvs::Address&) -> std::string_view {
    return "web-6d4cf56db6-x2x7k";
  };
  for (const ipvs::ServerReading& reading : readings_of(static_cast<int>(bench.range(0)))) {
    agent::PortTraffic port{
        .ns = "default", .service = reading.settings.key.text(), .port = "http"};
    agent::add_reading(port, reading, pod_name);
    page.add(port);
  }
  std::size_t bytes = 0;
  const agent::TextWriter write = [&](std::string_view piece) { return take(bytes, piece); };
  for (auto _ : bench) {
    boost::asio::io_context context;
    boost::asio::co_spawn(context, page.write(write), [](std::exception_ptr) {});
    context.run();
  }
  bench.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(BM_TrafficText)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
