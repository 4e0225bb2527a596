// SPDX-License-Identifier: Apache-2.0
//
// Answers to questions: their size, what they cost, and the longest step of the event loop while one
// is made. The fake kernel answers from memory.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <memory>
#include <string>
#include <utility>

#include "agent/answers/answers.hpp"
#include "test/bench/bench_node.hpp"

namespace {

using namespace agent;
using namespace agent::test;

class AskedNode : public BenchNode {
 public:
  AskedNode(int service_count, int pods_each) : BenchNode(service_count, pods_each) {}

  Cost services(bool with_endpoints) {
    return send([this, with_endpoints](BodyWriter write) {
      return answers_.services().write(service_query({}), with_endpoints, std::move(write));
    });
  }
  Cost explain(const std::string& to) {
    return send([this, to](BodyWriter write) -> asio::awaitable<void> {
      const QuestionText text{.to = to};
      co_await write(boost::json::serialize(answers_.explain(*parse_question(text))));
    });
  }
  Cost table_at(const std::string& service) {
    return send([this, service](BodyWriter write) {
      return answers_.history().write_table(service, 1, std::move(write));
    });
  }
  Cost vips() {
    return send([this](BodyWriter write) { return answers_.write_vips(std::move(write)); });
  }

 private:
  HistoryRecorder history_{std::string(), [] { return UnixMilliseconds{1}; }};
  Answers answers_{{.config = config,
                    .kernel = kernel,
                    .thread = thread,
                    .cluster = cluster,
                    .sync = sync,
                    .reporter = reporter,
                    .health = health,
                    .conditions = conditions,
                    .forwarding = forwarding,
                    .kube_proxy = kube_proxy,
                    .source = source,
                    .history = history_,
                    .digest = digest,
                    .source_name = "a benchmark"}};
};

AskedNode& node_with(int services, int pods_each) {
  static std::unique_ptr<AskedNode> node;
  static std::pair<int, int> has;
  if (has != std::pair(services, pods_each)) {
    node.reset();
    node = std::make_unique<AskedNode>(services, pods_each);
    has = {services, pods_each};
  }
  return *node;
}

template <typename Ask>
void measure(benchmark::State& bench, Ask ask) {
  AskedNode& node = node_with(static_cast<int>(bench.range(0)), static_cast<int>(bench.range(1)));
  BenchNode::Cost last = ask(node);
  // The least of all runs: whatever interrupts this thread is counted as its own time.
  double longest = last.longest_step;
  for (auto _ : bench) {
    last = ask(node);
    longest = std::min(longest, last.longest_step);
  }
  bench.counters["bytes"] = static_cast<double>(last.bytes);
  bench.counters["longest_step_us"] = longest * 1e6;
}

void BM_Services(benchmark::State& bench) {
  measure(bench, [](AskedNode& node) { return node.services(false); });
}
void BM_Endpoints(benchmark::State& bench) {
  measure(bench, [](AskedNode& node) { return node.services(true); });
}
void BM_Explain(benchmark::State& bench) {
  measure(bench, [](AskedNode& node) { return node.explain("default/web-0"); });
}
void BM_TableAt(benchmark::State& bench) {
  measure(bench, [](AskedNode& node) { return node.table_at("default/web-0"); });
}
void BM_Vips(benchmark::State& bench) {
  measure(bench, [](AskedNode& node) { return node.vips(); });
}

void thousand_of_ten(benchmark::internal::Benchmark* bench) {
  bench->Args({1000, 10})->Unit(benchmark::kMillisecond);
}
void one_of_five_thousand(benchmark::internal::Benchmark* bench) {
  bench->Args({1, 5000})->Unit(benchmark::kMillisecond);
}
void ten_thousand_of_ten(benchmark::internal::Benchmark* bench) {
  bench->Args({10000, 10})->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_Services)->Apply(thousand_of_ten);
BENCHMARK(BM_Endpoints)->Apply(thousand_of_ten);
BENCHMARK(BM_Endpoints)->Apply(one_of_five_thousand);
BENCHMARK(BM_Explain)->Apply(one_of_five_thousand);
BENCHMARK(BM_TableAt)->Apply(one_of_five_thousand);
BENCHMARK(BM_Services)->Apply(ten_thousand_of_ten);
BENCHMARK(BM_Endpoints)->Apply(ten_thousand_of_ten);
BENCHMARK(BM_Vips)->Apply(ten_thousand_of_ten);

}  // namespace
