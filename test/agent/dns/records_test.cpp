// SPDX-License-Identifier: Apache-2.0
//
// "Kubernetes DNS-Based Service Discovery" 1.1.0, section by section: what a Service is, and then all
// of its records.
#include "agent/dns/records.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent;
using namespace agent::test;
using Lines = std::vector<std::string>;

const dns::Name kZone = dns::name_of("cluster.local.").value();

// What each line begins with, and what it is.
Lines lines_of(const std::vector<dns::Record>& records) {
  Lines lines;
  for (const dns::Record& record : records) lines.push_back(dns::text_of(record));
  std::sort(lines.begin(), lines.end());
  return lines;
}

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

k8s::Service headless(const std::vector<k8s::ServicePort>& ports = {make_port(80, 8080, "http")}) {
  k8s::Service service = make_service("pets", {}, ports);
  service.headless = true;
  return service;
}

k8s::Service alias(const std::string& target) {
  k8s::Service service = make_service("foo", {}, {});
  service.type = k8s::ServiceType::kExternalName;
  service.external_name = target;
  return service;
}

NamedEndpoint endpoint(const std::string& address, const std::string& hostname = "",
                       std::vector<std::uint16_t> ports = {8080}) {
  return {.address = ip(address), .ready = true, .hostname = hostname, .ports = std::move(ports)};
}

k8s::ServicePort port_of(const std::string& name, std::uint16_t number, k8s::Protocol protocol) {
  k8s::ServicePort port = make_port(number, number, name);
  port.protocol = protocol;
  return port;
}

}  // namespace

