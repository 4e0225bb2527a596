// SPDX-License-Identifier: Apache-2.0
//
// Which load is uneven, and what is said of it.
#include "agent/ask/advice.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <utility>
#include <vector>

namespace {

using agent::PortLoad;

PortLoad load_of(std::vector<PortLoad::Endpoint> endpoints) {
  return {.port = "default/web:http", .scheduler = "rr", .endpoints = std::move(endpoints)};
}

}  // namespace

TEST_CASE("the spread of open connections is the busiest endpoint's for its weight by the mean") {
  struct Case {
    std::vector<PortLoad::Endpoint> endpoints;
    double now, by_least_connection;
  };
  for (const Case& each :
       std::vector<Case>{{{}, 1, 1},
                         {{{.open = 0}, {.open = 0}}, 1, 1},
                         {{{.open = 7}}, 1, 1},
                         {{{.open = 5}, {.open = 5}}, 1, 1},
                         {{{.open = 9}, {.open = 1}}, 1.8, 1},
                         {{{.open = 6}, {.open = 1}}, 12.0 / 7, 8.0 / 7},
                         {{{.open = 6, .weight = 3}, {.open = 2, .weight = 1}}, 1, 1},
                         {{{.open = 2, .weight = 3}, {.open = 6, .weight = 1}}, 3, 1},
                         {{{.open = 300, .weight = 100}, {.open = 100, .weight = 100}}, 1.5, 1},
                         {{{.open = 21, .weight = 100}, {.weight = 100}, {.weight = 100}}, 3, 1},
                         {{{.open = 4, .weight = 0}, {.open = 0, .weight = 0}}, 1, 1}}) {
    CHECK(agent::spread_of(load_of(each.endpoints)) == Catch::Approx(each.now));
    CHECK(agent::spread_by_least_connection(load_of(each.endpoints)) ==
          Catch::Approx(each.by_least_connection));
  }
}

TEST_CASE("advice names the scheduler, the spread, how long connections last and what is better") {
  PortLoad load = load_of({{.open = 90}, {.open = 10}});
  CHECK(agent::advice(load) == "default/web:http: rr, spread 1.8: lc would give 1.0");
  load.new_per_second = 100.0 / 2400;
  load.new_connections = 9;
  CHECK(agent::advice(load) == "default/web:http: rr, spread 1.8: lc would give 1.0");
  load.new_connections = 10;
  CHECK(agent::advice(load) ==
        "default/web:http: rr, spread 1.8, connections last 40m on average: lc would give 1.0");
  load.new_per_second = 500;
  CHECK(
      agent::advice(load) ==
      "default/web:http: rr, spread 1.8, connections last under 1s on average: lc would give 1.0");
  load.new_per_second = 0;
  load.endpoints[1].weight = 2;
  CHECK(agent::advice(load) == "default/web:http: rr, spread 2.7: wlc would give 1.0");
}

TEST_CASE("where least connection is no better or not wanted, advice says what makes it uneven") {
  PortLoad load = load_of({{.open = 90}, {.open = 10}});
  load.scheduler = "wlc";
  CHECK(agent::advice(load) ==
        "default/web:http: wlc, spread 1.8: it evens out as connections end");
  load.scheduler = "mh";
  CHECK(agent::advice(load) ==
        "default/web:http: mh, spread 1.8: a hash of the client chooses, and clients differ");
  load.scheduler = "lblc";
  CHECK(agent::advice(load) ==
        "default/web:http: lblc, spread 1.8: the virtual IP chooses, so that "
        "one endpoint is filled first");
  load.scheduler = "fo";
  CHECK(agent::advice(load) ==
        "default/web:http: fo, spread 1.8: it fills the endpoint with the greatest weight first");
  load.scheduler = "mh";
  load.has_affinity = true;
  CHECK(agent::advice(load) ==
        "default/web:http: mh, spread 1.8: session affinity keeps clients at their endpoint");
  load.scheduler = "";
  CHECK(agent::advice(load) ==
        "default/web:http: spread 1.8: session affinity keeps clients at their endpoint");
}

TEST_CASE("a Service whose weights are those of slow start is advised to keep to weights") {
  PortLoad load = load_of({{.open = 90, .weight = 100}, {.open = 10, .weight = 100}});
  load.scheduler = "wrr";
  CHECK(agent::advice(load) == "default/web:http: wrr, spread 1.8: wlc would give 1.0");
}

TEST_CASE("an even load, one endpoint and a few connections get no advice") {
  CHECK(agent::advice(load_of({{.open = 5}, {.open = 5}})).empty());
  CHECK(agent::advice(load_of({{.open = 50}})).empty());
  CHECK(agent::advice(load_of({{.open = 1}, {.open = 0}, {.open = 0}})).empty());
  CHECK(agent::advice(load_of({})).empty());
  // Eleven cannot be divided better by ten.
  std::vector<PortLoad::Endpoint> nearly(10, {.open = 1});
  nearly[0].open = 2;
  CHECK(agent::advice(load_of(nearly)).empty());
}
