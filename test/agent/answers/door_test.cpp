// SPDX-License-Identifier: Apache-2.0
//
// The whole agent, asked through its unix socket.
#include "agent/answers/door.hpp"

#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <future>
#include <set>
#include <string>
#include <vector>

#include "agent/ask/fields.hpp"
#include "agent/ask/request.hpp"
#include "agent/ask/screens.hpp"
#include "test/agent/app_fixture.hpp"
#include "test/fake/temporary_folder.hpp"

namespace {

namespace json = boost::json;
using namespace agent::test;
using namespace std::chrono_literals;
using agent::count_of;
using agent::list_of;
using agent::Reply;
using agent::text_of;

class DoorFixture : public AppFixture {
 public:
  DoorFixture() {
    config.run_dir = folder.path();
    config.api_socket = socket();
  }
  ~DoorFixture() { end(); }

  std::string socket() const { return folder.path() + "/api.sock"; }
  Reply ask_door(const std::string& method, const std::string& target,
                 const std::string& body = {}) {
    auto reply = std::async(std::launch::async, [&] {
      const agent::Asker asker(socket());
      return method == "GET" ? asker.get(target) : asker.put(target, body);
    });
    until("the door answers", [&] { return reply.wait_for(0s) == std::future_status::ready; });
    return reply.get();
  }
  json::value answer(const std::string& target) {
    const Reply reply = ask_door("GET", target);
    INFO(target << ": " << reply.body);
    REQUIRE(reply.status == 200);
    return json::parse(reply.body);
  }
  void start_with_web() {
    start_with({make_service("web", {"10.96.0.1"}), make_service("db", {"10.96.0.2"})},
               {make_pod("web-1", {"10.244.0.1"}), make_pod("web-2", {"10.244.0.2"})});
  }
  json::array endpoints(const std::string& service) {
    const json::value all = answer("/v1/endpoints?name=" + service);
    return list_of(list_of(all, "items").at(0), "endpoints");
  }

  const fake::TemporaryFolder folder;
};

}  // namespace

TEST_CASE_METHOD(DoorFixture, "status says that all is well, and what is in the kernel") {
  start_with_web();
  const json::value status = answer("/v1/status");
  CHECK(text_of(status, "verdict") == "ok");
  const json::value& in_kernel = *agent::field(status, "kernel");
  CHECK(*agent::field(in_kernel, "wanted") == *agent::field(in_kernel, "held"));
  CHECK(count_of(*agent::field(in_kernel, "held"), "virtualServers") == 2);
  CHECK(agent::status_screen(status, {}).starts_with("ok  node node-1, kube-ipvs v"));
}

TEST_CASE_METHOD(DoorFixture, "the socket is for its owner only, unless a group is named") {
  start_with_web();
  answer("/v1/status");
  struct stat found {};
  REQUIRE(::stat(socket().c_str(), &found) == 0);
  CHECK((found.st_mode & 0777U) == 0600);
}

TEST_CASE_METHOD(DoorFixture, "members of --api-socket-group may ask") {
  config.api_socket_group = "0";
  start_with_web();
  answer("/v1/status");
  struct stat found {};
  REQUIRE(::stat(socket().c_str(), &found) == 0);
  CHECK((found.st_mode & 0777U) == 0660);
  CHECK(found.st_gid == 0);
}

TEST_CASE_METHOD(DoorFixture, "a group that does not exist is a condition of the node") {
  config.api_socket_group = "no-such-group";
  start_with_web();
  until("it is reported", [&] {
    return get("/conditions").find("there is no group no-such-group") != std::string::npos;
  });
  CHECK(get("/healthz", "healthz").starts_with("HTTP/1.1 200"));
}

TEST_CASE_METHOD(DoorFixture, "endpoints have a state and a reason, and Services can be chosen") {
  start_with_web();
  const json::array rows = endpoints("default/web");
  REQUIRE(rows.size() == 2);
  CHECK(text_of(rows[0], "endpoint") == "10.244.0.1:8080");
  CHECK(text_of(rows[0], "state") == "serving");
  CHECK(text_of(rows[0], "pod") == "default/web-1");
  CHECK(list_of(answer("/v1/services"), "items").size() == 2);
  CHECK(list_of(answer("/v1/services?namespace=other"), "items").empty());
  CHECK(list_of(answer("/v1/services?selector=app%3Dnone"), "items").empty());
  CHECK(list_of(answer("/v1/services?name=web&namespace=default"), "items").size() == 1);
}

