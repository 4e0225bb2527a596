// SPDX-License-Identifier: Apache-2.0
//
// The whole agent, whose connections are observed through its unix socket.
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "agent/answers/observations.hpp"
#include "agent/ask/fields.hpp"
#include "agent/ask/request.hpp"
#include "test/agent/app_fixture.hpp"
#include "test/fake/temporary_folder.hpp"

namespace {

namespace json = boost::json;
using namespace agent::test;
using namespace std::chrono_literals;
using agent::count_of;
using agent::Reply;
using agent::text_of;
using ipvs::FlowEvent;
using Kind = FlowEvent::Kind;
using local = asio::local::stream_protocol;

// `kube-ipvs observe` without its screen.
class Watcher {
 public:
  Watcher(const std::string& socket, const std::string& query)
      : reply_(std::async(std::launch::async, [this, socket, query] {
          return agent::Asker(socket).get_lines("/v1/observe" + query, [this](const auto& line) {
            const std::lock_guard lock(mutex_);
            lines_.push_back(json::parse(line));
          });
        })) {}

  std::vector<json::value> lines(std::string_view type = {}) {
    const std::lock_guard lock(mutex_);
    std::vector<json::value> some;
    for (const json::value& each : lines_) {
      if (type.empty() || text_of(each, "type") == type) some.push_back(each);
    }
    return some;
  }
  bool is_over() { return reply_.wait_for(0s) == std::future_status::ready; }
  Reply reply() { return reply_.get(); }

 private:
  std::mutex mutex_;
  std::vector<json::value> lines_;
  std::future<Reply> reply_;
};

class ObserveFixture : public AppFixture {
 public:
  ObserveFixture() {
    config.run_dir = folder.path();
    config.api_socket = socket();
    start_with({make_service("web", {"10.96.0.1"}), make_service("db", {"10.96.0.2"})},
               {make_pod("web-1", {"10.244.0.1"}), make_pod("client", {"10.244.0.9"})});
  }
  ~ObserveFixture() { end(); }

  std::string socket() const { return folder.path() + "/api.sock"; }
  void await_start(Watcher& watcher) {
    until("it has begun", [&] { return !watcher.lines("start").empty(); });
  }
  // A connection of 10.244.0.9 with that port.
  FlowEvent event(Kind kind, std::uint16_t port, const std::string& client = "10.244.0.9") const {
    return {.kind = kind,
            .key = {.protocol = ipvs::Protocol::kTcp,
                    .client = {ip(client), port},
                    .entrance = {ip("10.96.0.1"), 80}},
            .endpoint = {ip("10.244.0.1"), 8080}};
  }

  const fake::TemporaryFolder folder;
};

}  // namespace

TEST_CASE_METHOD(ObserveFixture, "a connection is shown as it begins and ends, with both Pods") {
  Watcher watcher(socket(), "?name=web");
  await_start(watcher);
  kernel.bytes_of_clients[{ip("10.244.0.9"), 40000}] = {.in = 1474, .out = 90210};
  kernel.happen(event(Kind::kNew, 40000));
  until("it is shown", [&] { return watcher.lines("new").size() == 1; });
  const json::value begun = watcher.lines("new")[0];
  CHECK(text_of(begun, "client") == "10.244.0.9:40000");
  CHECK(text_of(begun, "clientName") == "default/client");
  CHECK(text_of(begun, "entrance") == "10.96.0.1:80");
  CHECK(text_of(begun, "endpoint") == "10.244.0.1:8080");
  CHECK(text_of(begun, "endpointPod") == "default/web-1");
  kernel.happen(event(Kind::kClosed, 40000));
  kernel.happen(event(Kind::kDeleted, 40000));
  until("its end is shown", [&] { return watcher.lines("ended").size() == 1; });
  const json::value ended = watcher.lines("ended")[0];
  CHECK(count_of(ended, "bytesIn") == 1474);
  CHECK(count_of(ended, "bytesOut") == 90210);
  CHECK(agent::number_of(ended, "seconds") > 0);
  CHECK(text_of(ended, "how") == "closed");
  const json::value start = watcher.lines("start")[0];
  CHECK(text_of(start, "service") == "default/web");
  CHECK(text_of(agent::list_of(start, "entrances").at(0), "address") == "10.96.0.1:80");
  stop();
  until("the agent's end ends it", [&] { return watcher.is_over(); });
}

