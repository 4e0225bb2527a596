// SPDX-License-Identifier: Apache-2.0
//
// Counters that the kernel resets, and what a scraper sees of it.
#include "agent/report/traffic_history.hpp"

#include <rapidcheck.h>

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::EndpointTraffic;
using agent::PortTraffic;

// Virtual servers and destinations as the kernel counts them, by connections; the other counters
// are multiples of those.
class Kernel {
 public:
  // Adds the virtual server and the destination if they are missing.
  void send(const std::string& server, const std::string& endpoint, std::uint64_t connections) {
    count(servers_[server].counters, connections);
    count(servers_[server].destinations[endpoint], connections);
  }
  // A destination with connections gets its counters back when it is added again.
  void remove_in_use(const std::string& server, const std::string& endpoint) {
    auto& destinations = servers_[server].destinations;
    if (!destinations.contains(endpoint)) return;
    servers_[server].trash.insert(destinations.extract(endpoint));
  }
  void add(const std::string& server, const std::string& endpoint) {
    Server& there = servers_[server];
    if (there.destinations.contains(endpoint)) return;
    auto back = there.trash.extract(endpoint);
    if (back) {
      there.destinations.insert(std::move(back));
    } else {
      there.destinations[endpoint];
    }
  }
  void remove(const std::string& server) { servers_.erase(server); }
  void remove(const std::string& server, const std::string& endpoint) {
    servers_[server].destinations.erase(endpoint);
    servers_[server].trash.erase(endpoint);
  }

  std::vector<ipvs::ServerReading> read() const {
    std::vector<ipvs::ServerReading> readings;
    for (const auto& [address, server] : servers_) {
      ipvs::ServerReading reading{.settings = {.key = {ip(address), 80}},
                                  .counters = server.counters};
      for (const auto& [endpoint, counters] : server.destinations) {
        reading.destinations.push_back(
            {.destination = {.endpoint = {ip(endpoint), 8080}}, .counters = counters});
      }
      readings.push_back(reading);
    }
    return readings;
  }

 private:
  struct Server {
    ipvs::Counters counters;
    std::map<std::string, ipvs::Counters> destinations;
    std::map<std::string, ipvs::Counters> trash;
  };
  static void count(ipvs::Counters& counters, std::uint64_t connections) {
    agent::add_counters(counters, {connections, 6 * connections, 4 * connections,
                                   1000 * connections, 9000 * connections});
  }
  std::map<std::string, Server> servers_;
};

// A Service port "http" of Service "web" and its scraper.
struct Fixture {
  Kernel kernel;
  // What the Service has: endpoint and its Pod.
  std::map<std::string, std::string> pods{{"10.244.0.1", "web-1"}, {"10.244.0.2", "web-2"}};
  agent::TrafficHistory history;

  // The page: connections of the port under "", of each endpoint under its address.
  using Page = std::map<std::string, std::uint64_t>;
  Page read(agent::TrafficHistory::ScrapeId id) {
    PortTraffic port{.ns = "default", .service = "web", .port = "http"};
    const auto readings = kernel.read();
    std::vector<const ipvs::ServerReading*> own;
    for (const auto& reading : readings) {
      own.push_back(&reading);
      agent::add_reading(port, reading, [this](const ipvs::Address& a) { return pod_at(a); });
    }
    history.carry_on(id, port, own, [this] { return listed(); });
    Page page{{"", port.counters.connections}};
    for (const EndpointTraffic& e : port.endpoints) {
      page[e.endpoint.address.to_string()] = e.counters.connections;
      REQUIRE(e.counters.bytes_out == 9000 * e.counters.connections);
    }
    return page;
  }
  Page scrape() {
    const auto id = history.start_scrape();
    const Page page = read(id);
    history.finish_scrape(id);
    return page;
  }

 private:
  std::string_view pod_at(const ipvs::Address& address) const {
    const auto found = pods.find(address.to_string());
    return found == pods.end() ? std::string_view() : found->second;
  }
  std::vector<EndpointTraffic> listed() const {
    std::vector<EndpointTraffic> all;
    for (const auto& [address, pod] : pods) {
      all.push_back({.endpoint = {ip(address), 8080}, .pod = pod});
    }
    return all;
  }
};

using Page = Fixture::Page;
constexpr const char* kVip = "10.96.0.1";
constexpr const char* kNodeAddress = "192.168.1.1";
constexpr const char* kOne = "10.244.0.1";
constexpr const char* kTwo = "10.244.0.2";

}  // namespace

TEST_CASE("counters that were not reset are shown as the kernel has them") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  CHECK(f.scrape() == Page{{"", 10}, {kOne, 10}});
  f.kernel.send(kVip, kOne, 5);
  f.kernel.send(kVip, kTwo, 1);
  CHECK(f.scrape() == Page{{"", 16}, {kOne, 15}, {kTwo, 1}});
}

TEST_CASE("an endpoint's counters continue when its destination is added again") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  f.kernel.remove(kVip, kOne);
  f.kernel.send(kVip, kOne, 3);
  CHECK(f.scrape() == Page{{"", 13}, {kOne, 13}});
  f.kernel.remove(kVip, kOne);
  f.kernel.send(kVip, kOne, 2);
  CHECK(f.scrape() == Page{{"", 15}, {kOne, 15}});
}

TEST_CASE("a Service port's counters continue when its virtual server is added again") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  f.kernel.remove(kVip);
  f.kernel.send(kVip, kTwo, 4);
  CHECK(f.scrape() == Page{{"", 14}, {kTwo, 4}});
  f.kernel.send(kVip, kOne, 1);
  CHECK(f.scrape() == Page{{"", 15}, {kOne, 11}, {kTwo, 4}});
}

