// SPDX-License-Identifier: Apache-2.0
#include "k8s/watch/reflector.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "test/k8s/watch/reflector_bench.hpp"

namespace {

using namespace k8s::test;
using std::chrono::milliseconds;

// The common part of the scenarios: a list of three pages, then each kind of change.
void play(Bench& bench) {
  bench.run_until([&] { return bench.in_step(); });
  bench.server.put(kServices, service_json("s1", "81"));
  bench.server.put(kServices, service_json("new"));
  bench.server.remove(kServices, "default/s2");
  bench.server.bookmark(kServices);
  bench.run_until([&] { return bench.in_step(); });
  bench.server.remove(kServices, "default/new");
  bench.run_until([&] { return bench.in_step(); });
}

}  // namespace

TEST_CASE("a reflector lists in pages over one connection, then watches on it", "[reflector]") {
  const bool tls = GENERATE(false, true);
  Bench bench({.tls = tls});
  fill(bench.server, 7);
  bench.label_selector = "!service.kubernetes.io/headless";
  bench.start();
  bench.run_until_watching();
  CHECK(bench.sink.versions.size() == 7);
  CHECK(bench.sink.lists == 1);
  CHECK(bench.server.connections() == 1);
  CHECK(bench.faults.empty());
  const auto& requests = bench.server.requests();
  REQUIRE(requests.size() == 4);
  const std::string selector = "&labelSelector=%21service.kubernetes.io%2Fheadless";
  CHECK(requests[0].target == std::string(kServices) + "?limit=3&resourceVersion=0" + selector);
  CHECK(requests[1].target.find("&continue=") != std::string::npos);
  CHECK(requests[3].target == std::string(kServices) +
                                  "?watch=true&allowWatchBookmarks=true&resourceVersion=8"
                                  "&timeoutSeconds=300" +
                                  selector);
  CHECK(bench.reflector->counters().lists == 1);
  CHECK(bench.reflector->counters().watches == 1);
  CHECK(bench.reflector->counters().events == 7);
  CHECK(bench.reflector->counters().bytes > 1000);
  CHECK(bench.reflector->counters().version == 8);
}

TEST_CASE("changes reach the sink, and a resumed watch continues from the last event",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.put(kServices, service_json("s0", "81"));
  bench.server.remove(kServices, "default/s1");
  bench.run_until([&] { return bench.in_step(); });
  const bool gracefully = GENERATE(true, false);
  bench.server.end_watches(kServices, gracefully);
  bench.run_until([&] { return bench.server.open_watches() == 0; });
  bench.server.put(kServices, service_json("s2"));
  bench.run_until_watching();
  CHECK(bench.sink.lists == 1);
  CHECK(bench.server.requests().back().target.find("resourceVersion=5&") != std::string::npos);
  CHECK(bench.faults.empty());
  CHECK(bench.server.connections() == 2);  // a watch that is resumed gets a new connection
}

TEST_CASE("bookmarks advance the resource version to resume from", "[reflector]") {
  Bench bench;
  fill(bench.server, 1);
  bench.start();
  bench.run_until_watching();
  bench.server.put("/api/v1/pods", R"({"kind":"Pod","metadata":{"namespace":"a","name":"b"}})");
  bench.server.bookmark(kServices);
  bench.run_until([&] { return bench.reflector->counters().bookmarks == 1; });
  CHECK(bench.reflector->counters().version == 3);
  bench.server.end_watches(kServices, true);
  bench.run_until(
      [&] { return bench.reflector->counters().watches == 2 && bench.server.open_watches() == 1; });
  CHECK(bench.server.requests().back().target.find("resourceVersion=3&") != std::string::npos);
}

TEST_CASE("wherever the connection is cut, the end state is the same", "[reflector]") {
  const fake::ApiServer::Options options =
      GENERATE(values<fake::ApiServer::Options>({{}, {.tls = true}, {.protobuf = true}}));
  std::size_t total = 0;
  {
    Bench clean(options);
    fill(clean.server, 7);
    clean.start();
    play(clean);
    total = clean.server.bytes_sent();
  }
  const std::size_t stride = options.tls ? 211 : 23;
  for (std::size_t at = 1; at < total; at += stride) {
    CAPTURE(at, total);
    Bench bench(options);
    fill(bench.server, 7);
    bench.server.cut_once_after(at);
    bench.start();
    play(bench);
    CHECK(bench.sink.versions == bench.server.store_versions(kServices));
  }
}

TEST_CASE("however the bytes are split, the end state is the same", "[reflector]") {
  const std::size_t piece = GENERATE(1u, 2u, 13u, 500u);
  Bench bench({.piece = piece});
  fill(bench.server, 7);
  bench.start();
  play(bench);
  CHECK(bench.faults.empty());
}