TEST_CASE_METHOD(ObserveFixture, "only the Service that was asked for is observed") {
  Watcher watcher(socket(), "?name=default/db");
  await_start(watcher);
  kernel.happen(event(Kind::kNew, 40000));
  FlowEvent other = event(Kind::kNew, 40001);
  other.key.entrance.address = ip("10.96.0.2");
  kernel.happen(other);
  until("it is shown", [&] { return !watcher.lines("new").empty(); });
  CHECK(watcher.lines("new").size() == 1);
  CHECK(text_of(watcher.lines("new")[0], "entrance") == "10.96.0.2:80");
  stop();
}

TEST_CASE_METHOD(ObserveFixture, "nothing is open in the kernel while nobody observes") {
  CHECK(kernel.open_observers() == 0);
  {
    Watcher watcher(socket(), "?name=web&for=1");
    await_start(watcher);
    CHECK(kernel.open_observers() == 1);
    until("its time is over", [&] { return watcher.is_over(); });
    REQUIRE(watcher.lines("end").size() == 1);
    CHECK(text_of(watcher.lines("end")[0], "why") == "its time is over");
    CHECK(watcher.reply().status == 200);
  }
  until("it is closed", [&] { return kernel.open_observers() == 0; });
  CHECK(log.count("Connections are observed") == 1);
  CHECK(log.count("Connections are not observed any more") == 1);
}

TEST_CASE_METHOD(ObserveFixture, "a client that goes away ends its observation at once") {
  asio::io_context context;
  {
    local::socket client(context);
    client.connect(local::endpoint(socket()));
    asio::write(client,
                asio::buffer(std::string("GET /v1/observe?name=web HTTP/1.1\r\nHost: x\r\n\r\n")));
    until("it is open", [&] { return kernel.open_observers() == 1; });
  }
  const auto gone = std::chrono::steady_clock::now();
  until("it is closed", [&] { return kernel.open_observers() == 0; });
  CHECK(std::chrono::steady_clock::now() - gone < 900ms);  // not with the next second's tick
}

TEST_CASE_METHOD(ObserveFixture, "two observations are enough, and neither limits the other") {
  {
    Watcher first(socket(), "?name=web&for=2"), second(socket(), "?name=db&for=2");
    await_start(first);
    await_start(second);
    REQUIRE(!kernel.allowed_only_these.empty());
    CHECK_FALSE(kernel.allowed_only_these.back());
    Watcher third(socket(), "?name=web");
    until("it is answered", [&] { return third.is_over(); });
    const Reply refused = third.reply();
    CHECK(refused.status == 503);
    CHECK(refused.body.find("two observations are under way") != std::string::npos);
    until("they end", [&] { return first.is_over() && second.is_over(); });
  }
  until("all are closed", [&] { return kernel.open_observers() == 0; });
}

TEST_CASE_METHOD(ObserveFixture, "what cannot be known is said at the beginning") {
  kernel.flow_facts = {.limit = ipvs::EventLimit::kFiltered,
                       .why = "net/netfilter/nf_conntrack_events is 1",
                       .counts_bytes = false};
  Watcher watcher(socket(), "?name=web&for=1");
  await_start(watcher);
  const json::value start = watcher.lines("start")[0];
  const json::array& notes = agent::list_of(start, "notes");
  REQUIRE(notes.size() == 2);
  CHECK(notes[0] == "bytes are not counted here: net.netfilter.nf_conntrack_acct is 0");
  CHECK(std::string(notes[1].as_string()).ends_with(": net/netfilter/nf_conntrack_events is 1"));
  until("its time is over", [&] { return watcher.is_over(); });
}

TEST_CASE_METHOD(ObserveFixture, "a kernel that reports no connections is a clear error") {
  kernel.observer_fault = "this kernel has no events of connection tracking";
  Watcher watcher(socket(), "?name=web");
  until("it is answered", [&] { return watcher.is_over(); });
  const Reply refused = watcher.reply();
  CHECK(refused.status == 503);
  CHECK(refused.body.find("no events of connection tracking") != std::string::npos);
  CHECK(kernel.open_observers() == 0);
}

