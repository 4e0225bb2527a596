// SPDX-License-Identifier: Apache-2.0
//
// IpvsClient against the real kernel, started by test/kernel/run; each test runs in a network
// namespace of its own.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <utility>

#include "ipvs/virtual_servers/client.hpp"
#include "ipvs/virtual_servers/ipv4_table.hpp"
#include "own_namespace.hpp"

namespace {

using ipvs::Destination;
using ipvs::IpvsClient;
using ipvs::Protocol;
using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;
using ipvs::VirtualServer;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

const ServerKey kDns{address("10.96.0.10"), 53, Protocol::kUdp};
const ServerKey kWeb6{address("fd00:1::1"), 80, Protocol::kTcp};

ServerOp service(ServerCommand command, const ServerKey& key, const char* scheduler = "rr") {
  return {.command = command, .server = {.key = key, .scheduler = scheduler}, .destination = {}};
}

ServerOp destination(ServerCommand command, const ServerKey& key, const char* host,
                     std::uint16_t port, std::uint32_t weight = 1) {
  return {.command = command,
          .server = {.key = key, .scheduler = {}},
          .destination = {{address(host), port}, weight}};
}

// Commands that add the virtual servers number [first, last), from 10.1.0.0 upwards, with
// `destinations` destinations each.
std::vector<ServerOp> many(int first, int last, int destinations) {
  std::vector<ServerOp> ops;
  for (int i = first; i < last; ++i) {
    const auto vip = boost::asio::ip::address_v4(0x0a010000U + static_cast<unsigned>(i));
    const ServerKey key{vip, 80, Protocol::kTcp};
    ops.push_back(service(ServerCommand::kNewService, key));
    for (int j = 0; j < destinations; ++j) {
      const auto pod = boost::asio::ip::address_v4(0x0af40000U + static_cast<unsigned>(i * 7 + j));
      ops.push_back({.command = ServerCommand::kNewDest,
                     .server = {.key = key, .scheduler = {}},
                     .destination = {{pod, 8080}, 1}});
    }
  }
  return ops;
}

auto failures(const std::vector<int>& outcomes) {
  return std::count_if(outcomes.begin(), outcomes.end(), [](int error) { return error != 0; });
}

}  // namespace

TEST_CASE("every kind of virtual server is read back as it was programmed") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  const VirtualServer wanted[] = {
      {.key = kDns, .scheduler = "rr", .flags = ipvs::kFlagOnePacket},
      {.key = kWeb6, .scheduler = "wlc", .flags = ipvs::kFlagPersistent, .timeout_seconds = 10800},
      {.key = {address("10.96.0.11"), 9000, Protocol::kSctp}, .scheduler = "lc"},
      {.key = {address("10.96.0.12"), 80, Protocol::kTcp},
       .scheduler = "mh",
       .flags = ipvs::kFlagSched1 | ipvs::kFlagSched2},
      {.key = {boost::asio::ip::address_v4(), 0, Protocol::kTcp, 0x1a}, .scheduler = "rr"},
      {.key = {boost::asio::ip::address_v6(), 0, Protocol::kTcp, 0x1a}, .scheduler = "sh"}};
  for (const VirtualServer& server : wanted) {
    const ServerOp op{.command = ServerCommand::kNewService, .server = server, .destination = {}};
    INFO(server.key.text());
    REQUIRE(client.change_servers({&op, 1}) == std::vector<int>{0});
    const auto read = client.read_server(server.key).value();
    REQUIRE(read.has_value());
    CHECK(read->settings == server);
  }
  CHECK(client.dump_services().value().size() == std::size(wanted));
}

TEST_CASE("destinations are added, changed and deleted, and read back in order") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  const ServerOp ops[] = {service(ServerCommand::kNewService, kDns),
                          destination(ServerCommand::kNewDest, kDns, "10.244.0.9", 53),
                          destination(ServerCommand::kNewDest, kDns, "10.244.0.8", 5353, 3),
                          destination(ServerCommand::kNewDest, kDns, "10.244.0.7", 53),
                          destination(ServerCommand::kSetDest, kDns, "10.244.0.9", 53, 0),
                          destination(ServerCommand::kDelDest, kDns, "10.244.0.7", 53),
                          service(ServerCommand::kNewService, kWeb6),
                          destination(ServerCommand::kNewDest, kWeb6, "fd00::7", 8080, 65535)};
  CHECK(client.change_servers(ops) == std::vector<int>(std::size(ops), 0));
  const auto dns = client.read_server(kDns).value();
  REQUIRE(dns->destinations.size() == 2);
  CHECK(dns->destinations[0].destination == Destination{{address("10.244.0.8"), 5353}, 3});
  CHECK(dns->destinations[1].destination == Destination{{address("10.244.0.9"), 53}, 0});
  const auto web = client.read_server(kWeb6).value();
  REQUIRE(web->destinations.size() == 1);
  CHECK(web->destinations[0].destination == Destination{{address("fd00::7"), 8080}, 65535});
}