TEST_CASE("protobuf is used if the server offers it, and the end state is the same",
          "[reflector]") {
  const bool tls = GENERATE(false, true);
  const bool gzip = GENERATE(false, true);
  const std::size_t piece = GENERATE(0u, 1u, 13u, 500u);
  Bench bench({.tls = tls, .piece = piece, .gzip = gzip, .protobuf = true});
  fill(bench.server, 7);
  bench.start();
  play(bench);
  CHECK(bench.faults.empty());
  CHECK(bench.sink.versions == bench.server.store_versions(kServices));
  for (const fake::SeenRequest& request : bench.server.requests()) {
    CHECK(request.headers.at("accept") == "application/vnd.kubernetes.protobuf, application/json");
  }
}

TEST_CASE("an expired watch, invalid data and an event over the limit in protobuf make a new list",
          "[reflector]") {
  Bench bench({.protobuf = true}, 4096);
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.bookmark(kServices);
  bench.run_until([&] { return bench.reflector->counters().bookmarks == 1; });
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  bench.run_until_watching();
  bench.server.send_raw(kServices, std::string("\0\0\x20\0", 4));  // announces 8 KiB
  bench.run_until([&] { return bench.sink.lists == 3; });
  bench.run_until_watching();
  bench.server.send_raw(kServices, std::string("\0\0\0\2\xff\xff", 6));
  bench.run_until([&] { return bench.faults.size() >= 3; });
  CHECK(bench.faults.back().what.find("not protobuf") != std::string::npos);
  bench.run_until_watching();
}

TEST_CASE("lists are compressed if the server can, and watches never ask for it", "[reflector]") {
  const std::size_t piece = GENERATE(0u, 1u, 13u, 500u);
  Bench bench({.piece = piece, .gzip = true});
  fill(bench.server, 7);
  bench.start();
  play(bench);
  CHECK(bench.faults.empty());
  for (const fake::SeenRequest& request : bench.server.requests()) {
    const bool watch = request.target.find("watch=true") != std::string::npos;
    CHECK(request.headers.contains("accept-encoding") != watch);
  }
}

TEST_CASE("a compressed page that is corrupt anywhere is not believed, and nothing is removed",
          "[reflector]") {
  const std::string on = GENERATE("?limit", "continue=");
  const bool corrupt = GENERATE(true, false);
  // At level 1 a page is compressed to about 300 bytes; beyond its end nothing is corrupted.
  for (std::size_t at = 0; at < 300; at += 7) {
    CAPTURE(on, corrupt, at);
    Bench bench({.gzip = true});
    fill(bench.server, 7);
    bench.start();
    bench.run_until_watching();
    fake::Misbehaviour wrong{.on = on};
    (corrupt ? wrong.corrupt_at : wrong.cut_body_at) = at;
    bench.server.misbehave(wrong);
    const auto before = bench.sink.versions;
    bench.on_pause = [&] {
      for (const auto& [key, version] : before) CHECK(bench.sink.versions.contains(key));
    };
    bench.server.send_error(kServices, 410, "Expired");
    bench.run_until([&] { return bench.sink.lists == 2; });
    bench.run_until_watching();
    // Time, flags and system in gzip's header are ignored. Corrupt data that is not JSON is refused
    // before its checksum arrives.
    const auto counters = bench.reflector->counters();
    const bool detected = counters.lists == 3 || counters.page_retries == 1;  // corrupt, or cut
    if (at >= 14 && at < 150) CHECK(detected);
    if (detected) CHECK(bench.faults.back().kind == "list");
  }
}

TEST_CASE("whichever request is refused, the end state is the same", "[reflector]") {
  const unsigned status = GENERATE(400u, 401u, 403u, 404u, 410u, 429u, 500u, 503u, 504u);
  const std::string on = GENERATE("?limit", "continue=", "watch=true");
  Bench bench;
  fill(bench.server, 7);
  bench.server.misbehave({.on = on, .times = 2, .status = status});
  bench.start();
  play(bench);
  CHECK(bench.faults.size() >= 1);
}

TEST_CASE("an expired continue token makes the next list unpaged", "[reflector]") {
  Bench bench;
  fill(bench.server, 7);
  bench.server.misbehave({.on = "continue=", .status = 410, .reason = "Expired"});
  bench.start();
  bench.run_until_watching();
  CHECK(bench.server.requests().at(2).target ==
        std::string(kServices) + "?limit=0&resourceVersion=0");
  CHECK(bench.pauses.empty());
}

