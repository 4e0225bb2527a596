// SPDX-License-Identifier: Apache-2.0
//
// A reflector in bad weather: overload, stores that went back, lists that are not to be believed.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "test/k8s/watch/reflector_bench.hpp"

namespace {

using namespace k8s::test;
using std::chrono::milliseconds;

std::string event(const std::string& type, const std::string& name, const std::string& version,
                  const std::string& port = "80") {
  return R"({"type":")" + type +
         R"(","object":{"kind":"Service","apiVersion":"v1","metadata":{"namespace":"default",)" +
         R"("name":")" + name + R"(","resourceVersion":")" + version +
         R"("},"spec":{"clusterIP":"10.0.0.1","type":"ClusterIP","ports":[{"port":)" + port +
         "}]}}}\n";
}

// The requests since the `first`, without the path and what varies.
std::vector<std::string> kinds_since(const Bench& bench, std::size_t first) {
  std::vector<std::string> kinds;
  const auto& all = bench.server.requests();
  for (std::size_t i = first; i < all.size(); ++i) {
    const std::string& target = all[i].target;
    const auto has = [&](const char* part) { return target.find(part) != std::string::npos; };
    if (has("sendInitialEvents")) {
      kinds.push_back(has("resourceVersion=") ? "watch-list held" : "watch-list");
    } else if (has("watch=true")) {
      kinds.emplace_back("watch");
    } else if (has("limit=1&")) {
      kinds.emplace_back("probe");
    } else if (has("continue=")) {
      kinds.emplace_back("page");
    } else {
      kinds.emplace_back(has("NotOlderThan") ? "list held" : has("=0") ? "list any" : "list");
    }
  }
  return kinds;
}

using Kinds = std::vector<std::string>;

}  // namespace

TEST_CASE("a page that fails is requested again, and the list goes on from there (H2)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 300);  // 100 pages
  // One request in five fails, in one of several ways.
  const int way = GENERATE(0, 1, 2, 3);
  int asked = 0;
  const auto spoil = [&] {
    fake::Misbehaviour wrong{.on = "limit=3"};
    if (way == 0) wrong.status = 429;
    if (way == 1) wrong.status = 503;
    if (way == 2) wrong.drop_after = 400;
    if (way == 3) wrong.drop_after = 400, wrong.reset = true;
    bench.server.misbehave(wrong);
  };
  bench.start();
  bench.run_until([&] {
    const int now = static_cast<int>(bench.server.requests().size());
    if (now / 5 > asked / 5) spoil();
    asked = now;
    return bench.in_step() && bench.server.open_watches() == 1;
  });
  CHECK(bench.sink.lists == 1);
  const auto counters = bench.reflector->counters();
  CHECK(counters.lists <= 3);  // the first page may fail as well
  CHECK(counters.page_retries >= 15);
  CHECK(bench.server.requests().size() <= 140);
}

TEST_CASE("the pause grows over the same Retry-After, and the connection is kept (H3)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.server.misbehave({.on = "limit=", .times = 5, .status = 429, .header = "Retry-After: 1"});
  bench.start();
  bench.run_until_watching();
  const std::vector<milliseconds> growing{milliseconds(1000), milliseconds(1600),
                                          milliseconds(3200), milliseconds(6400),
                                          milliseconds(12'800)};
  CHECK(bench.pauses == growing);
  CHECK(bench.server.connections() == 1);
}

TEST_CASE("a bookmark or an event with an older version makes a consistent list (F2)",
          "[bad_weather]") {
  const bool by_bookmark = GENERATE(true, false);
  Bench bench;
  fill(bench.server, 3);
  for (int i = 0; i < 20; ++i) bench.server.put(kServices, service_json("s0"));
  bench.start();
  bench.run_until_watching();
  // A backup is restored: s2 never existed, and the open watch is accepted in silence.
  bench.server.store().remove(kServices, "default/s2");
  bench.server.store().restore(10);
  bench.server.store().put(kServices, service_json("after"));
  const std::size_t before = bench.server.requests().size();
  if (by_bookmark) {
    bench.server.bookmark(kServices);
  } else {
    bench.server.send_raw(kServices, event("MODIFIED", "s1", "11"));
  }
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.in_step());
  CHECK(kinds_since(bench, before) == Kinds{"list"});
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].what.find("resource version 11 after 24") != std::string::npos);
  bench.run_until_watching();
}

