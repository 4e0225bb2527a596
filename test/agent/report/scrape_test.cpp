// SPDX-License-Identifier: Apache-2.0
#include "agent/report/scrape.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/report/report_fixture.hpp"

namespace agent {
namespace {

namespace asio = boost::asio;
using namespace agent::test;

// Cannot be read while `refuses` is set.
struct UnreadableKernel : fake::FakeKernel {
  bool refuses = false;
  ipvs::Result<std::vector<ipvs::ServerReading>> read_servers(
      std::span<const ipvs::ServerKey> keys) override {
    if (refuses) return ipvs::KernelError{ENOBUFS, "reading virtual servers (GET_SERVICE)"};
    dumped += keys.size();
    return FakeKernel::read_servers(keys);
  }
  ipvs::Result<std::vector<ipvs::ServerReading>> read_counters(
      std::span<const ipvs::ServerKey> keys) override {
    if (refuses) return ipvs::KernelError{ENOBUFS, "reading virtual servers (GET_SERVICE)"};
    return FakeKernel::read_counters(keys);
  }
  std::size_t dumped = 0;  // virtual servers read with their destinations
};

// Has counted something of one kind.
struct CountingSource : k8s::Source {
  k8s::KindCounters pods{.kind = "Pod", .lists = 2, .relists = 1, .watches = 3, .events = 40};
  asio::awaitable<void> run() override { co_return; }
  std::vector<k8s::KindCounters> counters() const override { return {pods}; }
};

class ScrapeFixture : public ReportFixture {
 public:
  ScrapeFixture() {
    cluster.sinks().services->upsert(make_service("web", {"10.96.0.1"}));
    cluster.sinks().pods->upsert(make_pod("web-1", {"10.244.0.1"}));
  }

  std::string page(Scrape::Page which = Scrape::Page::kMetrics) {
    std::string text;
    bool done = false;
    const BodyWriter write = [&](std::string_view piece) { return add(text, piece); };
    asio::co_spawn(context, scrape.write(which, write), [&](std::exception_ptr error) {
      done = true;
      if (error) std::rethrow_exception(error);
    });
    while (!done) {
      if (context.stopped()) context.restart();
      context.run_one();
    }
    return text;
  }

  UnreadableKernel readable;
  CountingSource source;
  NodeDigest digest{config, source, sync, reporter};
  Scrape scrape{readable,   thread,     cluster, sync,   reporter, conditions,
                forwarding, kube_proxy, source,  digest, metrics};

 private:
  static asio::awaitable<void> add(std::string& text, std::string_view piece) {
    text += piece;
    co_return;
  }
};

const std::string kService =
    "kube_ipvs_service_connections_total"
    "{namespace=\"default\",service=\"web\",port=\"80\",protocol=\"TCP\"} 0";

}  // namespace

TEST_CASE_METHOD(ScrapeFixture, "the page has the agent's own metrics and a line for each port") {
  const std::string text = page();
  CHECK(text.find("kube_ipvs_services 1\n") != std::string::npos);
  CHECK(text.find("kube_ipvs_pods 1\n") != std::string::npos);
  CHECK(text.find(kService) != std::string::npos);
}

TEST_CASE_METHOD(ScrapeFixture, "the page says when a sync was last queued") {
  const std::string never = "last_queued_timestamp_seconds{ip_family=\"IPv6\"} 0\n";
  CHECK(page().find(never) != std::string::npos);
  sync.mark_dirty("default/web");
  CHECK(page().find(never) == std::string::npos);
}

TEST_CASE_METHOD(ScrapeFixture,
                 "the page has what the source counted, and counters never decrease") {
  const std::string before = page();
  CHECK(before.find("kube_ipvs_source_relists_total{kind=\"Pod\"} 1\n") != std::string::npos);
  CHECK(before.find("kube_ipvs_source_events_total{kind=\"Pod\"} 40\n") != std::string::npos);
  source.pods.events = 41;
  CHECK(page().find("kube_ipvs_source_events_total{kind=\"Pod\"} 41\n") != std::string::npos);
}

TEST_CASE_METHOD(ScrapeFixture, "what the kernel does not let us read is left out of the page") {
  readable.refuses = true;
  const std::string text = page();
  CHECK(text.find("kube_ipvs_services 1\n") != std::string::npos);
  CHECK(text.find(kService) == std::string::npos);
}

namespace {

const std::string kEndpoint =
    "kube_ipvs_endpoint_weight{namespace=\"default\",service=\"web\",port=\"80\",protocol=\"TCP\","
    "endpoint=\"10.244.0.1:8080\",pod=\"web-1\"} ";

// With a loop that has programmed the Services.
class TrafficFixture : public ScrapeFixture {
 public:
  TrafficFixture() {
    sync.sources_ready();
    asio::co_spawn(
        context, sync.run(),
        asio::bind_cancellation_slot(stop_.slot(), [this](std::exception_ptr) { ended_ = true; }));
    program({"web"});
  }
  ~TrafficFixture() {
    stop_.emit(asio::cancellation_type::terminal);
    until([this] { return ended_; });
  }
  TrafficFixture(const TrafficFixture&) = delete;
  TrafficFixture& operator=(const TrafficFixture&) = delete;

