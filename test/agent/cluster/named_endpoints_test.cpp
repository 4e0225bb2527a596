// SPDX-License-Identifier: Apache-2.0
//
// The endpoints of headless Services as DNS has them: EndpointTable::named_endpoints_of().
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/endpoint_table.hpp"
#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::EndpointSource;
using agent::EndpointTable;
using Lines = std::vector<std::string>;

k8s::Service headless(const std::vector<k8s::ServicePort>& ports = {
                          make_port(80, "http", "http")}) {
  k8s::Service service = make_service("pets", {}, ports);
  service.headless = true;
  return service;
}

k8s::Pod pet(const std::string& name, const std::string& address, const std::string& hostname = "",
             const std::string& subdomain = "") {
  k8s::Pod pod = make_pod(name, {address});
  pod.ports = {{.name = "http", .protocol = k8s::Protocol::kTcp, .container_port = 8080}};
  pod.hostname = hostname;
  pod.subdomain = subdomain;
  return pod;
}

struct Fixture {
  std::set<std::string> dirty;
  EndpointTable table;
  k8s::Service service = headless();

  explicit Fixture(EndpointSource source = EndpointSource::kSelector, bool keeps = true)
      : table(source, kThisNode, [this](const k8s::ObjectKey& key) { dirty.insert(key.name); }) {
    if (keeps) table.keep_hostnames();
    table.add_service(service.meta.key, service.selector);
  }
  void upsert(k8s::Pod pod) { table.pods().upsert(std::move(pod)); }
  void upsert(k8s::EndpointSlice slice) { table.slices().upsert(std::move(slice)); }
  bool take_dirty() { return !std::exchange(dirty, {}).empty(); }
  // "10.244.0.1 pet-0 8080", and "not ready" behind it.
  Lines endpoints() const {
    Lines lines;
    for (const agent::NamedEndpoint& e : table.named_endpoints_of(service)) {
      std::string line = e.address.to_string() + " " + (e.hostname.empty() ? "-" : e.hostname);
      for (const std::uint16_t port : e.ports) line += " " + std::to_string(port);
      lines.push_back(line + (e.ready ? "" : " not ready"));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }
};

}  // namespace

TEST_CASE("a Pod has its hostname in the Service that its subdomain names, and in no other") {
  Fixture f;
  f.upsert(pet("a", "10.244.0.1", "pet-0", "pets"));
  f.upsert(pet("b", "10.244.0.2", "pet-1", "others"));
  f.upsert(pet("c", "10.244.0.3", "pet-2"));
  f.upsert(pet("d", "10.244.0.4"));
  CHECK(f.endpoints() == Lines{"10.244.0.1 pet-0 8080", "10.244.0.2 - 8080", "10.244.0.3 - 8080",
                               "10.244.0.4 - 8080"});
}

TEST_CASE("a Pod that is not ready, or is being deleted, is no ready endpoint, unless published") {
  Fixture f;
  k8s::Pod unready = pet("a", "10.244.0.1");
  unready.ready = false;
  f.upsert(unready);
  k8s::Pod leaving = pet("b", "10.244.0.2");
  leaving.meta.deletion_timestamp = 100;
  f.upsert(leaving);
  k8s::Pod ended = pet("c", "10.244.0.3");
  ended.phase = k8s::PodPhase::kSucceeded;
  f.upsert(ended);
  CHECK(f.endpoints() == Lines{"10.244.0.1 - 8080 not ready", "10.244.0.2 - 8080 not ready"});
  f.service.publish_not_ready_addresses = true;
  CHECK(f.endpoints() == Lines{"10.244.0.1 - 8080", "10.244.0.2 - 8080"});
}

TEST_CASE("a headless Service needs no port, and a Pod not all of them") {
  Fixture f;
  f.upsert(pet("a", "10.244.0.1"));
  f.service.ports = {};
  CHECK(f.endpoints() == Lines{"10.244.0.1 -"});
  f.service.ports = {make_port(1, "missing", "x"), make_port(2, 2, "y"),
                     make_port(3, std::uint16_t{0}, "z")};
  CHECK(f.endpoints() == Lines{"10.244.0.1 - 0 2 3"});
}

TEST_CASE("a changed hostname or subdomain makes its Services dirty, and nothing else does") {
  Fixture f;
  f.upsert(pet("a", "10.244.0.1", "pet-0", "pets"));
  CHECK(f.take_dirty());
  f.upsert(pet("a", "10.244.0.1", "pet-0", "pets"));
  CHECK_FALSE(f.take_dirty());
  f.upsert(pet("a", "10.244.0.1", "pet-1", "pets"));
  CHECK(f.take_dirty());
  CHECK(f.endpoints() == Lines{"10.244.0.1 pet-1 8080"});
  f.upsert(pet("a", "10.244.0.1", "pet-1"));
  CHECK(f.take_dirty());
  CHECK(f.endpoints() == Lines{"10.244.0.1 - 8080"});
  f.table.pods().remove(key_of("a"));
  CHECK(f.endpoints().empty());
  f.upsert(pet("a", "10.244.0.9", "pet-9", "pets"));
  CHECK(f.endpoints() == Lines{"10.244.0.9 pet-9 8080"});
}

TEST_CASE("EndpointSlices say hostnames, ports and readiness themselves") {
  Fixture f(EndpointSource::kEndpointSlice);
  k8s::EndpointSlice slice = make_slice(
      "pets-1", "pets", {make_slice_endpoint("10.244.0.1"), make_slice_endpoint("10.244.0.2")});
  slice.ports[0].name = "http";
  slice.endpoints[1].ready = false;
  slice.hostnames = {"pet-0"};
  f.upsert(slice);
  CHECK(f.endpoints() == Lines{"10.244.0.1 pet-0 8080", "10.244.0.2 - 8080 not ready"});
  CHECK(f.take_dirty());
  f.upsert(slice);
  CHECK_FALSE(f.take_dirty());
  slice.hostnames = {"pet-0", "pet-1"};
  f.upsert(slice);
  CHECK(f.take_dirty());
  slice.ports.clear();
  f.upsert(slice);
  CHECK(f.endpoints() == Lines{"10.244.0.1 pet-0 0", "10.244.0.2 pet-1 0 not ready"});
  f.service.publish_not_ready_addresses = true;
  CHECK(f.endpoints() == Lines{"10.244.0.1 pet-0 0", "10.244.0.2 pet-1 0"});
}

TEST_CASE("without DNS no hostname is kept") {
  Fixture f(EndpointSource::kSelector, false);
  f.upsert(pet("a", "10.244.0.1", "pet-0", "pets"));
  f.take_dirty();
  f.upsert(pet("a", "10.244.0.1", "pet-1", "pets"));
  CHECK_FALSE(f.take_dirty());
  CHECK(f.endpoints() == Lines{"10.244.0.1 - 8080"});
}