TEST_CASE_METHOD(DoorFixture,
                 "an endpoint that goes is in the history, with the event that led to it") {
  start_with_web();
  k8s::Pod pod = make_pod("web-2", {"10.244.0.2"});
  pod.ready = false;
  pod.ready_since = 1'796'000'000;
  pod.meta.resource_version = "4711";
  source->sinks.pods->upsert(pod);
  until("it is out", [&] {
    const json::array rows = endpoints("default/web");
    return rows.size() == 2 && text_of(rows[1], "state") != "serving";
  });
  const json::array rows = endpoints("default/web");
  CHECK(text_of(*agent::field(rows[1], "why"), "value") == "False");
  CHECK(!text_of(rows[1], "outSince").empty());
  const json::value history = answer("/v1/history?service=default/web&since=60");
  const json::array& items = list_of(history, "items");
  REQUIRE(!items.empty());
  const json::value& last = items.back();
  CHECK(text_of(last, "endpoint") == "10.244.0.2:8080");
  CHECK(text_of(last, "result") == "done");
  const json::value& cause = *agent::field(last, "cause");
  CHECK(text_of(cause, "object") == "Pod default/web-2");
  CHECK(text_of(cause, "resourceVersion") == "4711");
  CHECK(agent::history_screen(history, {}).find("Pod default/web-2 changed") != std::string::npos);
}

TEST_CASE_METHOD(DoorFixture, "an endpoint is drained by hand, and a restart knows of it") {
  start_with_web();
  const Reply drained =
      ask_door("PUT", "/v1/drain", R"({"endpoint":"10.244.0.2","by":"ada","reason":"disk"})");
  CHECK(drained.status == 200);
  const auto is_drained = [&] {
    const json::array rows = endpoints("default/web");
    return rows.size() == 2 && text_of(rows[1], "state") == "draining";
  };
  until("it drains", is_drained);
  CHECK(text_of(*agent::field(endpoints("default/web")[1], "why"), "note") ==
        "drained by hand by ada: disk");
  CHECK(text_of(answer("/v1/status"), "verdict") == "attention");
  stop();
  start_with_web();
  until("it still drains", is_drained);
  CHECK(ask_door("PUT", "/v1/undrain", R"({"endpoint":"10.244.0.2"})").status == 200);
  until("it serves", [&] { return text_of(endpoints("default/web")[1], "state") == "serving"; });
  CHECK(ask_door("PUT", "/v1/undrain", R"({"endpoint":"10.244.0.2"})").status == 404);
}

TEST_CASE_METHOD(DoorFixture, "the way of a packet is explained, and the next commands are given") {
  start_with_web();
  const json::value way = answer("/v1/explain?to=10.96.0.1:80&from=10.244.0.9&protocol=tcp");
  REQUIRE(list_of(way, "ways").size() == 1);
  CHECK(text_of(list_of(way, "ways")[0], "verdict") == "delivered");
  CHECK(list_of(list_of(way, "ways")[0], "endpoints").size() == 2);
  const json::value next = answer("/v1/next?to=web");
  CHECK(!list_of(next, "entrances").empty());
}

TEST_CASE_METHOD(DoorFixture, "more addresses than go into one piece are listed, each once") {
  constexpr int kMany = 600;
  std::vector<k8s::Service> services;
  for (int i = 0; i < kMany; ++i) {
    services.push_back(
        make_service("web-" + std::to_string(i),
                     {"10.96." + std::to_string(i / 200) + "." + std::to_string(i % 200 + 1)}));
  }
  start_with(services, {make_pod("web-1", {"10.244.0.1"})});
  const json::value answered = answer("/v1/vips");  // list_of() refers to it
  const json::array& all = list_of(answered, "items");
  REQUIRE(all.size() == kMany);
  std::set<std::string> addresses;
  for (const json::value& each : all) {
    addresses.insert(text_of(each, "address"));
    CHECK(agent::flag_of(each, "equal"));
  }
  CHECK(addresses.size() == kMany);
  CHECK(ask_door("GET", "/v1/vips?name=web").status == 400);
}