TEST_CASE("each refused command has its own errno and does not stop the others") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  const ServerOp ops[] = {service(ServerCommand::kDelService, kDns),
                          service(ServerCommand::kNewService, kDns),
                          service(ServerCommand::kNewService, kDns),
                          destination(ServerCommand::kDelDest, kDns, "10.244.0.7", 53),
                          destination(ServerCommand::kNewDest, kDns, "10.244.0.7", 53),
                          destination(ServerCommand::kNewDest, kDns, "10.244.0.7", 53),
                          destination(ServerCommand::kSetDest, kDns, "10.244.0.8", 53),
                          destination(ServerCommand::kNewDest, kWeb6, "fd00::7", 80),
                          service(ServerCommand::kNewService, kWeb6, "no-such"),
                          destination(ServerCommand::kNewDest, kDns, "224.0.0.1", 53)};
  CHECK(client.change_servers(ops) ==
        std::vector<int>{ESRCH, 0, EEXIST, ENOENT, 0, EEXIST, ENOENT, ESRCH, ENOENT, EINVAL});
}

TEST_CASE("a virtual server that does not exist reads as absent") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  CHECK_FALSE(client.read_server(kDns).value().has_value());
  CHECK(client.dump_destinations(kDns).value().empty());
  const ServerOp op = service(ServerCommand::kNewService, kDns);
  REQUIRE(client.change_servers({&op, 1}) == std::vector<int>{0});
  const ServerKey keys[] = {kWeb6, kDns};
  const auto read = client.read_servers(keys).value();
  REQUIRE(read.size() == 1);
  CHECK(read[0].settings.key == kDns);
}

TEST_CASE(
    "destinations are read without their virtual server, and a missing virtual server has none") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  const ServerOp ops[] = {service(ServerCommand::kNewService, kDns),
                          destination(ServerCommand::kNewDest, kDns, "10.244.0.7", 53)};
  REQUIRE(client.change_servers(ops) == std::vector<int>{0, 0});
  const ServerKey keys[] = {kWeb6, kDns};
  const auto read = client.read_destinations(keys).value();
  REQUIRE(read.size() == 2);
  CHECK(read[0].settings.key == kWeb6);
  CHECK(read[0].destinations.empty());
  CHECK(read[1].settings.key == kDns);
  REQUIRE(read[1].destinations.size() == 1);
  CHECK(read[1].destinations[0].destination.endpoint.port == 53);
}

TEST_CASE("destinations read by the older interface are those of a dump, but for their counters") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  REQUIRE(failures(client.change_servers(many(0, 2, 500))) == 0);
  const ServerOp others[] = {service(ServerCommand::kNewService, kWeb6),
                             destination(ServerCommand::kNewDest, kWeb6, "fd00::7", 8080, 7),
                             service(ServerCommand::kNewService, kDns)};
  REQUIRE(client.change_servers(others) == std::vector<int>{0, 0, 0});
  const auto servers = client.dump_services().value();
  CHECK(servers.size() == 4);
  std::vector<ServerKey> keys;
  for (const auto& server : servers) keys.push_back(server.settings.key);
  const auto read = client.read_destinations(keys).value();
  REQUIRE(read.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    INFO(keys[i].text());
    const auto dumped = client.dump_destinations(keys[i]).value();
    CHECK(ipvs::to_server(read[i]).destinations ==
          ipvs::to_server({.settings = servers[i].settings, .destinations = dumped}).destinations);
  }
}

TEST_CASE("timeouts are set, and the version is read") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  CHECK(client.set_timeouts({.tcp = 1200, .tcp_fin = 0, .udp = 60}).has_value());
  // Linux 7 makes the connection table with the first virtual server.
  const ServerOp first = service(ServerCommand::kNewService, kDns);
  CHECK(client.change_servers({&first, 1}) == std::vector<int>{0});
  const auto info = client.info().value();
  CHECK(info.version == 0x010201);
  CHECK(info.connection_table_size >= 256);
}

TEST_CASE("the configuration read by the older interface equals the one read with netlink") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  auto ops = many(0, 300, 5);
  ops.push_back(service(ServerCommand::kNewService, kWeb6));
  ops.push_back(destination(ServerCommand::kNewDest, kWeb6, "fd00::7", 8080, 0));
  ServerOp marked =
      service(ServerCommand::kNewService, {boost::asio::ip::address_v4(), 0, Protocol::kTcp, 7});
  ops.push_back(marked);
  marked = destination(ServerCommand::kNewDest, marked.server.key, "10.244.1.1", 0, 2);
  ops.push_back(marked);
  CHECK(failures(client.change_servers(ops)) == 0);
  CHECK(client.read_configuration().value().not_masqueraded.empty());

  auto quick = client.read_configuration().value().servers;
  REQUIRE(quick.size() == 302);
  std::size_t destinations = 0;
  for (const auto& server : quick) {
    const auto thorough = client.read_server(server.settings.key).value();
    REQUIRE(thorough.has_value());
    CHECK(thorough->settings == server.settings);
    std::vector<Destination> expected;
    for (const auto& reading : thorough->destinations) expected.push_back(reading.destination);
    CHECK(server.destinations == expected);
    destinations += expected.size();
  }
  CHECK(destinations == 1502);
}