TEST_CASE("a store that went back is found although the watch from its future is silent (H6)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 3);
  for (int i = 0; i < 20; ++i) bench.server.put(kServices, service_json("s0"));
  bench.start();
  bench.run_until_watching();
  const std::size_t before = bench.server.requests().size();
  bench.server.store().remove(kServices, "default/s2");
  bench.server.store().restore(10);
  // The probe is refused as "too large", or the server does not know NotOlderThan.
  const bool ignored = GENERATE(false, true);
  if (ignored) {
    bench.server.misbehave(
        {.on = "limit=1&",
         .status = 200,
         .body = R"({"kind":"ServiceList","metadata":{"resourceVersion":"10"},"items":[]})"});
  }
  bench.server.end_watches(kServices, GENERATE(true, false));
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.in_step());
  CHECK(kinds_since(bench, before) == Kinds{"probe", "list"});
  CHECK(bench.reflector->counters().probes == 1);
  bench.run_until_watching();
}

TEST_CASE("a silent watch that lasted its time is followed by a probe, a lively one is not (H6)",
          "[bad_weather]") {
  const bool lively = GENERATE(true, false);
  Bench bench;
  fill(bench.server, 3);
  bench.start();
  bench.run_until_watching();
  if (lively) {
    bench.server.bookmark(kServices);
    bench.run_until([&] { return bench.reflector->counters().bookmarks == 1; });
  }
  bench.now += std::chrono::seconds(300);
  const std::size_t before = bench.server.requests().size();
  bench.server.end_watches(kServices, true);
  bench.run_until([&] { return bench.server.open_watches() == 0; });
  bench.run_until_watching();
  CHECK(kinds_since(bench, before) == (lively ? Kinds{"watch"} : Kinds{"probe", "watch"}));
  CHECK(bench.faults.empty());
  CHECK(bench.pauses.empty());
}

TEST_CASE("a list older than ours is not passed on, and a consistent one follows (H6)",
          "[bad_weather]") {
  const bool metadata_last = GENERATE(false, true);
  Bench bench;
  fill(bench.server, 3);
  for (int i = 0; i < 20; ++i) bench.server.put(kServices, service_json("s0"));
  bench.start();
  bench.run_until_watching();
  const auto versions = bench.sink.versions;
  const std::string items = R"("items":[)" + service_json("old") + "]";
  const std::string metadata = R"("metadata":{"resourceVersion":"3"})";
  bench.server.misbehave(
      {.on = "NotOlderThan",
       .status = 200,
       .body = R"({"kind":"ServiceList",)" +
               (metadata_last ? items + "," + metadata : metadata + "," + items) + "}"});
  bench.on_pause = [&] { CHECK((metadata_last || bench.sink.versions == versions)); };
  bench.server.send_error(kServices, 403, "Forbidden");
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.in_step());
  bench.run_until_watching();
}

TEST_CASE("duplicate and reordered events end in the newest state (item 6)", "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.put(kServices, service_json("s0", "81"));
  bench.run_until([&] { return bench.in_step(); });
  const auto newest = bench.sink.versions;
  const auto events = bench.reflector->counters().events;
  // The same event again, even as a deletion, is ignored.
  bench.server.send_raw(kServices, event("DELETED", "s0", "4") + event("MODIFIED", "s0", "4"));
  bench.server.put(kServices, service_json("s3"));
  bench.run_until([&] { return bench.in_step(); });
  CHECK(bench.reflector->counters().events == events + 1);
  CHECK(bench.sink.lists == 1);
  // An older one, of whichever object: what it hides is found by a list.
  bench.server.send_raw(kServices, event("DELETED", "s1", "3") + event("MODIFIED", "s0", "3", "9"));
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.in_step());
  CHECK(bench.reflector->counters().relists == 1);
}

TEST_CASE("a version that is not a number is used, and nothing is concluded from it",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.send_raw(kServices,
                        event("MODIFIED", "s0", "v2-a") + event("MODIFIED", "s1", "1-b"));
  bench.run_until([&] { return bench.sink.versions.at("default/s1") == "1-b"; });
  CHECK(bench.sink.versions.at("default/s0") == "v2-a");
  CHECK(bench.faults.empty());
}

TEST_CASE("three watches in a row that end at once are a fault, and make a list (H7)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  // With nothing, or with a bookmark each; gracefully, or cut.
  const std::string body = GENERATE(as<std::string>{}, "", "bookmark");
  bench.start();
  bench.run_until_watching();
  const bool gracefully = GENERATE(true, false);
  for (unsigned i = 0; i < 3; ++i) {
    if (!body.empty()) bench.server.bookmark(kServices);
    CHECK(bench.sink.lists == 1);
    CHECK(bench.faults.empty());
    bench.server.end_watches(kServices, gracefully);
    bench.run_until([&] { return bench.server.open_watches() == 0; });
    bench.run_until([&] { return bench.server.open_watches() == 1; });
  }
  CHECK(bench.sink.lists == 2);
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].what ==
        "Service watch: 3 watches in a row ended at once; listing again in 3.2 s");
}

