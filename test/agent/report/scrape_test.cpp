// SPDX-License-Identifier: Apache-2.0
#include "agent/report/scrape.hpp"

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <utility>

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
    return FakeKernel::read_servers(keys);
  }
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

  std::string page() {
    std::string text;
    bool done = false;
    asio::co_spawn(context, scrape.write([&](std::string_view piece) { return add(text, piece); }),
                   [&](std::exception_ptr error) {
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
  ForwardGuard forwarding{context.get_executor(),
                          kernel,
                          thread,
                          {.warn = [](const std::string&) {}, .note = [](const std::string&) {}},
                          {}};
  KubeProxyGuard kube_proxy{context.get_executor(),
                            kernel,
                            thread,
                            {},
                            {.left = [](const std::string&) {},
                             .runs = [](const std::string&) {},
                             .note = [](const std::string&) {}},
                            {}};
  CountingSource source;
  Scrape scrape{readable,   thread,     cluster,    sync,   reporter,
                conditions, forwarding, kube_proxy, source, metrics};

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
  CHECK(page().find("last_queued_timestamp_seconds 0\n") != std::string::npos);
  sync.mark_dirty("default/web");
  CHECK(page().find("last_queued_timestamp_seconds 0\n") == std::string::npos);
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

}  // namespace agent