TEST_CASE("many IPv6 virtual servers, which the older interface does not know, are read as well") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  auto ops = many(0, 3, 2);
  for (std::uint16_t port = 1; port <= 20; ++port) {
    const ServerKey key{kWeb6.address, port, Protocol::kTcp};
    ops.push_back(service(ServerCommand::kNewService, key));
    ops.push_back(destination(ServerCommand::kNewDest, key, "fd00::8", 8080, 3));
    ops.push_back(destination(ServerCommand::kNewDest, key, "fd00::7", 8080, 0));
  }
  REQUIRE(failures(client.change_servers(ops)) == 0);
  const auto found = client.read_configuration().value();
  CHECK(found.not_masqueraded.empty());
  REQUIRE(found.servers.size() == 23);
  for (const auto& server : found.servers) {
    const auto thorough = client.read_server(server.settings.key).value();
    REQUIRE(thorough.has_value());
    CHECK(ipvs::to_server(*thorough) == server);
    CHECK(server.destinations.size() == 2);
  }
}

TEST_CASE("IPv4 virtual servers come in the order of a dump") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  auto ops = many(0, 700, 0);
  ops.push_back(service(ServerCommand::kNewService, kDns, "lc"));
  REQUIRE(failures(client.change_servers(ops)) == 0);
  std::vector<ServerKey> dumped;
  for (const auto& reading : client.dump_services().value()) dumped.push_back(reading.settings.key);
  CHECK(client.table_order(false).value() == dumped);
  CHECK(client.table_order(true).value() == dumped);
  CHECK(client.uses_scheduler("rr"));
  CHECK(client.uses_scheduler("lc"));
  CHECK_FALSE(client.uses_scheduler("sh"));

  const ServerOp six = service(ServerCommand::kNewService, kWeb6);
  REQUIRE(client.change_servers({&six, 1}) == std::vector<int>{0});
  CHECK(client.table_order(false).value() == dumped);
  CHECK(client.table_order(true).value().size() == dumped.size() + 1);
}

TEST_CASE("destinations are read however many there are, and none of a server that is gone") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  REQUIRE(failures(client.change_servers(many(0, 1, 500))) == 0);
  ipvs::Ipv4Table table;
  const auto servers = table.servers().value();
  REQUIRE(servers.size() == 1);
  CHECK(servers[0].destinations == 500);
  CHECK(servers[0].scheduler == "rr");
  for (const std::size_t known : {0, 500}) {
    const auto found = table.destinations(servers[0].key, known).value();
    CHECK(found.size() == 500);
    CHECK(found.front().is_masqueraded);
  }
  CHECK(table.count_destinations(servers[0].key).value() == 500);
  CHECK(table.destinations(kDns, 0).error().error_number == ESRCH);
  CHECK(table.count_destinations(kDns).error().error_number == ESRCH);
}

TEST_CASE("IPv4 virtual servers are counted, and timeouts are read (D2, D4)") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  ipvs::Ipv4Table table;
  const std::size_t before = table.count().value();
  const std::vector<ServerOp> ops = many(0, 3, 1);
  REQUIRE(failures(client.change_servers(ops)) == 0);
  CHECK(table.count().value() == before + 3);
  REQUIRE(client.set_timeouts({.tcp = 600, .tcp_fin = 60, .udp = 30}).has_value());
  CHECK(client.timeouts().value() == ipvs::Timeouts{.tcp = 600, .tcp_fin = 60, .udp = 30});
}

// A measurement without a limit, because the time depends on the machine. `[.cost]` keeps it out of
// ordinary runs.
TEST_CASE("the cost of a batch", "[.cost]") {
  enter_own_namespace();
  auto client = IpvsClient::open().value();
  const ServerOp warm_up =
      service(ServerCommand::kNewService, kDns);  // loads modules, sets up hooks
  REQUIRE(client.change_servers({&warm_up, 1}) == std::vector<int>{0});
  int first = 0;
  for (const int last : {1000, 10000}) {
    const auto ops = many(std::exchange(first, last), last, 10);
    const auto start = std::chrono::steady_clock::now();
    CHECK(failures(client.change_servers(ops)) == 0);
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - start;
    std::cout << ops.size() << " messages: " << taken.count() / static_cast<double>(ops.size())
              << " us each\n";
  }
  const auto start = std::chrono::steady_clock::now();
  CHECK(client.read_configuration().value().servers.size() == 10001);
  const std::chrono::duration<double> quick = std::chrono::steady_clock::now() - start;
  std::cout << "10,000 virtual servers read back in " << quick.count() << " s\n";
}