TEST_CASE("a proxy that never lets a watch through: lists go on showing what changes (H7)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  const bool in_stream = GENERATE(true, false);
  const std::string error =
      R"({"type":"ERROR","object":{"kind":"Status","status":"Failure","code":500}})";
  fake::Misbehaviour wrong{.on = "watch=true", .times = -1, .status = 504};
  if (in_stream) wrong.status = 200, wrong.body = error;
  bench.server.misbehave(wrong);
  bench.on_pause = [&] { bench.now += std::chrono::seconds(60); };
  bench.start();
  bench.run_until([&] { return bench.sink.lists == 1; });
  bench.server.put(kServices, service_json("new"));
  bench.run_until([&] { return bench.sink.lists == 3; });
  CHECK(bench.in_step());
  CHECK(bench.reflector->counters().watches <= 7);
}

TEST_CASE("watches that a proxy ends early are reported once, and go on (H7)", "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  for (int i = 0; i < 7; ++i) {
    bench.run_until_watching();
    bench.now += std::chrono::seconds(60);
    bench.server.end_watches(kServices, true);
    bench.run_until([&] { return bench.server.open_watches() == 0; });
  }
  bench.run_until_watching();
  CHECK(bench.sink.lists == 1);
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].what ==
        "Service watch: 3 watches in a row ended early, the last after 60 s instead of 300 s; "
        "watching again at once");
}

TEST_CASE("the first list is any state that the watch cache has, later ones are not older (H1)",
          "[bad_weather]") {
  Bench bench({.watch_cache = true});
  fill(bench.server, 7);
  bench.start();
  bench.run_until_watching();
  bench.server.store().compact();
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  bench.run_until_watching();
  CHECK(kinds_since(bench, 0) == Kinds{"list any", "watch", "list held", "watch"});
}

TEST_CASE("lists that all nodes make at the same moment are spread over seconds (H1)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.random = 0.5;
  bench.start();
  bench.run_until_watching();
  bench.now += std::chrono::minutes(5);
  bench.server.store().compact();
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.pauses == std::vector{milliseconds(2500)});
}

TEST_CASE(
    "a list that is suddenly empty removes nothing before a second one says the same (item 6)",
    "[bad_weather]") {
  const bool watch_list = GENERATE(false, true);
  Bench bench({.watch_cache = true, .watch_list = watch_list});
  bench.watch_list = watch_list;
  const bool really = GENERATE(false, true);
  const int lost = GENERATE(12, 8);  // all, or most
  fill(bench.server, 12);
  bench.start();
  bench.run_until_watching();
  std::vector<std::string> gone;
  for (int i = 0; i < lost; ++i) gone.push_back("s" + std::to_string(i));
  for (const auto& name : gone) bench.server.store().remove(kServices, "default/" + name);
  bench.server.store().compact();
  const std::size_t before = bench.server.requests().size();
  bench.on_pause = [&] {
    CHECK(bench.sink.versions.size() == 12);
    if (really || bench.reflector->counters().confirmations == 0) return;
    for (const auto& name : std::exchange(gone, {})) {
      bench.server.store().put(kServices, service_json(name));
    }
  };
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.in_step());
  CHECK(bench.sink.versions.size() == static_cast<std::size_t>(really ? 12 - lost : 12));
  CHECK(bench.reflector->counters().confirmations == 1);
  const Kinds kinds = kinds_since(bench, before);
  CHECK(kinds.at(0) == (watch_list ? "watch-list held" : "list held"));
  CHECK(kinds.at(1) == "list");
  CHECK(bench.faults.back().what.find("objects where there were 12") != std::string::npos);
}

TEST_CASE("a second list that fails leaves the doubt, and a third one decides (item 6)",
          "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  for (const char* name : {"default/s0", "default/s1"}) {
    bench.server.store().remove(kServices, name);
  }
  bench.server.store().compact();
  bench.on_pause = [&] { CHECK(bench.sink.versions.size() == 2); };
  bench.server.misbehave({.on = "limit=3", .times = 2, .status = 503});
  const std::size_t before = bench.server.requests().size();
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.sink.versions.empty());
  CHECK(kinds_since(bench, before).size() == 4);
}

