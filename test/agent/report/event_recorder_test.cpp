// SPDX-License-Identifier: Apache-2.0
#include "agent/report/event_recorder.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent/report/once_per_service.hpp"
#include "test/fake/api_server.hpp"
#include "test/fake/api_store.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using agent::EventRecorder;
using agent::Subject;
using std::chrono::milliseconds;
using Result = EventRecorder::Result;

Subject web(const std::string& name = "web") {
  k8s::Service service;
  service.meta.key = {.ns = "shop", .name = name};
  service.meta.uid = "6f1c";
  service.meta.resource_version = "42";
  return agent::subject_of(service);
}

std::string text(const boost::json::value& object, const char* field) {
  return std::string(object.at(field).as_string());
}

// A recorder that posts to a fake API server; waits take no time and are recorded.
struct Bench {
  explicit Bench(bool with_client = true)
      : server(io.get_executor()),
        client(io.get_executor(), server.access()),
        recorder(io.get_executor(), with_client ? &client : nullptr, options()) {}
  ~Bench() { stop(); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  EventRecorder::Options options() {
    return {.node_name = "node-1",
            .on_result = [this](Result result) { results.push_back(result); },
            .on_fault = [this](const std::string& line) { faults.push_back(line); },
            .now = [this] { return std::chrono::steady_clock::time_point() + now; },
            .wall_clock =
                [] {
                  return std::chrono::system_clock::time_point() +
                         std::chrono::microseconds(1'795'334'400'000'123);
                },
            .pause =
                [this](milliseconds length) {
                  pauses.push_back(length);
                  now += length;
                  return milliseconds(0);
                },
            .random = [this] { return ++names; }};
  }
  void start() {
    running = true;
    asio::co_spawn(io, recorder.run(),
                   asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr error) {
                     CHECK_FALSE(error);
                     running = false;
                   }));
  }
  void stop() {
    cancel.emit(asio::cancellation_type::terminal);
    until([this] { return !running; });
  }
  template <typename Condition>
  void until(Condition condition) {
    while (!condition()) {
      if (io.stopped()) io.restart();
      if (io.run_one_for(20s) == 0) throw std::runtime_error("nothing happens any more");
    }
  }
  void until_results(std::size_t count) {
    until([&] { return results.size() >= count; });
    // Runs whatever else follows from that.
    io.poll();
    CHECK(results.size() == count);
  }
  std::size_t count(Result result) const {
    return static_cast<std::size_t>(std::count(results.begin(), results.end(), result));
  }
  boost::json::value posted(std::size_t index) const {
    return boost::json::parse(server.requests().at(index).body);
  }

  asio::io_context io;
  fake::ApiServer server;
  k8s::ApiClient client;
  std::chrono::steady_clock::duration now{};
  std::vector<milliseconds> pauses;
  std::vector<Result> results;
  std::vector<std::string> faults;
  std::uint64_t names = 0;
  EventRecorder recorder;
  asio::cancellation_signal cancel;
  bool running = false;
};

}  // namespace

TEST_CASE("an Event about a Service is posted once, in the form of events.k8s.io/v1", "[events]") {
  Bench bench;
  bench.start();
  bench.recorder.warn(web(), "AddressTaken", "Claim", "it is \"taken\"");
  bench.until_results(1);
  CHECK(bench.results[0] == Result::kPosted);
  REQUIRE(bench.server.requests().size() == 1);
  const fake::SeenRequest& request = bench.server.requests()[0];
  CHECK(request.method == "POST");
  CHECK(request.target == "/apis/events.k8s.io/v1/namespaces/shop/events");
  CHECK(bench.posted(0) == boost::json::parse(R"({
    "apiVersion": "events.k8s.io/v1", "kind": "Event",
    "metadata": {"namespace": "shop", "name": "web.0000000000000001"},
    "eventTime": "2026-11-22T08:00:00.000123Z",
    "reportingController": "kube-ipvs.io/kube-ipvs", "reportingInstance": "node-1",
    "regarding": {"apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "web",
                  "uid": "6f1c", "resourceVersion": "42"},
    "type": "Warning", "reason": "AddressTaken", "action": "Claim",
    "note": "it is \"taken\""})"));
}

TEST_CASE(
    "an Event about the node is created in namespace default, or kube-system on an old server",
    "[events]") {
  const bool old = GENERATE(false, true);
  Bench bench;
  if (old) bench.server.misbehave({.on = "/default/", .times = -1, .status = 422});
  bench.start();
  bench.recorder.note(agent::subject_of_node("node-1"), "Starting", "Start", "kube-ipvs 1");
  bench.until_results(1);
  CHECK(bench.results[0] == Result::kPosted);
  CHECK(bench.faults.empty());
  const std::string ns = old ? "kube-system" : "default";
  CHECK(bench.server.requests().back().target ==
        "/apis/events.k8s.io/v1/namespaces/" + ns + "/events");
  const boost::json::value event = bench.posted(old ? 1 : 0);
  CHECK(text(event.at("metadata"), "namespace") == ns);
  CHECK(text(event, "type") == "Normal");
  CHECK(event.at("regarding") ==
        boost::json::parse(
            R"({"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "node-1"})"));
}

