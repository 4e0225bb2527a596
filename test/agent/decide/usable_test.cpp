// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/usable.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::HostLimits;
using agent::ServiceEndpoints;
using agent::why_no_endpoint;
using agent::why_no_virtual_ip;

const std::vector<ipvs::LocalAddress> kLocal = {
    {.address = ip("203.0.113.1"), .interface_name = "eth0", .prefix_length = 24},
    {.address = ip("192.0.2.1"), .interface_name = "eth1", .prefix_length = 31},
    {.address = ip("fd00:1::1"), .interface_name = "eth0", .prefix_length = 64}};

HostLimits limits(const std::string& no_ipv6 = "") { return agent::limits_of(kLocal, no_ipv6); }

ServiceEndpoints endpoints(const std::vector<std::string>& addresses) {
  ServiceEndpoints all(1);
  for (const std::string& address : addresses) {
    all[0].push_back({.endpoint = {ip(address), 8080}, .ready = true, .serving = true});
  }
  return all;
}

std::vector<std::string> addresses_of(const ServiceEndpoints& endpoints) {
  std::vector<std::string> texts;
  for (const auto& each : endpoints[0]) texts.push_back(each.endpoint.address.to_string());
  return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("addresses that can never work are known, for endpoints and virtual IPs (A1)") {
  for (const char* address : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1",
                              "239.255.255.255", "255.255.255.255", "203.0.113.255", "::", "::1",
                              "ff02::1", "fe80::1", "::ffff:192.0.2.1"}) {
    INFO(address);
    CHECK_FALSE(why_no_endpoint(ip(address), limits()).empty());
    CHECK_FALSE(why_no_virtual_ip(ip(address), limits()).empty());
  }
  // 240.0.0.0/4 is used for Pods, a network of 31 bits has no broadcast
  // address, the first address of a network is one before Linux 5.14 only.
  for (const char* address : {"10.244.0.1", "203.0.113.1", "203.0.113.254", "240.0.0.1",
                              "255.255.255.254", "169.254.20.20", "192.0.2.1", "203.0.113.0",
                              "fd00::1", "2001:db8::1", "fec0::1", "::192.0.2.1"}) {
    INFO(address);
    CHECK(why_no_endpoint(ip(address), limits()).empty());
    CHECK(why_no_virtual_ip(ip(address), limits()).empty());
  }
  CHECK(why_no_endpoint(ip("203.0.113.255"), limits()) ==
        "the broadcast address of the network of 203.0.113.1/24 on eth0");
}

TEST_CASE("endpoints that can never work are removed, and the others stay (A1)") {
  const auto service = make_service("web", {"10.96.0.1"});
  ServiceEndpoints all = endpoints({"203.0.113.255", "10.244.0.1", "10.96.0.1", "255.255.255.255"});
  CHECK(agent::remove_unusable(all, service, {}, limits()) ==
        Texts{"endpoint 10.96.0.1 is an address of the Service itself: it gets no traffic",
              "endpoint 203.0.113.255 is the broadcast address of the network of 203.0.113.1/24 on "
              "eth0: it gets no traffic",
              "endpoint 255.255.255.255 is the broadcast address: it gets no traffic"});
  CHECK(addresses_of(all) == Texts{"10.244.0.1"});
}

TEST_CASE("of many endpoints that can never work three are named (A1)") {
  ServiceEndpoints all = endpoints({"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"});
  const auto notes = agent::remove_unusable(all, make_service("web", {"10.96.0.1"}), {}, limits());
  REQUIRE(notes.size() == 4);
  CHECK(notes[3] == "4 endpoints in all get no traffic");
}

TEST_CASE(
    "an address of this node is an endpoint also of a Service that has it as external IP (A1)") {
  auto service = make_service("web", {"10.96.0.1"});
  service.external_ips = ips({"203.0.113.1"});
  ServiceEndpoints all = endpoints({"203.0.113.1"});
  CHECK(agent::remove_unusable(all, service, {}, limits()).empty());
  CHECK(all[0].size() == 1);
}

TEST_CASE("a bad external address costs that address only (A1)") {
  auto service = make_service("web", {"10.96.0.1"});
  CHECK_FALSE(agent::usable_part(service, limits()));
  service.external_ips = ips({"192.0.2.26", "224.0.0.5"});
  service.load_balancer_ingress = {{.ip = ip("127.0.0.1")}, {.ip = ip("203.0.113.255")}};
  const auto usable = agent::usable_part(service, limits());
  REQUIRE(usable);
  CHECK(usable->service.cluster_ips == service.cluster_ips);
  CHECK(usable->service.external_ips == ips({"192.0.2.26"}));
  CHECK(usable->service.load_balancer_ingress.empty());
  CHECK(
      usable->notes ==
      Texts{"224.0.0.5 is a multicast address: not served",
            "127.0.0.1 is a loopback address: not served",
            "203.0.113.255 is the broadcast address of the network of 203.0.113.1/24 on eth0: not "
            "served"});
}

TEST_CASE(
    "on a host without IPv6 a Service of both families is served in IPv4, without a note (A2)") {
  auto service = make_service("web", {"10.96.0.1", "fd00:10:96::1"});
  service.external_ips = ips({"2001:db8::1"});
  const auto usable = agent::usable_part(service, limits("this host has no IPv6"));
  REQUIRE(usable);
  CHECK(usable->service.cluster_ips == ips({"10.96.0.1"}));
  CHECK(usable->service.external_ips.empty());
  CHECK(usable->notes.empty());
  ServiceEndpoints all = endpoints({"10.244.0.1", "fd00:10:244::1"});
  CHECK(agent::remove_unusable(all, service, {}, limits("this host has no IPv6")).empty());
  CHECK(addresses_of(all) == Texts{"10.244.0.1"});
}

TEST_CASE("on a host without IPv6 a Service of IPv6 only is not served, and says why (A2)") {
  const auto usable =
      agent::usable_part(make_service("web", {"fd00:10:96::1"}), limits("this host has no IPv6"));
  REQUIRE(usable);
  CHECK(usable->service.cluster_ips.empty());
  CHECK(usable->notes == Texts{"fd00:10:96::1 is an IPv6 address, and this host has no IPv6: not "
                               "served"});
}