TEST_CASE("dns: the records of each section of the specification, version 1.1.0") {
  struct Row {
    const char* section;
    k8s::Service service;
    std::vector<NamedEndpoint> endpoints;
    Lines records;
  };
  const std::string six =
      "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
  const std::vector<Row> table = {
      {"2.3.1 A, 2.3.3 PTR",
       make_service("kubernetes", {"10.3.0.1"}),
       {},
       {"kubernetes.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "1.0.3.10.in-addr.arpa. 5 IN PTR kubernetes.default.svc.cluster.local."}},
      {"2.3.1 AAAA, 2.3.3 PTR",
       make_service("kubernetes", {"2001:db8::1"}),
       {},
       {"kubernetes.default.svc.cluster.local. 5 IN AAAA 2001:db8::1",
        six + " 5 IN PTR kubernetes.default.svc.cluster.local."}},
      {"2.3.1 both families",
       make_service("web", {"10.3.0.1", "2001:db8::1"}),
       {},
       {"web.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "web.default.svc.cluster.local. 5 IN AAAA 2001:db8::1",
        "1.0.3.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local.",
        six + " 5 IN PTR web.default.svc.cluster.local."}},
      {"2.3.2 SRV, of named ports only, with the Service's port",
       make_service("kubernetes", {"10.3.0.1"},
                    {make_port(443, 6443, "https"), port_of("dns", 53, k8s::Protocol::kUdp),
                     port_of("sig", 9899, k8s::Protocol::kSctp)}),
       {},
       {"kubernetes.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "_https._tcp.kubernetes.default.svc.cluster.local. 5 IN SRV 0 100 443 "
        "kubernetes.default.svc.cluster.local.",
        "_dns._udp.kubernetes.default.svc.cluster.local. 5 IN SRV 0 100 53 "
        "kubernetes.default.svc.cluster.local.",
        "_sig._sctp.kubernetes.default.svc.cluster.local. 5 IN SRV 0 100 9899 "
        "kubernetes.default.svc.cluster.local.",
        "1.0.3.10.in-addr.arpa. 5 IN PTR kubernetes.default.svc.cluster.local."}},
      {"2.3 endpoints of a Service with a cluster IP have no names",
       make_service("web", {"10.3.0.1"}),
       {endpoint("10.244.0.1", "pod")},
       {"web.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "1.0.3.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local."}},
      {"2.3 a cluster IP that is not allocated yet", make_service("web", {}), {}, {}},
      {"2.4.1 A, 2.4.2 SRV, 2.4.3 PTR",
       headless(),
       {endpoint("10.3.0.100", "my-pet"), endpoint("10.3.0.101")},
       {"pets.default.svc.cluster.local. 5 IN A 10.3.0.100",
        "pets.default.svc.cluster.local. 5 IN A 10.3.0.101",
        "my-pet.pets.default.svc.cluster.local. 5 IN A 10.3.0.100",
        "10-3-0-101.pets.default.svc.cluster.local. 5 IN A 10.3.0.101",
        "_http._tcp.pets.default.svc.cluster.local. 5 IN SRV 0 100 8080 "
        "my-pet.pets.default.svc.cluster.local.",
        "_http._tcp.pets.default.svc.cluster.local. 5 IN SRV 0 100 8080 "
        "10-3-0-101.pets.default.svc.cluster.local.",
        "100.0.3.10.in-addr.arpa. 5 IN PTR my-pet.pets.default.svc.cluster.local.",
        "101.0.3.10.in-addr.arpa. 5 IN PTR 10-3-0-101.pets.default.svc.cluster.local."}},
      {"2.4.1 AAAA",
       headless({}),
       {endpoint("2001:db8::1", "my-pet", {})},
       {"pets.default.svc.cluster.local. 5 IN AAAA 2001:db8::1",
        "my-pet.pets.default.svc.cluster.local. 5 IN AAAA 2001:db8::1",
        six + " 5 IN PTR my-pet.pets.default.svc.cluster.local."}},
      {"2.4.1 several addresses with one hostname, 2.4.2 one SRV record for both",
       headless(),
       {endpoint("10.3.0.1", "my-pet"), endpoint("10.3.0.2", "my-pet")},
       {"pets.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "pets.default.svc.cluster.local. 5 IN A 10.3.0.2",
        "my-pet.pets.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "my-pet.pets.default.svc.cluster.local. 5 IN A 10.3.0.2",
        "_http._tcp.pets.default.svc.cluster.local. 5 IN SRV 0 100 8080 "
        "my-pet.pets.default.svc.cluster.local.",
        "1.0.3.10.in-addr.arpa. 5 IN PTR my-pet.pets.default.svc.cluster.local.",
        "2.0.3.10.in-addr.arpa. 5 IN PTR my-pet.pets.default.svc.cluster.local."}},
      {"2.4.2 none for an unnamed port, and none where the endpoint has not that port",
       headless({make_port(80), make_port(81, 81, "http")}),
       {endpoint("10.3.0.1", "a", {8080, 0})},
       {"pets.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "a.pets.default.svc.cluster.local. 5 IN A 10.3.0.1",
        "1.0.3.10.in-addr.arpa. 5 IN PTR a.pets.default.svc.cluster.local."}},
      {"2.4.1 no ready endpoint", headless(), {{.address = ip("10.3.0.1"), .hostname = "a"}}, {}},
      {"2.5 CNAME",
       alias("www.example.com"),
       {},
       {"foo.default.svc.cluster.local. 5 IN CNAME www.example.com."}},
      {"2.5 what looks like an address is a name",
       alias("192.0.2.53"),
       {},
       {"foo.default.svc.cluster.local. 5 IN CNAME 192.0.2.53."}},
      {"2.5 without a name", alias(""), {}, {}},
  };
  for (const Row& row : table) {
    CAPTURE(row.section);
    CHECK(lines_of(dns::records_of(row.service, row.endpoints, kZone)) == sorted(row.records));
  }
}

TEST_CASE("dns: the version of the specification is a TXT record of the zone (2.2)") {
  const auto records = dns::zone_records(kZone, {ip("10.0.0.53"), ip("fd00::53"), ip("0.0.0.0")});
  CHECK(lines_of(records) == Lines{"cluster.local. 5 IN NS ns.dns.cluster.local.",
                                   "dns-version.cluster.local. 5 IN TXT \"1.1.0\"",
                                   "ns.dns.cluster.local. 5 IN A 10.0.0.53",
                                   "ns.dns.cluster.local. 5 IN AAAA fd00::53"});
}

TEST_CASE("dns: an endpoint that two EndpointSlices have has its records once") {
  const auto once = dns::records_of(headless(), {endpoint("10.3.0.1")}, kZone);
  CHECK(dns::records_of(headless(), {endpoint("10.3.0.1"), endpoint("10.3.0.1")}, kZone) == once);
}

TEST_CASE("dns: an endpoint without a hostname is named by its address") {
  const auto records = dns::records_of(headless({}), {endpoint("fd00:244::5", "", {})}, kZone);
  CHECK(lines_of(records).back() == "pets.default.svc.cluster.local. 5 IN AAAA fd00:244::5");
  CHECK(lines_of(records)[1] ==
        "fd00-244--5.pets.default.svc.cluster.local. 5 IN AAAA fd00:244::5");
}

TEST_CASE("dns: a Service whose name is no label has no records") {
  for (const std::string& name : {std::string(64, 'a'), std::string("a.b"), std::string()}) {
    CAPTURE(name);
    CHECK(dns::records_of(make_service(name, {"10.3.0.1"}), {}, kZone).empty());
  }
  CHECK_FALSE(dns::records_of(make_service(std::string(63, 'a'), {"10.3.0.1"}), {}, kZone).empty());
}

TEST_CASE("dns: names are in lower case, within the limits of RFC 1035") {
  CHECK(dns::text_of(dns::name_of("WWW.Example.COM").value()) == "www.example.com.");
  CHECK(dns::name_of(".") == dns::Name(1, '\0'));
  for (const char* text : {"a..b", "a..", ".a"}) CHECK_FALSE(dns::name_of(text));
  CHECK_FALSE(dns::name_of(std::string(64, 'a') + ".b"));
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "a.";
  CHECK(dns::name_of(longest).value().size() == dns::kLongestName);
  CHECK_FALSE(dns::name_of(longest + "a."));
  CHECK(dns::text_of(dns::Name("\x03"
                               "a.\x01"
                               "\x00",
                               5)) == "a\\046\\001.");
}

TEST_CASE("dns: a name is within a zone by whole labels") {
  const auto within = [](const char* name, const char* apex) {
    return dns::is_within(dns::name_of(name).value(), dns::name_of(apex).value());
  };
  CHECK(within("a.cluster.local", "cluster.local"));
  CHECK(within("cluster.local", "cluster.local"));
  CHECK(within("cluster.local", "."));
  CHECK_FALSE(within("mycluster.local", "cluster.local"));
  CHECK_FALSE(within("local", "cluster.local"));
  // A label whose bytes look like the end of the zone's name.
  const dns::Name apex = dns::name_of("ab").value();
  CHECK_FALSE(dns::is_within(dns::Name("\x04"
                                       "x\x02"
                                       "ab\x00",
                                       6),
                             apex));
}