TEST_CASE("an equal Event is posted again only after ten minutes", "[events]") {
  Bench bench;
  bench.start();
  const auto warn_all = [&] {
    bench.recorder.warn(web(), "Reason", "Act", "note");
    bench.recorder.warn(web(), "Reason", "Act", "note");
    bench.recorder.warn(web("other"), "Reason", "Act", "note");
    bench.recorder.warn(web(), "OtherReason", "Act", "note");
    bench.recorder.warn(web(), "Reason", "Act", "other note");
  };
  warn_all();
  bench.until_results(4);
  bench.now += 599s;
  warn_all();
  bench.io.poll();
  CHECK(bench.results.size() == 4);
  bench.now += 1s;
  warn_all();
  bench.until_results(8);
  std::set<std::string> names;
  for (std::size_t i = 0; i < 8; ++i) {
    names.insert(text(bench.posted(i).at("metadata"), "name"));
  }
  CHECK(names.size() == 8);
}

TEST_CASE("a server that refuses all Events is reported once, and not asked again", "[events]") {
  const unsigned status = GENERATE(403u, 404u);
  Bench bench;
  bench.server.misbehave({.times = -1, .status = status, .reason = "Forbidden"});
  bench.start();
  for (int i = 0; i < 3; ++i) bench.recorder.warn(web(), "Reason", "Act", std::to_string(i));
  bench.until_results(3);
  bench.recorder.warn(web(), "Reason", "Act", "one more");
  bench.until_results(4);
  bench.now += 1h;
  bench.recorder.warn(web(), "Reason", "Act", "an hour later");
  bench.until_results(5);
  CHECK(bench.count(Result::kFailed) == 1);
  CHECK(bench.count(Result::kDropped) == 4);
  CHECK(bench.server.requests().size() == 1);
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].find(std::to_string(status) + " Failure") != std::string::npos);
  CHECK(bench.pauses.empty());
}

TEST_CASE("a namespace that is deleted or being deleted refuses one Event, not all of them",
          "[events]") {
  const bool deleted = GENERATE(true, false);
  Bench bench;
  if (deleted) {
    bench.server.misbehave(
        {.status = 404,
         .body = R"({"kind":"Status","message":"namespaces \"shop\" not found","code":404})"});
  } else {
    bench.server.misbehave(
        {.status = 403, .body = R"({"details":{"causes":[{"reason":"NamespaceTerminating"}]}})"});
  }
  bench.start();
  bench.recorder.warn(web(), "Reason", "Act", "first");
  bench.recorder.warn(web(), "Reason", "Act", "second");
  bench.until_results(2);
  CHECK(bench.results == std::vector{Result::kFailed, Result::kPosted});
  CHECK(bench.faults.size() == 1);
}

TEST_CASE("posting to a failing server is tried four times, with the same name", "[events]") {
  const unsigned status = GENERATE(500u, 503u, 429u, 401u);
  const int times = GENERATE(3, 4);
  Bench bench;
  bench.server.misbehave({.times = times, .status = status});
  bench.start();
  bench.recorder.warn(web(), "Reason", "Act", "note");
  bench.until_results(1);
  CHECK(bench.results[0] == (times == 3 ? Result::kPosted : Result::kFailed));
  CHECK(bench.faults.size() == (times == 3 ? 0 : 1));
  CHECK(bench.pauses == std::vector<milliseconds>{1s, 2s, 4s});
  REQUIRE(bench.server.requests().size() == 4);
  for (std::size_t i = 1; i < 4; ++i) CHECK(bench.posted(i) == bench.posted(0));
  bench.recorder.warn(web(), "Reason", "Act", "another note");
  bench.until_results(2);
  CHECK(bench.results[1] == Result::kPosted);
}

TEST_CASE("if the server is down, or its answer is lost or an error, only that Event is affected",
          "[events]") {
  Bench bench;
  SECTION("the server is down") {
    bench.server.stop();
    bench.start();
    bench.recorder.warn(web(), "Reason", "Act", "note");
    bench.until_results(1);
    CHECK(bench.results[0] == Result::kFailed);
    CHECK(bench.faults.at(0).starts_with(
        "Event Reason about Service shop/web is not posted: connect to "));
    bench.server.start();
  }
  SECTION("the answer is lost, and the next try finds the Event there") {
    bench.server.misbehave({.drop_after = 0});
    bench.server.misbehave({.status = 409, .reason = "AlreadyExists"});
    bench.start();
    bench.recorder.warn(web(), "Reason", "Act", "note");
    bench.until_results(1);
    CHECK(bench.results[0] == Result::kPosted);
  }
  SECTION("Retry-After is respected") {
    bench.server.misbehave({.status = 429, .header = "Retry-After: 17"});
    bench.start();
    bench.recorder.warn(web(), "Reason", "Act", "note");
    bench.until_results(1);
    CHECK(bench.pauses == std::vector<milliseconds>{17s});
  }
  SECTION("an Event that the server finds invalid is not retried") {
    bench.server.misbehave({.status = 422, .reason = "Invalid"});
    bench.start();
    bench.recorder.warn(web(), "Reason", "Act", "note");
    bench.until_results(1);
    CHECK(bench.results[0] == Result::kFailed);
    CHECK(bench.server.requests().size() == 1);
  }
}

