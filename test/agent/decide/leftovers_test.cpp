// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/leftovers.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::AddressPolicy;
using agent::HolderKind;
using ipvs::ElementKind;
using ipvs::TrafficClass;

constexpr const char* kVip = "198.51.100.77";

// What a former run left of a Service: a virtual server, its elements and, unless it is the node's
// own, the address.
void leave(ipvs::Observed& observed, const std::string& address, std::uint16_t port,
           TrafficClass traffic_class, bool bound = true) {
  observed.servers.push_back({.settings = {.key = {ip(address), port}, .scheduler = "rr"}});
  observed.elements.push_back({.kind = ElementKind::kServiceIp,
                               .address = ip(address),
                               .traffic_class = traffic_class,
                               .port = port});
  if (bound) observed.addresses.emplace_back(ip(address));
}

// "unbind 192.0.2.1", "delete TCP 192.0.2.1:80".
std::string released(const ipvs::Observed& observed, const AddressPolicy& policy) {
  std::string text;
  const auto found = agent::find_leftovers(observed, policy);
  for (const auto& op : found.release.unbind) text += "unbind " + op.address.to_string() + "\n";
  for (const auto& op : found.release.dismantle) text += "delete " + op.server.key.text() + "\n";
  CHECK(found.release.size() == found.release.unbind.size() + found.release.dismantle.size());
  CHECK(found.notes.empty() == found.release.empty());
  return text;
}

AddressPolicy api_at(const std::string& address, std::uint16_t port = 8080) {
  AddressPolicy policy;
  policy.set({HolderKind::kApiServer, "configured"}, {{ip(address), port}});
  return policy;
}

}  // namespace

TEST_CASE("what was left at the API server's address is released, and nothing beside it (B1)") {
  ipvs::Observed observed;
  leave(observed, "10.96.0.1", 443, TrafficClass::kClusterIp);
  leave(observed, kVip, 8080, TrafficClass::kExternal);
  leave(observed, "192.0.2.1", 80, TrafficClass::kExternal);
  CHECK(released(observed, api_at(kVip)) ==
        "unbind 198.51.100.77\ndelete TCP 198.51.100.77:8080\n");
  CHECK(released(observed, api_at("198.51.100.78")).empty());
}

TEST_CASE("an address that another proxy left at the API server's is released (B1)") {
  ipvs::Observed observed;
  observed.addresses = kernel_ips({kVip});
  observed.servers.push_back({.settings = {.key = {ip(kVip), 80}, .scheduler = "rr"}});
  CHECK(released(observed, api_at(kVip)) == "unbind 198.51.100.77\ndelete TCP 198.51.100.77:80\n");
}

TEST_CASE("the cluster IP by which we reach the API server stays at a start (B1)") {
  ipvs::Observed observed;
  leave(observed, "10.96.0.1", 443, TrafficClass::kClusterIp);
  CHECK(released(observed, api_at("10.96.0.1", 443)).empty());
}

TEST_CASE("a gateway that was taken is released, even as a cluster IP (B1)") {
  ipvs::Observed observed;
  leave(observed, "10.96.0.1", 443, TrafficClass::kClusterIp);
  AddressPolicy policy;
  policy.set({HolderKind::kGateway}, {{ip("10.96.0.1")}});
  CHECK(released(observed, policy) == "unbind 10.96.0.1\ndelete TCP 10.96.0.1:443\n");
}

TEST_CASE("a nameserver that was taken is released, and the cluster's DNS Service is not (B1)") {
  ipvs::Observed observed;
  leave(observed, "10.96.0.10", 53, TrafficClass::kClusterIp);
  leave(observed, "192.0.2.53", 53, TrafficClass::kExternal);
  leave(observed, "192.0.2.54", 80, TrafficClass::kExternal);
  AddressPolicy policy;
  policy.set({HolderKind::kNameserver},
             {{ip("10.96.0.10"), 53}, {ip("192.0.2.53"), 53}, {ip("192.0.2.54"), 53}});
  CHECK(released(observed, policy) == "unbind 192.0.2.54\ndelete TCP 192.0.2.54:80\n");
}

TEST_CASE("of an API server on this node the virtual server at its port is released (B1)") {
  ipvs::Observed observed;
  leave(observed, "192.168.1.1", 6443, TrafficClass::kExternal, false);
  leave(observed, "192.168.1.1", 80, TrafficClass::kExternal, false);
  AddressPolicy policy = api_at("192.168.1.1", 6443);
  policy.set_own({ip("192.168.1.1")});
  CHECK(agent::servers_in_the_way(policy) ==
        std::vector<ipvs::ServerKey>{{ip("192.168.1.1"), 6443}});
  CHECK(released(observed, policy) == "delete TCP 192.168.1.1:6443\n");
  // keepalived's, for example.
  observed.elements.clear();
  CHECK(released(observed, policy).empty());
}