TEST_CASE("an expired watch lists again, and objects deleted meanwhile are removed",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 3);
  bench.start();
  bench.run_until_watching();
  bench.now += std::chrono::minutes(10);
  bench.server.end_watches(kServices, false);
  bench.run_until([&] { return bench.server.open_watches() == 0; });
  bench.server.remove(kServices, "default/s0");
  bench.server.store().compact();
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.in_step());
  CHECK(bench.reflector->counters().relists == 1);
  CHECK(bench.faults.size() == 1);
  CHECK(bench.faults.at(0).kind == "watch");
  CHECK(bench.faults.at(0).what.find("ERROR event: 410 Expired") != std::string::npos);
}

TEST_CASE("an ERROR event other than 410 resumes or lists again, depending on its code",
          "[reflector]") {
  const unsigned code = GENERATE(429u, 500u, 403u);
  Bench bench;
  fill(bench.server, 3);
  bench.start();
  bench.run_until_watching();
  bench.server.send_error(kServices, code, "TheReason");
  bench.run_until([&] { return bench.reflector->counters().watches == 2; });
  CHECK(bench.sink.lists == (code == 403 ? 2 : 1));
  CHECK(bench.pauses == std::vector{milliseconds(800)});
}

TEST_CASE("invalid data in a stream is a fault, and the watch resumes from the last valid event",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.put(kServices, service_json("s2"));
  bench.server.send_raw(kServices, std::string(2'000'000, 'x'));
  bench.server.put(kServices, service_json("s3"));
  bench.run_until([&] { return bench.reflector->counters().watches == 2 && bench.in_step(); });
  CHECK(bench.sink.lists == 1);
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].kind == "watch");
}

TEST_CASE("repeated invalid data ends in a new list, and the sink keeps its objects",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.server.misbehave({.on = "watch=true", .times = 3, .status = 200, .body = "<html>"});
  bench.start();
  bench.run_until([&] { return bench.sink.lists == 2; });
  bench.run_until_watching();
  CHECK(bench.reflector->counters().watches == 4);
}

TEST_CASE("an event over the limit lists again", "[reflector]") {
  Bench bench({}, 4096);
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.send_raw(
      kServices, R"({"type":"ADDED","object":{"kind":"Service","x":")" + std::string(5000, 'x'));
  bench.run_until([&] { return bench.sink.lists == 2; });
  bench.run_until_watching();
}

TEST_CASE("a field that is left out is reported once, and the object is delivered (A4)",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  for (int i = 0; i < 2; ++i) {
    const auto before = bench.sink.versions;
    bench.server.put(kServices, service_json("s1", "70000"));
    bench.run_until([&] { return bench.sink.versions != before; });
  }
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].kind == "decode");
  CHECK(bench.faults[0].what.starts_with("Service default/s1: spec.ports[0].port: 70000 is not"));
  CHECK(bench.faults[0].what.ends_with(": left out"));
}

TEST_CASE("an object that cannot be decoded keeps its last good state, and can still be deleted",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  const auto before = bench.sink.versions;
  std::string other_kind = service_json("s1", "7");
  other_kind.replace(other_kind.find("\"v1\""), 4, "\"v9\"");
  bench.server.put(kServices, other_kind);
  bench.run_until([&] { return !bench.faults.empty(); });
  CHECK(bench.faults.at(0).kind == "decode");
  CHECK(bench.faults.at(0).what.find("default/s1") != std::string::npos);
  CHECK(bench.sink.versions == before);
  CHECK(bench.sink.kept == std::vector<std::string>{"default/s1"});

  bench.server.end_watches(kServices, true);  // resumes after the invalid event
  bench.run_until(
      [&] { return bench.reflector->counters().watches == 2 && bench.server.open_watches() == 1; });
  CHECK(bench.faults.size() == 1);
  CHECK(bench.server.requests().back().target.find("resourceVersion=4&") != std::string::npos);

  bench.server.store().compact();  // a new list does not remove it either
  bench.server.send_error(kServices, 410, "Expired");
  bench.run_until([&] { return bench.sink.lists == 2; });
  CHECK(bench.sink.versions == before);
  bench.run_until([&] { return bench.server.open_watches() == 1; });
  bench.server.remove(kServices, "default/s1");
  bench.run_until([&] { return !bench.sink.versions.contains("default/s1"); });
}

TEST_CASE("a response that is not a list is a fault, and nothing is removed", "[reflector]") {
  const std::string body =
      GENERATE(as<std::string>{}, "not json", "{}", "[]",
               R"({"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[]})",
               R"({"kind":"ServiceList","metadata":{},"items":[]})", "");
  CAPTURE(body);
  Bench bench;
  fill(bench.server, 2);
  bench.server.misbehave({.on = "limit=", .status = 200, .body = body.empty() ? " " : body});
  bench.start();
  bench.run_until_watching();
  REQUIRE(bench.faults.size() == 1);
  CHECK(bench.faults[0].kind == "list");
  CHECK(bench.sink.lists == 1);
}

