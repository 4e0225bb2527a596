// SPDX-License-Identifier: Apache-2.0
//
// The agent answers DNS from its own tables: what a Pod, a Service and the flags change of it.
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/udp.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "test/agent/app_fixture.hpp"
#include "test/agent/dns/messages.hpp"

namespace {

namespace asio = boost::asio;
using namespace agent::test;
using namespace agent::dns::test;
using asio::ip::udp;
using Lines = std::vector<std::string>;

class DnsFixture : public AppFixture {
 public:
  DnsFixture() { config.dns_binds = {{asio::ip::address_v4::loopback(), 0}}; }
  ~DnsFixture() { end(); }
  DnsFixture(const DnsFixture&) = delete;
  DnsFixture& operator=(const DnsFixture&) = delete;

  Answer ask(const std::string& name, unsigned type = 1) {
    until("the DNS server listens", [this] { return port_of("dns") != 0; });
    udp::socket client(context_, udp::v4());
    client.connect({asio::ip::address_v4::loopback(), port_of("dns")});
    client.send(asio::buffer(query({.name = name, .type = type})));
    std::string bytes(65536, ' ');
    bool done = false;
    client.async_receive(asio::buffer(bytes), [&](boost::system::error_code, std::size_t size) {
      bytes.resize(size);
      done = true;
    });
    until("it answers", [&] { return done; });
    return read_answer(bytes);
  }
  void until_answered(const std::string& name, const Lines& answers) {
    until(name + " is answered so", [&] { return ask(name).answers == answers; });
  }
};

k8s::Service headless() {
  k8s::Service service = make_service("pets", {});
  service.headless = true;
  return service;
}

constexpr const char* kWeb = "web.default.svc.cluster.local";
constexpr const char* kPets = "pets.default.svc.cluster.local";

}  // namespace

TEST_CASE_METHOD(DnsFixture, "dns agent: names are not known before the first pass, and then are") {
  start();
  CHECK(ask(kWeb).rcode() == 2);
  source->list<k8s::Node>(source->sinks.nodes, {make_node(kThisNode)});
  source->list(source->sinks.pods, {make_pod("web-1", {"10.244.0.1"})});
  source->list<k8s::EndpointSlice>(source->sinks.slices, {});
  source->list(source->sinks.services, {make_service("web", {"10.96.0.1"}), headless()});
  until_answered(kWeb, {std::string(kWeb) + ". 5 A 10.96.0.1"});
  CHECK(kernel.servers.size() == 1);
  CHECK(ask(kPets).answers == Lines{std::string(kPets) + ". 5 A 10.244.0.1"});
}

TEST_CASE_METHOD(DnsFixture, "dns agent: Pods and Services that change, change their names") {
  k8s::Pod pod = make_pod("web-1", {"10.244.0.1"});
  start_with({make_service("web", {"10.96.0.1"}), headless()}, {pod});
  until_answered(kPets, {std::string(kPets) + ". 5 A 10.244.0.1"});
  pod.hostname = "pet-0";
  pod.subdomain = "pets";
  source->sinks.pods->upsert(pod);
  const std::string name = "pet-0." + std::string(kPets);
  until_answered(name, {name + ". 5 A 10.244.0.1"});
  pod.ready = false;
  source->sinks.pods->upsert(pod);
  until("it is not ready", [this] { return ask(kPets).rcode() == 3; });
  source->sinks.services->remove(key_of("web"));
  until("it is deleted", [this] { return ask(kWeb).rcode() == 3; });
  k8s::Service alias = make_service("web", {}, {});
  alias.type = k8s::ServiceType::kExternalName;
  alias.external_name = "www.example.com";
  source->sinks.services->upsert(alias);
  until_answered(kWeb, {std::string(kWeb) + ". 5 CNAME www.example.com."});
}

TEST_CASE_METHOD(DnsFixture,
                 "dns agent: the domain is that of --cluster-domain, and others are refused") {
  config.cluster_domain = "k8s.example.org";
  start_with({make_service("web", {"10.96.0.1"})}, {});
  until_answered("web.default.svc.k8s.example.org",
                 {"web.default.svc.k8s.example.org. 5 A 10.96.0.1"});
  CHECK(ask(kWeb).rcode() == 5);
}

TEST_CASE_METHOD(DnsFixture,
                 "dns agent: a Service of another proxy has a name, and no virtual server") {
  k8s::Service other = make_service("web", {"10.96.0.1"});
  other.meta.labels["service.kubernetes.io/service-proxy-name"] = "other";
  start_with({other}, {});
  until_answered(kWeb, {std::string(kWeb) + ". 5 A 10.96.0.1"});
  CHECK(kernel.servers.empty());
}

TEST_CASE_METHOD(DnsFixture, "dns agent: what it answers is on the page of metrics") {
  start_with({make_service("web", {"10.96.0.1"})}, {});
  until_answered(kWeb, {std::string(kWeb) + ". 5 A 10.96.0.1"});
  CHECK_FALSE(metric("kube_ipvs_dns_requests_total{protocol=\"udp\",rcode=\"NOERROR\",type=\"A\"}")
                  .empty());
  CHECK(metric("kube_ipvs_dns_names") != "0");
}

TEST_CASE_METHOD(DnsFixture, "dns agent: an address in use is a condition of the node") {
  udp::socket other(context_, udp::endpoint(asio::ip::address_v4::loopback(), 0));
  config.dns_binds = {{asio::ip::address_v4::loopback(), other.local_endpoint().port()}};
  start_with({make_service("web", {"10.96.0.1"})}, {});
  const std::string field =
      "DNS on " + std::string("127.0.0.1:") + std::to_string(other.local_endpoint().port());
  until("it is a condition", [&] { return get("/conditions").find(field) != std::string::npos; });
  CHECK(log.count("Port cannot be opened") == 1);
}

TEST_CASE_METHOD(AppFixture, "dns agent: without --dns-bind-address there is no server") {
  start_with({make_service("web", {"10.96.0.1"})}, {});
  CHECK(port_of("dns") == 0);
}
