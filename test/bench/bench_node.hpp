// SPDX-License-Identifier: Apache-2.0
//
// A node that has programmed many Services into a fake kernel, for benchmarks of what answers while it
// runs: what an answer costs, and the longest step of the event loop meanwhile, which is the longest
// that a sync can be kept waiting by it.
#pragma once

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
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/report/scrape.hpp"
#include "test/agent/report/report_fixture.hpp"

namespace agent::test {

namespace asio = boost::asio;

// CPU time of this thread: other processes of the machine do not count.
inline double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct NoSource : k8s::Source {
  asio::awaitable<void> run() override { co_return; }
};

// So many Services with one port and so many Pods each.
class BenchNode : public ReportFixture {
 public:
  BenchNode(int service_count, int pods_each) {
    k8s::Sink<k8s::Service>& known = *cluster.sinks().services;
    k8s::Sink<k8s::Pod>& pods = *cluster.sinks().pods;
    for (int s = 0; s < service_count; ++s) {
      const std::string name = "web-" + std::to_string(s);
      k8s::Service service = make_service(name, {});
      service.cluster_ips = {address(0x0A600001, s)};
      service.selector = {{"app", name}};
      known.upsert(service);
      for (int p = 0; p < pods_each; ++p) {
        k8s::Pod pod = make_pod(name + "-6d4cf56db6-" + std::to_string(p), {}, {{"app", name}});
        pod.pod_ips = {address(0x0AF40000, s * pods_each + p)};
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
  ~BenchNode() {
    stop_.emit(asio::cancellation_type::terminal);
    until([this] { return ended_; });
  }
  BenchNode(const BenchNode&) = delete;
  BenchNode& operator=(const BenchNode&) = delete;

  struct Cost {
    std::size_t bytes = 0;
    double longest_step = 0;  // seconds
  };
  using Body = std::function<asio::awaitable<void>(BodyWriter)>;
  // Sends a whole answer.
  Cost send(const Body& body) {
    Cost cost;
    bool done = false;
    const BodyWriter write = [&](std::string_view piece) { return sent(cost.bytes, piece); };
    asio::co_spawn(context, body(write), [&](std::exception_ptr) { done = true; });
    until([&] { return done; }, &cost.longest_step);
    return cost;
  }

  NoSource source;
  NodeDigest digest{config, source, sync, reporter};

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

  asio::cancellation_signal stop_;
  bool ended_ = false;
};

}  // namespace agent::test