TEST_CASE("back-off grows while the server is unreachable, and is reset when it is back",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.now += std::chrono::seconds(60);
  bench.server.stop();
  bench.on_pause = [&] {
    if (bench.pauses.size() == 4) bench.server.start();
  };
  bench.run_until([&] { return bench.pauses.size() == 4; });
  bench.run_until_watching();
  const std::vector<milliseconds> growing{milliseconds(800), milliseconds(1600), milliseconds(3200),
                                          milliseconds(6400)};
  CHECK(bench.pauses == growing);
  CHECK(bench.sink.lists == 1);
  CHECK(bench.faults.size() == 4);
  CHECK(bench.faults.back().what.find("Connection refused; watching again in 6.4 s") !=
        std::string::npos);
  bench.now += std::chrono::seconds(60);
  bench.server.end_watches(kServices, true);
  bench.run_until([&] { return bench.server.open_watches() == 0; });
  bench.run_until_watching();
  CHECK(bench.pauses.size() == 4);
}

TEST_CASE("a server that is back and has forgotten our version is listed soon, and then ever less",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.start();
  bench.run_until_watching();
  bench.server.stop();
  bench.on_pause = [&] {
    if (bench.pauses.size() != 4) return;
    for (int i = 0; i < 2; ++i) bench.server.misbehave({.on = "watch=", .status = 410});
    bench.server.start();
  };
  bench.run_until([&] { return bench.pauses.size() == 6; });
  bench.run_until_watching();
  const std::vector<milliseconds> pauses{milliseconds(800),  milliseconds(1600),
                                         milliseconds(3200), milliseconds(6400),
                                         milliseconds(800),  milliseconds(1600)};
  CHECK(bench.pauses == pauses);
  CHECK(bench.sink.lists == 3);
}

TEST_CASE("Retry-After is respected", "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.server.misbehave({.on = "limit=", .status = 429, .header = "Retry-After: 17"});
  bench.server.misbehave({.on = "watch=", .status = 429, .header = "Retry-After: 9"});
  bench.start();
  bench.run_until_watching();
  CHECK(bench.pauses == std::vector{milliseconds(17'000), milliseconds(9'000)});
}

TEST_CASE("a watch whose bookmarks stop is started again; one that never had any may be silent",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 2);
  bench.watch_idle = milliseconds(1);
  bench.start();
  bench.run_until_watching();
  bench.io.run_for(milliseconds(20));
  CHECK(bench.server.count("watch=true") == 1);
  bench.server.bookmark(kServices);
  bench.run_until([&] { return bench.server.count("watch=true") == 2; });
  CHECK(bench.sink.lists == 1);
  CHECK(bench.faults.empty());
}

TEST_CASE("a page that stalls half way is requested again", "[reflector]") {
  Bench bench;
  fill(bench.server, 7);
  bench.list_idle = milliseconds(20);
  bench.server.misbehave({.on = "continue=", .stall_after = 400});
  bench.start();
  bench.run_until_watching();
  CHECK(bench.sink.lists == 1);
  CHECK(bench.reflector->counters().lists == 1);
  CHECK(bench.reflector->counters().page_retries == 1);
}

TEST_CASE("a list refused with 401 is requested again with the current token", "[reflector]") {
  Bench bench({.token = "t"});
  fill(bench.server, 2);
  bench.server.set_token("u");
  bench.on_pause = [&] { bench.server.set_token("t"); };
  bench.start();
  bench.run_until_watching();
  CHECK(bench.faults.at(0).what.starts_with("Service list: 401 Unauthorized"));
}

TEST_CASE("an open watch counts as contact, and the time since contact grows after it breaks",
          "[reflector]") {
  Bench bench;
  fill(bench.server, 1);
  bench.start();
  CHECK(bench.reflector->counters().seconds_since_contact == 0);
  bench.run_until_watching();
  bench.now += std::chrono::seconds(45);
  bench.run_until([&] { return bench.reflector->counters().seconds_since_contact == 0; });
  bench.server.stop();
  bench.run_until([&] { return bench.pauses.size() == 2; });
  CHECK(bench.reflector->counters().seconds_since_contact >= 0.8);
}

TEST_CASE("a reflector can be cancelled at every step, and leaves nothing behind", "[reflector]") {
  const bool tls = GENERATE(false, true);
  bool watching = false;
  for (std::size_t steps = 0; !watching; ++steps) {
    Bench bench({.tls = tls});
    fill(bench.server, 7);
    if (steps % 2 == 1) bench.server.misbehave({.on = "continue=", .status = 500});
    bench.start();
    for (std::size_t i = 0; i < steps && !watching; ++i) {
      bench.io.run_one();
      watching = bench.server.open_watches() == 1;
    }
    bench.stop();
    bench.reflector.reset();
  }
}
