// SPDX-License-Identifier: Apache-2.0
//
// LinuxKernel against the real kernel; each test runs in a network namespace of its own.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ipvs/linux_kernel.hpp"
#include "own_namespace.hpp"

namespace {

using ipvs::Address;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::LinuxKernel;
using ipvs::Protocol;
using ipvs::ServerCommand;
using ipvs::ServerKey;
using ipvs::ServerOp;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

const ServerKey kVip{address("10.96.0.1"), 80, Protocol::kTcp};
const ServerKey kNodePort{address("192.0.2.1"), 30080, Protocol::kTcp};
const ServerKey kForeign{address("192.0.2.1"), 8080, Protocol::kTcp};

ServerOp add(const ServerKey& key) {
  return {.command = ServerCommand::kNewService,
          .server = {.key = key, .scheduler = "rr"},
          .destination = {}};
}

std::string read_file(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

const std::vector<Element> kElements = {
    {.kind = ElementKind::kServiceIp,
     .address = kVip.address,
     .protocol = Protocol::kTcp,
     .port = 80},
    {.kind = ElementKind::kNodePort,
     .protocol = Protocol::kTcp,
     .traffic_class = ipvs::TrafficClass::kExternal,
     .port = 30080},
    {.kind = ElementKind::kNodeAddress, .address = kNodePort.address},
    {.kind = ElementKind::kVirtualIp, .address = kVip.address}};

}  // namespace

TEST_CASE("prepare sets up the host, and a second time changes nothing") {
  enter_own_namespace();
  LinuxKernel kernel;
  ipvs::HostSettings settings;
  settings.strict_arp = true;
  const auto first = kernel.prepare(settings).value();
  CHECK(ipvs::running_kernel_version().major >= 5);
  CHECK_FALSE(first.changes.empty());
  CHECK(read_file("/proc/sys/net/ipv4/vs/conntrack") == "1");
  CHECK(read_file("/proc/sys/net/ipv4/vs/expire_nodest_conn") == "1");
  CHECK(read_file("/proc/sys/net/ipv4/vs/expire_quiescent_template") == "1");
  CHECK(read_file("/proc/sys/net/ipv4/ip_forward") == "1");
  CHECK(read_file("/proc/sys/net/ipv4/conf/all/arp_ignore") == "1");
  CHECK(read_file("/proc/sys/net/ipv4/conf/all/arp_announce") == "2");
  CHECK(read_file("/proc/sys/net/ipv6/conf/all/forwarding") == "0");
  const auto second = kernel.prepare(settings).value();
  CHECK(second.changes.empty());
  CHECK(second.warnings.size() == 1);  // IPv6 forwarding, reported and never set
}

TEST_CASE("virtual IPs move to routes where there are many, and back where there are few") {
  enter_own_namespace();
  LinuxKernel kernel;
  const ipvs::HostSettings settings{.vip_binding = ipvs::VipBinding::kAuto,
                                    .route_source_v4 = {},
                                    .route_source_v6 = {},
                                    .timeouts = {}};
  REQUIRE(kernel.prepare(settings).has_value());
  const ipvs::AddressOp bind{.add = true, .address = kVip.address};
  REQUIRE(kernel.change_addresses({&bind, 1}) == std::vector<int>{0});
  CHECK(kernel.choose_binding(1).value().empty());
  CHECK(kernel.choose_binding(5000).value() == "5000 virtual IPs: bound by routes; moved 1");
  CHECK(kernel.read_addresses().value() == std::vector<Address>{kVip.address});
  CHECK(kernel.choose_binding(3000).value().empty());
  CHECK(kernel.check_device().repairs.empty());
  // The next start knows it, before it knows how many are wanted.
  LinuxKernel next;
  REQUIRE(next.prepare(settings).has_value());
  CHECK(next.read_addresses().value() == std::vector<Address>{kVip.address});
  CHECK(next.choose_binding(3000).value() == "");
  CHECK(next.choose_binding(10).value() == "10 virtual IPs: bound by addresses; moved 1");
  CHECK(next.read_addresses().value() == std::vector<Address>{kVip.address});
}

TEST_CASE("prepare tries the table and leaves none") {
  enter_own_namespace();
  LinuxKernel kernel;
  REQUIRE(kernel.prepare({}).has_value());
  CHECK_FALSE(kernel.observe().value().table_present);
  CHECK(kernel.read_kube_proxy_chains().value().empty());
  REQUIRE(kernel.install_table({}, kElements) == 0);
  REQUIRE(kernel.prepare({}).has_value());
  CHECK(kernel.observe().value().elements.size() == kElements.size());
}

TEST_CASE("the record is exact where the table alone is not (C3, C4)") {
  enter_own_namespace();
  const std::string directory = std::filesystem::temp_directory_path() / "kube-ipvs-kernel-test";
  // The node's other address, at the port of our node port.
  const ServerKey beside{address("192.0.2.2"), 30080, Protocol::kTcp};
  const ServerKey other_port{kVip.address, 8080, Protocol::kTcp};
  {
    LinuxKernel kernel(directory);
    REQUIRE(kernel.prepare({}).has_value());
    std::vector<Element> elements = kElements;
    elements.push_back({.kind = ElementKind::kNodeAddress, .address = beside.address});
    REQUIRE(kernel.install_table({}, elements) == 0);
    REQUIRE(kernel.record_own({}).has_value());
    const ServerOp ours[] = {add(kVip), add(kNodePort)};
    REQUIRE(kernel.change_servers(ours) == std::vector<int>{0, 0});
    const ipvs::AddressOp bind{.add = true, .address = kVip.address};
    REQUIRE(kernel.change_addresses({&bind, 1}) == std::vector<int>{0});
    LinuxKernel others;
    const ServerOp theirs[] = {add(beside), add(other_port)};
    REQUIRE(others.change_servers(theirs) == std::vector<int>{0, 0});
    const ServerOp again = add(beside);
    REQUIRE(kernel.change_servers({&again, 1}) == std::vector<int>{EEXIST});
  }
  LinuxKernel kernel(directory);
  CHECK(kernel.observe().value().recorded == std::vector<ServerKey>{kVip, kNodePort});
  REQUIRE(kernel.cleanup({}).faults.empty());
  const auto left = kernel.observe().value();
  CHECK_FALSE(left.recorded.has_value());
  std::vector<ServerKey> keys;
  for (const auto& server : left.servers) keys.push_back(server.settings.key);
  std::sort(keys.begin(), keys.end());
  CHECK(keys == std::vector<ServerKey>{other_port, beside});
  std::filesystem::remove_all(directory);
}

TEST_CASE("a virtual server that does not masquerade is told from one that does (C1)") {
  enter_own_namespace();
  LinuxKernel kernel;
  REQUIRE(kernel.prepare({}).has_value());
  const ServerOp ops[] = {add(kVip),
                          {.command = ServerCommand::kNewDest,
                           .server = {.key = kVip},
                           .destination = {.endpoint = {address("127.0.0.2"), 80}}}};
  REQUIRE(kernel.change_servers(ops) == std::vector<int>{0, 0});
  CHECK(kernel.observe().value().not_masqueraded.empty());
}

TEST_CASE("probing a scheduler leaves no virtual server behind") {
  enter_own_namespace();
  LinuxKernel kernel;
  for (const char* scheduler : {"rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh"}) {
    INFO(scheduler);
    CHECK(kernel.probe_scheduler(scheduler).has_value());
  }
  const auto missing = kernel.probe_scheduler("no-such");
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().error_number == ENOENT);
  CHECK(missing.error().text().find("modprobe ip_vs_no-such") != std::string::npos);
  CHECK(kernel.observe().value().servers.empty());
}