  void add(const std::string& name, const std::string& vip, const k8s::Labels& annotations = {}) {
    k8s::Service service = make_service(name, {vip});
    service.meta.annotations = annotations;
    cluster.sinks().services->upsert(service);
  }
  void program(const std::vector<std::string>& names) {
    for (const std::string& name : names) sync.mark_dirty("default/" + name);
    until([this] { return sync.complete() && !sync.unpassed_since(); });
    readable.servers = kernel.servers;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

 private:
  template <typename Condition>
  void until(Condition condition) {
    while (!condition()) {
      if (context.stopped()) context.restart();
      context.run_one();
    }
  }
  asio::cancellation_signal stop_;
  bool ended_ = false;
};

}  // namespace

TEST_CASE_METHOD(
    TrafficFixture,
    "by default the page has endpoints only of Services that ask for it, and reads no others") {
  CHECK_FALSE(has(page(), "kube_ipvs_endpoint_weight"));
  CHECK(readable.dumped == 0);
  add("web", "10.96.0.1", {{"kube-ipvs.io/metrics", "endpoints"}});
  add("api", "10.96.0.2", {{"kube-ipvs.io/metrics", "yes"}});
  program({"api"});
  const std::string text = page();
  CHECK(has(text, kEndpoint));
  CHECK_FALSE(has(text, "kube_ipvs_endpoint_weight{namespace=\"default\",service=\"api\""));
  CHECK(has(text, "kube_ipvs_service_connections_total{namespace=\"default\",service=\"api\""));
  CHECK(readable.dumped == 1);
}

TEST_CASE_METHOD(TrafficFixture,
                 "the flag --metrics-endpoints=off and all go before the annotation") {
  add("web", "10.96.0.1", {{"kube-ipvs.io/metrics", "endpoints"}});
  config.metrics_endpoints = config::MetricsEndpoints::kOff;
  CHECK_FALSE(has(page(), "kube_ipvs_endpoint_weight"));
  config.metrics_endpoints = config::MetricsEndpoints::kAll;
  add("api", "10.96.0.2");
  program({"api"});
  const std::string text = page();
  CHECK(has(text, kEndpoint));
  CHECK(has(text, "kube_ipvs_endpoint_weight{namespace=\"default\",service=\"api\""));
}

TEST_CASE_METHOD(
    TrafficFixture,
    "the page of endpoints has those of every Service whatever the flag says, and nothing else") {
  config.metrics_endpoints = config::MetricsEndpoints::kOff;
  const std::string text = page(Scrape::Page::kEndpoints);
  CHECK(has(text, kEndpoint));
  CHECK_FALSE(has(text, "kube_ipvs_service_"));
  CHECK_FALSE(has(text, "process_"));
}

TEST_CASE_METHOD(TrafficFixture, "thousands of ports are on the page, each once") {
  for (int n = 0; n < 1000; ++n) {
    add("s-" + std::to_string(n),
        "10.97." + std::to_string(n / 250) + "." + std::to_string(n % 250));
  }
  const std::string text = page();
  std::size_t lines = 0;
  const std::string name = "\nkube_ipvs_service_bytes_in_total{";
  for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) ++lines;
  CHECK(lines == 1001);
}

}  // namespace agent