TEST_CASE_METHOD(DoorFixture, "a drain with a time ends by itself") {
  start_with_web();
  ask_door("PUT", "/v1/drain", R"({"endpoint":"10.244.0.2:8080","seconds":1})");
  until("it drains", [&] { return text_of(endpoints("default/web")[1], "state") == "draining"; });
  until("it serves", [&] { return text_of(endpoints("default/web")[1], "state") == "serving"; });
  CHECK(log.count("its time is over") == 1);
}

TEST_CASE_METHOD(DoorFixture, "a wrong question names what is wrong") {
  start_with_web();
  struct Wrong {
    const char* method;
    const char* target;
    const char* body;
    unsigned status;
    const char* says;
  };
  const Wrong all[] = {
      {"GET", "/v1/services?nam=web", "", 400, "those that are: namespace, name, selector"},
      {"GET", "/v1/services?name=nothing", "", 404, "there is no Service nothing"},
      {"GET", "/v1/services?name=default/nothing", "", 404, "there is no Service default/nothing"},
      {"GET", "/v1/services?name=a/web&namespace=b", "", 400, "is in another namespace"},
      {"GET", "/v1/services?selector=a%3D%3D%3Db", "", 400, "selector"},
      {"GET", "/v1/status?x=1", "", 400, "those that are: none"},
      {"GET", "/v1/history?since=x", "", 400, "since \\\"x\\\" is not a number of seconds"},
      {"GET", "/v1/history?service=web", "", 400, "is not NAMESPACE/NAME"},
      {"GET", "/v1/history?at=2026-11-30T03:10:00Z", "", 400, "at needs a service"},
      {"GET", "/v1/history?service=a/b&at=yesterday", "", 400, "is not a time like"},
      {"GET", "/v1/explain", "", 400, "to"},
      {"GET", "/v1/explain?to=default/nothing", "", 404, "nothing"},
      {"GET", "/v1/explain?to=web&protocol=icmp", "", 400, "icmp"},
      {"GET", "/v2/status", "", 404, "Not Found"},
      {"PUT", "/v1/drain", "{", 400, "not a JSON object"},
      {"PUT", "/v1/drain", R"({"endpoint":"web"})", 400, "is not an address"},
      {"PUT", "/v1/drain", R"({"endpoint":"10.0.0.1:99999"})", 400, "is not an address"},
      {"PUT", "/v1/drain", R"({"endpoint":"10.0.0.1","seconds":0})", 400, "seconds is not"},
      {"PUT", "/v1/drain", R"({"endpoint":7})", 400, "endpoint is not a text"},
      {"PUT", "/v1/log-level", "loud", 400, "loud"},
      {"PUT", "/v1/status", "", 405, "Not Allowed"}};
  for (const Wrong& each : all) {
    const Reply reply = ask_door(each.method, each.target, each.body);
    INFO(each.method << " " << each.target << " " << each.body << ": " << reply.body);
    CHECK(reply.status == static_cast<int>(each.status));
    CHECK(reply.body.find(each.says) != std::string::npos);
  }
}

TEST_CASE_METHOD(DoorFixture, "the OpenAPI document names every path that is answered") {
  start_with_web();
  const json::value document = answer("/v1/openapi.json");
  for (const auto& path : agent::field(document, "paths")->as_object()) {
    const std::string name(path.key());
    INFO(name);
    if (path.value().as_object().contains("get")) {
      if (name == "/v1/observe") continue;  // has no end of its own
      const bool needs_to = name == "/v1/explain" || name == "/v1/next";
      CHECK(ask_door("GET", name + (needs_to ? "?to=default/web" : "")).status == 200);
    } else {
      CHECK(ask_door("PUT", name, "").status == 400);  // a body is missing
    }
  }
}

TEST_CASE_METHOD(DoorFixture, "a socket that another agent listens on is not taken from it") {
  asio::io_context other;
  asio::local::stream_protocol::acceptor listens(other, socket());
  start_with_web();
  until("it is reported", [&] {
    return get("/conditions").find("another process listens there") != std::string::npos;
  });
}
