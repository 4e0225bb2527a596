// SPDX-License-Identifier: Apache-2.0
#include "k8s/manifests/allocator.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "k8s/manifests/pool.hpp"

namespace {

using namespace k8s;

Address ip(const char* text) { return boost::asio::ip::make_address(text); }

const Cidr kSmall{ip("10.96.0.0"), 26};
const Cidr kWide{ip("10.96.0.0"), 12};
const Cidr kSix{ip("fd00:96::"), 108};

struct Wish {
  Service service;
  ManifestExtras<Service> extras;
};

Wish wish(const std::string& name, ServiceType type = ServiceType::kClusterIp) {
  Wish made;
  made.service.meta.key = {"default", name};
  made.service.type = type;
  made.service.ports = {{.name = "", .protocol = Protocol::kTcp, .port = 80}};
  return made;
}

// Allocates, and returns the Services that were not refused, by name.
std::map<ObjectKey, Service> run(const std::vector<Wish>& wishes, const AllocationRanges& ranges,
                                 const std::map<ObjectKey, Service>& previous = {},
                                 std::vector<std::string>* conflicts = nullptr) {
  std::vector<AllocationRequest> requests;
  for (const Wish& one : wishes) {
    const auto before = previous.find(one.service.meta.key);
    requests.push_back(
        {&one.service, &one.extras, before == previous.end() ? nullptr : &before->second});
  }
  const AllocationResult result = allocate(requests, ranges);
  std::map<ObjectKey, Service> made;
  for (std::size_t i = 0; i < wishes.size(); ++i) {
    if (result.allocations[i].refused) continue;
    made.emplace(wishes[i].service.meta.key,
                 with_allocation(wishes[i].service, result.allocations[i]));
  }
  if (conflicts != nullptr) *conflicts = result.conflicts;
  return made;
}

std::string fault(const Wish& one, const AllocationRanges& ranges) {
  return allocation_fault(one.service, one.extras, ranges);
}

// ------------------------------------------------------------------ properties

// Few names and a small range, so that hashes collide; some have explicit numbers.
Wish arbitrary_wish(const std::string& name) {
  Wish made = wish(name, *rc::gen::element(ServiceType::kClusterIp, ServiceType::kNodePort,
                                           ServiceType::kLoadBalancer));
  made.service.meta.creation_timestamp = *rc::gen::element<UnixSeconds>(0, 5, 9);
  if (*rc::gen::weightedElement<bool>({{1, true}, {3, false}})) {
    const auto low = *rc::gen::inRange(1, 63);
    made.service.cluster_ips = {ip(("10.96.0." + std::to_string(low)).c_str())};
  }
  if (made.service.type != ServiceType::kClusterIp) {
    made.service.ports.push_back({.name = "dns", .protocol = Protocol::kUdp, .port = 53});
    made.service.ports.push_back({.name = "dns-tcp", .protocol = Protocol::kTcp, .port = 53});
    made.service.ports[0].name = "http";
    if (*rc::gen::weightedElement<bool>({{1, true}, {3, false}})) {
      made.service.ports[0].node_port = static_cast<std::uint16_t>(*rc::gen::inRange(30000, 30150));
    }
  }
  if (made.service.type == ServiceType::kLoadBalancer) {
    made.service.external_traffic_policy =
        *rc::gen::element(TrafficPolicy::kCluster, TrafficPolicy::kLocal);
  }
  return made;
}

std::vector<Wish> arbitrary_wishes() {
  const auto numbers = *rc::gen::container<std::set<int>>(rc::gen::inRange(0, 40));
  std::vector<Wish> wishes;
  for (const int number : numbers) wishes.push_back(arbitrary_wish("s" + std::to_string(number)));
  return wishes;
}

const AllocationRanges kTight{{kSmall}, 30000, 30149};

bool asks_by_number(const Wish& one) {
  return !one.service.cluster_ips.empty() ||
         std::any_of(one.service.ports.begin(), one.service.ports.end(),
                     [](const ServicePort& port) { return port.node_port != 0; });
}

TEST_CASE("no number is given out twice, and each Service gets those its type has") {
  REQUIRE(rc::check("no duplicates", [] {
    const auto made = run(arbitrary_wishes(), kTight);
    std::set<Address> addresses;
    std::set<std::pair<std::uint16_t, Protocol>> ports;
    for (const auto& [key, service] : made) {
      RC_ASSERT(service.cluster_ips.size() == 1u);
      RC_ASSERT(AddressPool(kSmall).usable(service.cluster_ips[0]));
      RC_ASSERT(addresses.insert(service.cluster_ips[0]).second);
      for (const ServicePort& port : service.ports) {
        if (service.type == ServiceType::kClusterIp) {
          RC_ASSERT(port.node_port == 0);
          continue;
        }
        RC_ASSERT(port.node_port >= 30000 && port.node_port <= 30149);
        RC_ASSERT(ports.emplace(port.node_port, port.protocol).second);
      }
      const bool checked = service.type == ServiceType::kLoadBalancer &&
                           service.external_traffic_policy == TrafficPolicy::kLocal;
      RC_ASSERT((service.health_check_node_port != 0) == checked);
      if (checked) RC_ASSERT(ports.emplace(service.health_check_node_port, Protocol::kTcp).second);
    }
  }));
}

TEST_CASE("the order in which the Services are read does not matter") {
  REQUIRE(rc::check("any order", [] {
    std::vector<Wish> wishes = arbitrary_wishes();
    const auto first = run(wishes, kTight);
    std::reverse(wishes.begin(), wishes.end());
    RC_ASSERT(run(wishes, kTight) == first);
    const auto turn = wishes.empty() ? 0 : *rc::gen::inRange<std::size_t>(0, wishes.size());
    std::rotate(wishes.begin(), wishes.begin() + static_cast<std::ptrdiff_t>(turn), wishes.end());
    RC_ASSERT(run(wishes, kTight) == first);
  }));
}

TEST_CASE("adding and removing other Services changes no numbers while the process runs") {
  REQUIRE(rc::check("stable", [] {
    const std::vector<Wish> wishes = arbitrary_wishes();
    std::vector<Wish> before;
    std::vector<Wish> after;
    for (const Wish& one : wishes) {
      // Services with explicit numbers are in both, because they may displace others.
      const int where = asks_by_number(one) ? 2 : *rc::gen::inRange(0, 3);
      if (where != 1) before.push_back(one);
      if (where != 0) after.push_back(one);
    }
    const auto first = run(before, kTight);
    const auto second = run(after, kTight, first);
    for (const auto& [key, service] : first) {
      const auto found = second.find(key);
      if (found != second.end()) RC_ASSERT(found->second == service);
    }
  }));
}

TEST_CASE("allocating again with nothing changed changes nothing") {
  REQUIRE(rc::check("idempotent", [] {
    const std::vector<Wish> wishes = arbitrary_wishes();
    const auto first = run(wishes, kTight);
    RC_ASSERT(run(wishes, kTight, first) == first);
  }));
}

// ------------------------------------------------------------------ addresses

TEST_CASE("the hash of a name never changes, because allocations depend on it") {
  CHECK(stable_hash("default/my-nginx") == 0xbd46d99d68935136u);
  const auto made = run({wish("my-nginx")}, {{kWide}});
  CHECK(made.at({"default", "my-nginx"}).cluster_ips == std::vector{ip("10.100.97.75")});
}

TEST_CASE("headless and ExternalName Services get no address") {
  Wish headless = wish("a");
  headless.service.headless = true;
  const auto made = run({headless, wish("b", ServiceType::kExternalName)}, {{kWide}});
  CHECK(made.at({"default", "a"}).cluster_ips.empty());
  CHECK(made.at({"default", "b"}).cluster_ips.empty());
}

TEST_CASE("a range is used to its last address, except for its network and broadcast addresses") {
  const AllocationRanges ranges{{{ip("192.0.2.0"), 29}}};
  std::vector<Wish> wishes;
  for (int i = 0; i < 7; ++i) wishes.push_back(wish("s" + std::to_string(i)));
  std::vector<std::string> conflicts;
  const auto made = run(wishes, ranges, {}, &conflicts);
  CHECK(made.size() == 6);
  for (const auto& [key, service] : made) {
    CHECK(service.cluster_ips[0] != ip("192.0.2.0"));
    CHECK(service.cluster_ips[0] != ip("192.0.2.7"));
  }
  CHECK(conflicts ==
        std::vector<std::string>{"Service default/s6: spec.clusterIP: no free IPv4 address "
                                 "(--service-cluster-ip-range): not used until it is free"});
}

TEST_CASE("automatic addresses leave the start of the range to explicit ones") {
  std::vector<Wish> wishes;
  for (int i = 0; i < 200; ++i) wishes.push_back(wish("s" + std::to_string(i)));
  for (const auto& [key, service] : run(wishes, {{{ip("10.96.0.0"), 16}}})) {
    CHECK(service.cluster_ips[0] > ip("10.96.1.0"));
  }
}

TEST_CASE("an explicit address must be in the range") {
  const AllocationRanges ranges{{kSmall}};
  Wish one = wish("a");
  for (const char* bad : {"10.97.0.1", "10.96.0.64", "10.96.0.0", "10.96.0.63"}) {
    one.service.cluster_ips = {ip(bad)};
    CHECK(fault(one, ranges) == "spec.clusterIP: " + std::string(bad) +
                                    " is not an address of the range 10.96.0.0/26 "
                                    "(--service-cluster-ip-range)");
  }
  one.service.cluster_ips = {ip("fd00::1")};
  CHECK(fault(one, ranges).starts_with("spec.clusterIP: there is no IPv6 range for fd00::1"));
  one.service.cluster_ips = {ip("10.96.0.1")};
  CHECK(fault(one, ranges).empty());
}

TEST_CASE("of two Services with the same explicit address the older gets it and the other waits") {
  Wish a = wish("a");
  Wish b = wish("b");
  a.service.cluster_ips = b.service.cluster_ips = {ip("10.96.0.10")};
  a.service.meta.creation_timestamp = 20;
  b.service.meta.creation_timestamp = 10;
  std::vector<std::string> conflicts;
  CHECK(run({a, b}, {{kWide}}, {}, &conflicts).contains({"default", "b"}));
  CHECK(conflicts ==
        std::vector<std::string>{"Service default/a: spec.clusterIP: 10.96.0.10 belongs to Service "
                                 "default/b: not used until it is free"});
  b.service.meta.creation_timestamp = 20;
  CHECK(run({b, a}, {{kWide}}).contains({"default", "a"}));
}

TEST_CASE("an explicit address displaces the Service that was given it by hash") {
  const auto first = run({wish("dynamic")}, {{kWide}});
  Wish fixed = wish("fixed");
  fixed.service.cluster_ips = first.at({"default", "dynamic"}).cluster_ips;
  std::vector<std::string> conflicts;
  const auto second = run({wish("dynamic"), fixed}, {{kWide}}, first, &conflicts);
  CHECK(second.at({"default", "fixed"}).cluster_ips == fixed.service.cluster_ips);
  CHECK(second.at({"default", "dynamic"}).cluster_ips != fixed.service.cluster_ips);
  CHECK(conflicts.size() == 1);
  CHECK(run({wish("dynamic"), fixed}, {{kWide}}) == second);  // as on a node that starts now
}

TEST_CASE("a dual-stack Service gets an address of each family, in the order it asks for") {
  const AllocationRanges both{{kWide, kSix}};
  Wish one = wish("a");
  CHECK(run({one}, both).at({"default", "a"}).cluster_ips.size() == 1);
  one.extras.family_policy = FamilyPolicy::kPreferDualStack;
  const auto four_first = run({one}, both).at({"default", "a"}).cluster_ips;
  REQUIRE(four_first.size() == 2);
  CHECK(four_first[0].is_v4());
  CHECK(contains(kSix, four_first[1]));
  CHECK(run({one}, {{kWide}}).at({"default", "a"}).cluster_ips.size() == 1);
  one.extras.families = {IpFamily::kIpv6};
  CHECK(run({one}, both).at({"default", "a"}).cluster_ips ==
        std::vector{four_first[1], four_first[0]});
  one.extras.family_policy = FamilyPolicy::kSingleStack;
  CHECK(run({one}, both).at({"default", "a"}).cluster_ips == std::vector{four_first[1]});
}

TEST_CASE("a Service that becomes dual-stack keeps the address it has") {
  const AllocationRanges both{{kWide, kSix}};
  Wish one = wish("a");
  one.extras.families = {IpFamily::kIpv6};
  const auto first = run({one}, both);
  one.extras.families = {IpFamily::kIpv4, IpFamily::kIpv6};
  const auto second = run({one}, both, first).at({"default", "a"}).cluster_ips;
  REQUIRE(second.size() == 2);
  CHECK(second[0].is_v4());
  CHECK(second[1] == first.at({"default", "a"}).cluster_ips[0]);
}

TEST_CASE("a family without a range is refused") {
  Wish one = wish("a");
  one.extras.family_policy = FamilyPolicy::kRequireDualStack;
  CHECK(fault(one, {{kWide}}).starts_with("spec.ipFamilyPolicy: RequireDualStack needs two"));
  CHECK(fault(one, {{kWide, kSix}}).empty());
  one.extras = {};
  one.extras.families = {IpFamily::kIpv6};
  CHECK(fault(one, {{kWide}}).starts_with("spec.ipFamilies: there is no IPv6 range"));
}

TEST_CASE("a large IPv6 range is used") {
  const auto made = run({wish("a")}, {{{ip("fd00::"), 8}}});
  const Address address = made.at({"default", "a"}).cluster_ips.at(0);
  CHECK(contains({ip("fd00::"), 8}, address));
}

// ------------------------------------------------------------------ node ports

TEST_CASE("ports with the same number and different protocols share a node port") {
  Wish dns = wish("dns", ServiceType::kNodePort);
  dns.service.ports = {{.name = "udp", .protocol = Protocol::kUdp, .port = 53},
                       {.name = "tcp", .protocol = Protocol::kTcp, .port = 53},
                       {.name = "metrics", .protocol = Protocol::kTcp, .port = 9153}};
  const auto ports = run({dns}, {{kWide}}).at({"default", "dns"}).ports;
  CHECK(ports[0].node_port >= 30086);
  CHECK(ports[0].node_port == ports[1].node_port);
  CHECK(ports[2].node_port != ports[0].node_port);
  dns.service.ports[1].node_port = 30053;
  CHECK(run({dns}, {{kWide}}).at({"default", "dns"}).ports[0].node_port == 30053);
}

TEST_CASE("a node port follows the name of its port") {
  Wish one = wish("a", ServiceType::kNodePort);
  one.service.ports = {{.name = "http", .protocol = Protocol::kTcp, .port = 80}};
  const auto first = run({one}, {{kWide}});
  one.service.ports = {{.name = "new", .protocol = Protocol::kTcp, .port = 81},
                       {.name = "http", .protocol = Protocol::kTcp, .port = 8080}};
  const auto second = run({one}, {{kWide}}, first);
  CHECK(second.at({"default", "a"}).ports[1].node_port ==
        first.at({"default", "a"}).ports[0].node_port);
}

TEST_CASE("invalid node ports are refused, with the name of the field") {
  const AllocationRanges ranges{{kWide}};
  Wish one = wish("a", ServiceType::kNodePort);
  one.service.ports[0].node_port = 8080;
  CHECK(fault(one, ranges) == "spec.ports[0].nodePort: 8080 is not in the range 30000-32767");
  one.service.ports[0].node_port = 30080;
  CHECK(fault(one, ranges).empty());
  one.service.ports.push_back(
      {.name = "b", .protocol = Protocol::kUdp, .port = 80, .node_port = 30080});
  CHECK(fault(one, ranges).empty());
  one.service.ports[1].protocol = Protocol::kTcp;
  CHECK(fault(one, ranges) == "spec.ports[1].nodePort: 30080 is used twice");
  one.service.ports.pop_back();
  one.service.type = ServiceType::kLoadBalancer;
  one.service.external_traffic_policy = TrafficPolicy::kLocal;
  one.service.health_check_node_port = 30080;
  CHECK(fault(one, ranges).starts_with("spec.healthCheckNodePort: 30080 is also a node port"));
  one.service.health_check_node_port = 80;
  CHECK(fault(one, ranges) == "spec.healthCheckNodePort: 80 is not in the range 30000-32767");
  one.service.type = ServiceType::kClusterIp;
  CHECK(fault(one, ranges) ==
        "spec.ports[0].nodePort: only types NodePort and LoadBalancer have one");
}

TEST_CASE("two Services may have the same explicit node port only for different protocols") {
  Wish a = wish("a", ServiceType::kNodePort);
  Wish b = wish("b", ServiceType::kNodePort);
  a.service.ports[0].node_port = b.service.ports[0].node_port = 30080;
  std::vector<std::string> conflicts;
  CHECK(run({b, a}, {{kWide}}, {}, &conflicts).size() == 1);
  CHECK(conflicts == std::vector<std::string>{
                         "Service default/b: spec.ports[0].nodePort: 30080/TCP belongs to Service "
                         "default/a: not used until it is free"});
  b.service.ports[0].protocol = Protocol::kUdp;
  CHECK(run({b, a}, {{kWide}}).size() == 2);
}

TEST_CASE("a LoadBalancer may have no node ports") {
  Wish one = wish("a", ServiceType::kLoadBalancer);
  CHECK(run({one}, {{kWide}}).at({"default", "a"}).ports[0].node_port != 0);
  one.extras.allocate_node_ports = false;
  CHECK(run({one}, {{kWide}}).at({"default", "a"}).ports[0].node_port == 0);
  one.service.ports[0].node_port = 30080;
  CHECK(run({one}, {{kWide}}).at({"default", "a"}).ports[0].node_port == 30080);
}

TEST_CASE("when node ports run out, the remaining Services are reported and left out") {
  std::vector<Wish> wishes;
  for (int i = 0; i < 4; ++i)
    wishes.push_back(wish("s" + std::to_string(i), ServiceType::kNodePort));
  std::vector<std::string> conflicts;
  CHECK(run(wishes, {{kWide}, 30000, 30002}, {}, &conflicts).size() == 3);
  CHECK(conflicts.size() == 1);
}

}  // namespace
