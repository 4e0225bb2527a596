// SPDX-License-Identifier: Apache-2.0
//
// A server's text in the faults of a reflector.
#include <catch2/catch_test_macros.hpp>

#include "test/fake/api_store.hpp"
#include "test/k8s/watch/reflector_bench.hpp"

namespace {

using namespace k8s::test;

}  // namespace

TEST_CASE("a server's Status message and reason are escaped and cut in the fault (H11)",
          "[reflector]") {
  Bench bench;
  bench.server.put(kServices, service_json("s0"));
  bench.server.misbehave(
      {.on = "limit=",
       .status = 500,
       .body = R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",)"
               R"("message":"boom\nE1122 forged\u001b[31m\u0085\u202e)" +
               std::string(10'000, 'x') + R"(","reason":"In\nternal","code":500})"});
  bench.start();
  bench.run_until_watching();
  REQUIRE_FALSE(bench.faults.empty());
  const std::string what = bench.faults.front().what;
  INFO(what);
  CHECK(what.find(R"(In\nternal: boom\nE1122 forged\x1b[31m\xc2\x85\xe2\x80\xae)") !=
        std::string::npos);
  CHECK(what.size() < 2100);
}

TEST_CASE("an ERROR event's message is escaped in the fault (H11)", "[reflector]") {
  Bench bench;
  bench.server.put(kServices, service_json("s0"));
  bench.start();
  bench.run_until_watching();
  bench.server.send_raw(kServices, R"({"type":"ERROR","object":{"kind":"Status","apiVersion":"v1",)"
                                   R"("message":"a\nb\u009b","reason":"X","code":500}})"
                                   "\n");
  bench.run_until([&] { return !bench.faults.empty(); });
  CHECK(bench.faults.front().what.find(R"(a\nb\xc2\x9b)") != std::string::npos);
}