TEST_CASE_METHOD(ObserveFixture, "at a high rate a sample is shown, with the rate") {
  Watcher watcher(socket(), "?name=web&rate=10&for=3");
  await_start(watcher);
  for (std::uint16_t port = 1; port <= 2'000; ++port) kernel.happen(event(Kind::kNew, port));
  until("the rate is told", [&] { return !watcher.lines("rate").empty(); });
  const json::value rate = watcher.lines("rate")[0];
  CHECK(count_of(rate, "new") == 2'000);
  CHECK(count_of(rate, "oneOf") > 1);
  CHECK(watcher.lines("new").size() < 200);
  CHECK(!watcher.lines("new").empty());
  until("its time is over", [&] { return watcher.is_over(); });
}

TEST_CASE_METHOD(ObserveFixture, "events that the kernel lost are told") {
  Watcher watcher(socket(), "?name=web&for=1");
  await_start(watcher);
  kernel.lose_flow_events();
  until("it is told", [&] { return watcher.lines("lost").size() == 1; });
  until("its time is over", [&] { return watcher.is_over(); });
}

TEST_CASE_METHOD(ObserveFixture,
                 "the end of the Service ends the observation, and new ports do not") {
  Watcher watcher(socket(), "?name=web");
  await_start(watcher);
  k8s::Service service = make_service("web", {"10.96.0.7"});
  source->sinks.services->upsert(service);
  FlowEvent moved = event(Kind::kNew, 40000);
  moved.key.entrance.address = ip("10.96.0.7");
  until("the new address is observed", [&] {
    kernel.happen(moved);
    return !watcher.lines("new").empty();
  });
  source->sinks.services->remove(service.meta.key);
  until("it is over", [&] { return watcher.is_over(); });
  REQUIRE(watcher.lines("end").size() == 1);
  CHECK(text_of(watcher.lines("end")[0], "why") == "the Service is not served here any more");
}

TEST_CASE_METHOD(ObserveFixture, "clients that share a host's address are not named after a Pod") {
  k8s::Pod pod = make_pod("daemon", {"192.168.1.2"});
  pod.host_network = true;
  source->sinks.pods->upsert(pod);
  Watcher watcher(socket(), "?name=web&for=2");
  await_start(watcher);
  kernel.happen(event(Kind::kNew, 1, "192.168.1.2"));
  kernel.happen(event(Kind::kNew, 2, "192.168.1.1"));
  kernel.happen(event(Kind::kNew, 3, "10.96.0.1"));
  until("they are shown", [&] { return watcher.lines("new").size() == 3; });
  CHECK(text_of(watcher.lines("new")[0], "clientName").empty());
  CHECK(text_of(watcher.lines("new")[1], "clientName") == "this node");
  CHECK(text_of(watcher.lines("new")[2], "clientName") == "this node");
  until("its time is over", [&] { return watcher.is_over(); });
}

TEST_CASE_METHOD(ObserveFixture, "a wrong request for an observation names what is wrong") {
  struct Wrong {
    const char* query;
    int status;
    const char* says;
  };
  const Wrong all[] = {{"", 400, "name is missing"},
                       {"?name=nothing", 404, "there is no Service default/nothing"},
                       {"?name=web&namespace=other", 404, "there is no Service other/web"},
                       {"?name=a/web&namespace=b", 400, "is in another namespace"},
                       {"?name=web&for=0", 400, "for \\\"0\\\" is not a number from 1 to 3600"},
                       {"?name=web&for=3601", 400, "for"},
                       {"?name=web&rate=0", 400, "rate \\\"0\\\" is not a number from 1 to 1000"},
                       {"?name=web&rate=many", 400, "rate"},
                       {"?name=web&names=x", 400, "those that are: namespace, name, for, rate"}};
  for (const Wrong& each : all) {
    Watcher watcher(socket(), each.query);
    until("it is answered", [&] { return watcher.is_over(); });
    const Reply reply = watcher.reply();
    INFO(each.query << ": " << reply.body);
    CHECK(reply.status == each.status);
    CHECK(reply.body.find(each.says) != std::string::npos);
  }
}