TEST_CASE("the queue is bounded, and the oldest Events are dropped first", "[events]") {
  Bench bench;
  for (std::size_t i = 0; i < EventRecorder::kMaxQueued + 5; ++i) {
    bench.recorder.warn(web(), "Reason", "Act", std::to_string(i));
  }
  CHECK(bench.count(Result::kDropped) == 5);
  bench.start();
  bench.until_results(5 + EventRecorder::kMaxQueued);
  CHECK(text(bench.posted(0), "note") == "5");
  CHECK(text(bench.posted(EventRecorder::kMaxQueued - 1), "note") == "104");
}

TEST_CASE("25 Events are posted at once, and then one every five seconds", "[events]") {
  Bench bench;
  for (int i = 0; i < 30; ++i) bench.recorder.warn(web(), "Reason", "Act", std::to_string(i));
  bench.start();
  bench.until_results(30);
  CHECK(bench.pauses == std::vector<milliseconds>(5, 5s));
  bench.now += 1h;  // and never more than 25, however long it was quiet
  bench.pauses.clear();
  for (int i = 0; i < 27; ++i) bench.recorder.warn(web(), "Again", "Act", std::to_string(i));
  bench.until_results(57);
  CHECK(bench.pauses == std::vector<milliseconds>(2, 5s));
}

TEST_CASE("texts that are too long for an Event are cut, between two characters", "[events]") {
  Bench bench;
  bench.start();
  Subject subject = agent::subject_of_node(std::string(236, 'a') + ".bc");
  bench.recorder.warn(subject, std::string(200, 'r'), std::string(200, 'a'),
                      std::string(1023, 'n') + "\u00e9 and more");
  bench.until_results(1);
  const boost::json::value event = bench.posted(0);
  CHECK(text(event, "note") == std::string(1023, 'n'));
  CHECK(text(event, "reason") == std::string(128, 'r'));
  CHECK(text(event, "action") == std::string(128, 'a'));
  CHECK(text(event.at("metadata"), "name") == std::string(236, 'a') + ".0000000000000001");
}

TEST_CASE("text of others in an Event is escaped, and then cut (H11)", "[events]") {
  Bench bench;
  bench.start();
  bench.recorder.warn(web(), "Bad\nReason", "Check", "a\nb\x1b[31m\xe2\x80\xae\xff");
  bench.recorder.warn(web(), "Long", "Check", std::string(5000, '\n'));
  bench.until_results(2);
  CHECK(text(bench.posted(0), "note") == R"(a\nb\x1b[31m\xe2\x80\xae\xff)");
  CHECK(text(bench.posted(0), "reason") == R"(Bad\nReason)");
  CHECK(text(bench.posted(1), "note").size() == 1024);
}

TEST_CASE("without an API server a recorder does nothing", "[events]") {
  Bench bench(false);
  bench.start();
  bench.recorder.warn(web(), "Reason", "Act", "note");
  bench.io.poll();
  CHECK(bench.results.empty());
  CHECK(bench.server.connections() == 0);
}

TEST_CASE("a recorder can be stopped at every step, and leaves nothing behind", "[events]") {
  bool done = false;
  for (std::size_t steps = 0; !done; ++steps) {
    Bench bench;
    bench.server.misbehave({.status = 500});
    bench.start();
    bench.recorder.warn(web(), "Reason", "Act", "note");
    for (std::size_t i = 0; i < steps && !done; ++i) {
      bench.io.run_one();
      done = !bench.results.empty();
    }
    bench.stop();
  }
}

TEST_CASE("a repeated warning is reported once, until its Service is deleted", "[once]") {
  agent::OncePerService once;
  CHECK(once.first("a/b", "Reason", "note"));
  CHECK_FALSE(once.first("a/b", "Reason", "note"));
  CHECK(once.first("a/b", "Reason", "other note"));
  CHECK_FALSE(once.first("a/b", "Reason", "note"));
  CHECK(once.first("a/b", "OtherReason", "note"));
  CHECK(once.first("a/c", "Reason", "note"));
  once.forget("a/b");
  CHECK(once.first("a/b", "Reason", "note"));
  CHECK_FALSE(once.first("a/c", "Reason", "note"));
}

TEST_CASE("warnings that never repeat do not fill the memory", "[once]") {
  agent::OncePerService once;
  for (std::size_t i = 0; i < agent::OncePerService::kMost; ++i)
    CHECK(once.first("a/b", "Reason", std::to_string(i)));
  CHECK(once.first("a/b", "Reason", "one more"));
  CHECK_FALSE(once.first("a/b", "Reason", "one more"));
  CHECK(once.first("a/b", "Reason", "0"));  // forgotten with the others
}
