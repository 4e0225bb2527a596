// SPDX-License-Identifier: Apache-2.0
#include "agent/report/http_connections.hpp"

#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using agent::HttpConnections;
using Place = HttpConnections::Place;

// Connections by name; a closed one is written down.
struct Fixture {
  explicit Fixture(HttpConnections::Limits limits) : all(limits) {}

  Place& open(const std::string& name, const std::string& client, int server = 0) {
    places.push_back(std::make_unique<Place>(all, &servers[server],
                                             boost::asio::ip::make_address(client),
                                             [this, name] { closed.push_back(name); }));
    return *places.back();
  }

  HttpConnections all;
  int servers[2] = {};
  std::vector<std::string> closed;
  std::vector<std::unique_ptr<Place>> places;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the client with the most connections loses the one that has waited longest (A3)") {
  Fixture f({.per_server = 3});
  f.open("probe", "192.0.2.1");
  Place& first = f.open("first", "10.244.0.9");
  f.open("second", "10.244.0.9");
  SECTION("it waits from the beginning") {
    f.open("third", "10.244.0.9");
    CHECK(f.closed == Names{"first"});
  }
  SECTION("or since its last request") {
    first.is_answered();
    first.waits_for_request();
    f.open("third", "10.244.0.9");
    CHECK(f.closed == Names{"second"});
    f.open("another", "192.0.2.7");
    CHECK(f.closed == Names{"second", "first"});
  }
  SECTION("one that is being answered is closed if none waits") {
    first.is_answered();
    f.open("third", "10.244.0.9");
    f.open("fourth", "10.244.0.9");
    CHECK(f.closed == Names{"second", "third"});
  }
  CHECK(f.all.size() == 3);
}

TEST_CASE("a full server takes no place from another, until descriptors are few (A3)") {
  Fixture f({.per_server = 2, .in_all = 3});
  f.open("a1", "192.0.2.1", 0);
  f.open("b1", "192.0.2.2", 1);
  f.open("b2", "192.0.2.2", 1);
  f.open("b3", "192.0.2.2", 1);
  CHECK(f.closed == Names{"b1"});
  f.open("a2", "192.0.2.1", 0);
  CHECK(f.closed == Names{"b1", "b2"});  // of those that are waiting in all
}

TEST_CASE("connections take a quarter of the descriptors at most (A3)") {
  CHECK(HttpConnections::limits_for(1024).in_all == 256);
  CHECK(HttpConnections::limits_for(1024).per_server == 64);
  CHECK(HttpConnections::limits_for(1048576).in_all == 4096);
  CHECK(HttpConnections::limits_for(100).per_server == 12);
}

TEST_CASE("there is no room to make without connections (A3)") {
  Fixture f({});
  CHECK_FALSE(f.all.make_room(&f.servers[0]));
  f.open("one", "192.0.2.1", 1);
  CHECK_FALSE(f.all.make_room(&f.servers[0]));
  CHECK(f.all.make_room(nullptr));
  CHECK_FALSE(f.all.make_room(nullptr));
}