TEST_CASE("a WatchList delivers all objects and goes on as the watch (H1)", "[bad_weather]") {
  const std::size_t piece = GENERATE(0u, 7u);
  const bool protobuf = GENERATE(false, true);
  Bench bench({.piece = piece, .protobuf = protobuf, .watch_list = true});
  bench.watch_list = true;
  fill(bench.server, 7);
  bench.start();
  bench.run_until_watching();
  CHECK(bench.sink.lists == 1);
  CHECK(kinds_since(bench, 0) == Kinds{"watch-list"});
  bench.server.put(kServices, service_json("s1", "81"));
  bench.server.remove(kServices, "default/s2");
  bench.run_until([&] { return bench.in_step(); });
  bench.server.store().compact();
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  bench.run_until_watching();
  CHECK(kinds_since(bench, 0) == Kinds{"watch-list", "watch-list held"});
  CHECK(bench.reflector->counters().lists == 2);
  CHECK(bench.reflector->counters().relists == 1);
}

TEST_CASE("a server that refuses WatchList is listed instead, and asked again an hour later (H1)",
          "[bad_weather]") {
  const unsigned status = GENERATE(400u, 405u, 422u);
  Bench bench;
  bench.watch_list = true;
  fill(bench.server, 2);
  bench.server.misbehave({.on = "sendInitialEvents", .status = status});
  bench.start();
  bench.run_until_watching();
  CHECK(bench.pauses.empty());
  CHECK(bench.faults.empty());
  bench.server.send_error(kServices, 403, "Forbidden");
  bench.run_until([&] { return bench.sink.lists == 2; });
  bench.run_until_watching();
  CHECK(kinds_since(bench, 0) == Kinds{"watch-list", "list any", "watch", "list held", "watch"});
  bench.now += std::chrono::hours(1);
  bench.server.send_error(kServices, 403, "Forbidden");
  bench.run_until([&] { return bench.sink.lists == 3; });
  CHECK(bench.server.count("sendInitialEvents") == 2);
}

TEST_CASE("a server that ignores the parameters of WatchList never ends it: a list follows (H1)",
          "[bad_weather]") {
  Bench bench({.watch_list = true});
  bench.watch_list = true;
  bench.list_idle = milliseconds(20);
  fill(bench.server, 2);
  // It sends the objects, and no bookmark; or breaks off among them, or is not even a stream.
  const int way = GENERATE(0, 1, 2);
  fake::Misbehaviour wrong{.on = "sendInitialEvents"};
  if (way == 0) wrong.stall_after = 700;
  if (way == 1) wrong.drop_after = 700;
  if (way == 2) wrong.status = 200, wrong.body = "<html>";
  bench.server.misbehave(wrong);
  bench.start();
  bench.run_until_watching();
  CHECK(bench.sink.lists == 1);
  CHECK(kinds_since(bench, 0) == Kinds{"watch-list", "list any", "watch"});
  CHECK(bench.faults.size() == 1);
}

TEST_CASE("changes during the initial events of a WatchList are applied (H1)", "[bad_weather]") {
  Bench bench({.watch_list = true});
  bench.watch_list = true;
  fill(bench.server, 2);
  bench.server.misbehave({.on = "sendInitialEvents",
                          .status = 200,
                          .body = event("ADDED", "gone", "2") + event("MODIFIED", "s1", "2") +
                                  event("DELETED", "gone", "3")});
  bench.start();
  bench.run_until_watching();
  CHECK(bench.sink.versions.size() == 2);
}

TEST_CASE("wherever a WatchList is cut, the end state is the same (H1)", "[bad_weather]") {
  std::size_t total = 0;
  {
    Bench clean({.watch_list = true});
    clean.watch_list = true;
    fill(clean.server, 7);
    clean.start();
    clean.run_until_watching();
    total = clean.server.bytes_sent();
  }
  for (std::size_t at = 1; at < total; at += 31) {
    CAPTURE(at, total);
    Bench bench({.watch_list = true});
    bench.watch_list = true;
    fill(bench.server, 7);
    bench.server.cut_once_after(at);
    bench.start();
    bench.run_until_watching();
    bench.server.put(kServices, service_json("new"));
    bench.run_until([&] { return bench.in_step(); });
  }
}

TEST_CASE("an answer to a probe counts as contact", "[bad_weather]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.now += std::chrono::seconds(300);
  bench.server.misbehave({.on = "watch=true", .times = -1, .drop_after = 0});
  bench.on_pause = [&] { CHECK(bench.reflector->counters().seconds_since_contact <= 30); };
  bench.server.end_watches(kServices, true);
  bench.run_until([&] { return bench.pauses.size() == 20; });
}