TEST_CASE("what was programmed is observed, and cleanup leaves everything that is not ours") {
  enter_own_namespace();
  LinuxKernel kernel;
  REQUIRE(kernel.prepare({}).has_value());
  CHECK_FALSE(kernel.observe().value().table_present);
  REQUIRE(kernel.install_table({}, kElements) == 0);
  const ServerOp servers[] = {add(kVip), add(kNodePort), add(kForeign)};
  REQUIRE(kernel.change_servers(servers) == std::vector<int>{0, 0, 0});
  const ipvs::AddressOp bind{.add = true, .address = kVip.address};
  REQUIRE(kernel.change_addresses({&bind, 1}) == std::vector<int>{0});

  const auto observed = kernel.observe().value();
  CHECK(observed.table_present);
  CHECK(observed.servers.size() == 3);
  CHECK(observed.addresses == std::vector{kVip.address});
  CHECK(observed.elements.size() == kElements.size());

  const ipvs::CleanupReport expected = kernel.cleanup({.dry_run = true});
  CHECK(kernel.observe().value().servers.size() == 3);
  const ipvs::CleanupReport done = kernel.cleanup({});
  CHECK(done.steps == expected.steps);
  CHECK(done.steps.size() == 4);
  CHECK(done.faults.empty());
  const ipvs::CleanupReport again = kernel.cleanup({});
  CHECK(again.steps.empty());
  CHECK(again.faults.empty());
  const auto left = kernel.observe().value();
  CHECK_FALSE(left.table_present);
  CHECK(left.addresses.empty());
  REQUIRE(left.servers.size() == 1);
  CHECK(left.servers[0].settings.key == kForeign);
}
