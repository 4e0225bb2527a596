// SPDX-License-Identifier: Apache-2.0
#include "ipvs/state/spread.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <vector>

#include "ipvs/state/diff.hpp"

namespace {

using namespace ipvs;

Address address(const std::string& text) { return Address(boost::asio::ip::make_address(text)); }

Server server_with(int endpoints, const std::string& scheduler,
                   const std::string& vip = "10.96.0.1") {
  Server server{.settings = {.key = {address(vip), 80}, .scheduler = scheduler}};
  for (int i = 1; i <= endpoints; ++i) {
    server.destinations.push_back({.endpoint = {address("10.244.0." + std::to_string(i)), 8080},
                                   .weight = static_cast<std::uint32_t>(i)});
  }
  return server;
}

// The endpoints in the order in which the node adds them to what the kernel holds already.
std::vector<std::string> order(const std::string& node, const Server& wanted,
                               const Ledger& held = {}) {
  Desired desired;
  desired.set("default/web", {.servers = {wanted}});
  std::vector<std::string> added;
  for (const ServerOp& op : diff(desired, held, desired.take_dirty(), {}, Spread(node)).fill) {
    if (op.command == ServerCommand::kNewDest) added.push_back(op.destination.endpoint.text());
  }
  return added;
}

std::string node(int number) { return "node-" + std::to_string(number); }

}  // namespace

TEST_CASE("each node adds the endpoints of a Service in an order of its own, always the same") {
  const Server server = server_with(10, "rr");
  CHECK(order("node-1", server) == order("node-1", server));
  CHECK(order("node-1", server) != order("node-2", server));
  std::vector<std::string> sorted = order("node-1", server);
  CHECK(sorted.size() == 10);
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::unique(sorted.begin(), sorted.end()) == sorted.end());
}

TEST_CASE("each virtual server of a node has an order of its own") {
  CHECK(order("node-1", server_with(10, "lc")) !=
        order("node-1", server_with(10, "lc", "10.96.0.2")));
  CHECK(order("node-1", server_with(10, "lc", "fd00::1")) !=
        order("node-1", server_with(10, "lc", "fd00::2")));
}

TEST_CASE("over a hundred nodes each of ten endpoints comes last, and so first, about as often") {
  for (const char* scheduler : {"rr", "lc", "wrr"}) {
    std::map<std::string, int> times;
    for (int i = 0; i < 100; ++i) ++times[order(node(i), server_with(10, scheduler)).back()];
    CHECK(times.size() == 10);
    for (const auto& [endpoint, count] : times) {
      INFO(scheduler << " " << endpoint);
      CHECK(count >= 3);   // 10 is expected; by chance, one in a hundred is under 3
      CHECK(count <= 20);  // and one in a thousand over 20
    }
  }
}

TEST_CASE("each endpoint keeps its weight, wherever it comes in the order") {
  const Server server = server_with(5, "wrr");
  Desired desired;
  desired.set("default/web", {.servers = {server}});
  for (const ServerOp& op : diff(desired, {}, desired.take_dirty(), {}, Spread("node-1")).fill) {
    CHECK(std::find(server.destinations.begin(), server.destinations.end(), op.destination) !=
          server.destinations.end());
  }
}

TEST_CASE("schedulers whose nodes are to agree get the endpoints in one order on all nodes") {
  for (const char* scheduler : {"sh", "dh", "mh", "fo", "ovf"}) {
    const std::vector<std::string> added = order("node-1", server_with(10, scheduler));
    CHECK(added == order("node-2", server_with(10, scheduler)));
    CHECK(added.front() == "10.244.0.1:8080");
  }
}

TEST_CASE("a restart adds nothing to what is there, and a larger Service its new endpoints alone") {
  Ledger held;
  held.put_server(server_with(10, "rr"));
  CHECK(order("node-1", server_with(10, "rr"), held).empty());
  CHECK(order("node-1", server_with(20, "rr"), held).size() == 10);
  CHECK(order("node-1", server_with(20, "rr"), held) !=
        order("node-2", server_with(20, "rr"), held));
}

TEST_CASE("without a node's name the order is that of the addresses") {
  Desired desired;
  desired.set("default/web", {.servers = {server_with(3, "rr")}});
  const Changes changes = diff(desired, {}, desired.take_dirty());
  REQUIRE(changes.fill.size() == 3);
  CHECK(changes.fill[0].destination.endpoint.text() == "10.244.0.1:8080");
  CHECK(changes.fill[2].destination.endpoint.text() == "10.244.0.3:8080");
}