TEST_CASE("a destination that was reset and has passed its old value does not decrease") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  f.kernel.remove(kVip, kOne);
  f.kernel.send(kVip, kOne, 12);
  CHECK(f.scrape() == Page{{"", 22}, {kOne, 12}});
}

TEST_CASE("deleting a virtual server does not decrease the sums that it was part of") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.kernel.send(kNodeAddress, kOne, 5);
  CHECK(f.scrape() == Page{{"", 15}, {kOne, 15}});
  f.kernel.remove(kNodeAddress);
  CHECK(f.scrape() == Page{{"", 15}, {kOne, 15}});
  f.kernel.send(kNodeAddress, kOne, 1);
  f.kernel.send(kVip, kOne, 1);
  CHECK(f.scrape() == Page{{"", 17}, {kOne, 17}});
}

TEST_CASE("an endpoint that is not ready is not shown, and continues its counters when it is") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.kernel.send(kVip, kTwo, 1);
  f.scrape();
  f.kernel.remove(kVip, kOne);
  for (int i = 0; i < 3; ++i) CHECK(f.scrape() == Page{{"", 11}, {kTwo, 1}});
  f.kernel.send(kVip, kOne, 0);
  CHECK(f.scrape() == Page{{"", 11}, {kOne, 10}, {kTwo, 1}});
}

TEST_CASE("an endpoint whose destination returns with its counters is not counted twice") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.kernel.send(kNodeAddress, kOne, 5);
  f.scrape();
  f.kernel.remove_in_use(kVip, kOne);
  CHECK(f.scrape() == Page{{"", 15}, {kOne, 15}});
  f.kernel.add(kVip, kOne);
  CHECK(f.scrape() == Page{{"", 15}, {kOne, 15}});
  f.kernel.send(kVip, kOne, 2);
  CHECK(f.scrape() == Page{{"", 17}, {kOne, 17}});
}

TEST_CASE("an endpoint whose destination returns with new counters loses nothing") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  f.kernel.remove(kVip, kOne);
  f.scrape();
  f.kernel.send(kVip, kOne, 4);
  CHECK(f.scrape() == Page{{"", 14}, {kOne, 14}});
}

TEST_CASE("an endpoint that the Service no longer has is forgotten") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  f.kernel.remove(kVip, kOne);
  f.pods.erase(kOne);
  CHECK(f.scrape() == Page{{"", 10}});
  f.pods[kOne] = "web-1";
  f.kernel.send(kVip, kOne, 1);
  CHECK(f.scrape() == Page{{"", 11}, {kOne, 1}});
}

TEST_CASE("a new Pod at the address of a deleted one starts at 0") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  f.kernel.remove(kVip, kOne);
  f.pods[kOne] = "web-9";
  f.kernel.send(kVip, kOne, 1);
  CHECK(f.scrape() == Page{{"", 11}, {kOne, 1}});
}

TEST_CASE(
    "a Service port that is in no scrape any more is forgotten; one that cannot be read is not") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  f.scrape();
  const auto unread = f.history.start_scrape();
  f.history.keep(unread, {.ns = "default", .service = "web", .port = "http"});
  f.history.finish_scrape(unread);
  CHECK(f.history.port_count() == 1);
  f.history.finish_scrape(f.history.start_scrape());
  CHECK(f.history.port_count() == 0);
  f.kernel.remove(kVip);
  f.kernel.send(kVip, kOne, 1);
  CHECK(f.scrape() == Page{{"", 1}, {kOne, 1}});
}

TEST_CASE("of two overlapping scrapes the one that ends first takes nothing from the other") {
  Fixture f;
  f.kernel.send(kVip, kOne, 10);
  const auto first = f.history.start_scrape();
  const auto second = f.history.start_scrape();
  CHECK(f.read(second) == Page{{"", 10}, {kOne, 10}});
  f.history.finish_scrape(first);
  f.kernel.remove(kVip, kOne);
  f.kernel.send(kVip, kOne, 1);
  CHECK(f.read(first) == Page{{"", 11}, {kOne, 11}});
  CHECK(f.read(second) == Page{{"", 11}, {kOne, 11}});
}

TEST_CASE("whatever the kernel resets, no series decreases or overcounts") {
  REQUIRE(rc::check("monotonic", [] {
    Fixture f;
    const auto any = [](int n) { return *rc::gen::inRange(0, n); };
    const auto server = [&] { return any(2) == 0 ? kVip : kNodeAddress; };
    const auto endpoint = [&] { return any(2) == 0 ? kOne : kTwo; };
    Page truth{{"", 0}, {kOne, 0}, {kTwo, 0}};
    Page before;
    // With a scrape before every reset and after every addition, nothing at all is missing.
    const bool attentive = any(2) == 0;
    for (int event = any(40); event > 0; --event) {
      if (attentive) before = f.scrape();
      switch (any(6)) {
        case 0:
          f.kernel.remove(server());
          break;
        case 1:
          f.kernel.remove(server(), endpoint());
          break;
        case 2:
          f.kernel.remove_in_use(server(), endpoint());
          break;
        default: {
          const std::string by = server();
          const std::string to = endpoint();
          const auto n = static_cast<std::uint64_t>(any(10));
          f.kernel.add(by, to);
          if (attentive) before = f.scrape();
          f.kernel.send(by, to, n);
          truth[""] += n;
          truth[to] += n;
        }
      }
      const Page page = f.scrape();
      for (const auto& [series, shown] : page) {
        RC_ASSERT(shown <= truth[series]);
        RC_ASSERT(!before.contains(series) || shown >= before[series]);
        if (attentive) RC_ASSERT(shown == truth[series]);
        before[series] = shown;
      }
    }
  }));
}
