// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/address_policy.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::AddressField;
using agent::AddressPolicy;
using agent::AddressUse;
using agent::Holder;
using agent::HolderKind;
using enum agent::AddressField;

constexpr const char* kVip = "198.51.100.77";

// The fields by which a Service may not have the address, by their letters: cluster IP, node port,
// load balancer, external IP.
std::string refused(const AddressPolicy& policy, AddressUse use) {
  std::string letters;
  const std::array<std::pair<AddressField, char>, 4> fields{
      {{kClusterIp, 'c'}, {kNodePort, 'n'}, {kLoadBalancer, 'l'}, {kExternalIp, 'e'}}};
  for (const auto& [field, letter] : fields) {
    use.field = field;
    if (policy.refusal(use)) letters += letter;
  }
  return letters;
}

AddressUse at(const std::string& address, std::uint16_t port = 80) {
  return {.address = ip(address), .port = port};
}

AddressPolicy held_by(const Holder& holder, const std::string& address, std::uint16_t port = 0) {
  AddressPolicy policy;
  policy.set(holder, {{ip(address), port}});
  return policy;
}

}  // namespace

TEST_CASE("an address that nobody needs may be served by any field, and bound") {
  const AddressPolicy policy({ip("192.168.1.1")});
  CHECK(refused(policy, at(kVip)).empty());
  CHECK_FALSE(policy.is_own(ip(kVip)));
  CHECK_FALSE(policy.has_holder(ip(kVip)));
}

TEST_CASE("the API server's address is no Service's, except as default/kubernetes' own (B1)") {
  const auto policy = held_by({HolderKind::kApiServer, "configured"}, kVip, 8080);
  CHECK(refused(policy, at(kVip)) == "cnle");
  CHECK(refused(policy, at(kVip, 8080)) == "cnle");
  AddressUse own = at(kVip, 443);
  own.is_kubernetes = true;
  CHECK(refused(policy, own) == "le");
  CHECK(policy.refusal(at(kVip)) == "the address of the API server");
}

TEST_CASE("a proxy to the API server and the gateways are protected from every field (B1)") {
  CHECK(refused(held_by({HolderKind::kProxy}, kVip, 3128), at(kVip)) == "cnle");
  CHECK(refused(held_by({HolderKind::kGateway}, kVip), at(kVip)) == "cnle");
  CHECK(refused(held_by({HolderKind::kGateway}, "fd00::1"), at("fd00:0::1")) == "cnle");
}

TEST_CASE("a nameserver may be a cluster IP, or a load balancer's with a port 53 (B1)") {
  const auto policy = held_by({HolderKind::kNameserver}, "10.96.0.10", 53);
  CHECK(refused(policy, at("10.96.0.10", 53)) == "le");
  AddressUse dns = at("10.96.0.10", 53);
  dns.answers_dns = true;
  CHECK(refused(policy, dns) == "e");
}

TEST_CASE("what the API server allocates counts more than what a Node says of itself (B3)") {
  const auto policy = held_by({HolderKind::kNode, "worker"}, "10.96.0.10");
  CHECK(refused(policy, at("10.96.0.10")) == "le");
  CHECK(policy.refusal({.address = ip("10.96.0.10"), .field = kExternalIp}) ==
        "the address of Node worker");
}

TEST_CASE("this node's own addresses count more than what a Node or a route says (B2)") {
  auto policy = held_by({HolderKind::kNode, "node-old-name"}, "203.0.113.1");
  policy.set({HolderKind::kGateway}, {{ip("203.0.113.1")}});
  CHECK(refused(policy, at("203.0.113.1")) == "cnle");
  CHECK(policy.set_own({ip("203.0.113.1")}) == AddressPolicy::Addresses{ip("203.0.113.1")});
  CHECK(refused(policy, at("203.0.113.1")).empty());
  CHECK(policy.is_own(ip("203.0.113.1")));
}

TEST_CASE("of an own address the ports of the API server and a nameserver are protected (B1)") {
  AddressPolicy policy({ip("203.0.113.1")});
  policy.set({HolderKind::kApiServer}, {{ip("203.0.113.1"), 6443}});
  policy.set({HolderKind::kNameserver}, {{ip("203.0.113.1"), 53}});
  CHECK(refused(policy, at("203.0.113.1", 80)).empty());
  CHECK(refused(policy, at("203.0.113.1", 6443)) == "cnle");
  CHECK(refused(policy, at("203.0.113.1", 53)) == "le");
  AddressUse udp = at("203.0.113.1", 6443);
  udp.protocol = ipvs::Protocol::kUdp;
  CHECK(refused(policy, udp).empty());
}

TEST_CASE("an address of several holders is free when the last of them is gone (B4)") {
  AddressPolicy policy;
  const Holder wa{HolderKind::kNode, "wa"};
  const Holder wb{HolderKind::kNode, "wb"};
  policy.set(wb, {{ip("172.20.0.2")}});
  policy.set(wa, {{ip("172.20.0.2")}});
  const auto why = [&] {
    return policy.refusal({.address = ip("172.20.0.2"), .field = kExternalIp});
  };
  CHECK(why() == "the address of Node wa");
  CHECK(policy.set(wa, {}) == AddressPolicy::Addresses{ip("172.20.0.2")});
  CHECK(why() == "the address of Node wb");
  policy.set(wa, {{ip("172.20.0.2")}});
  policy.set(wb, {{ip("172.20.0.3")}});
  CHECK(why() == "the address of Node wa");
  policy.set(wa, {});
  CHECK_FALSE(why());
  CHECK_FALSE(policy.has_holder(ip("172.20.0.2")));
}

TEST_CASE("an address known from several places is protected until none has it (B4)") {
  AddressPolicy policy;
  for (const char* from : {"configured", "resolved"}) {
    policy.set({HolderKind::kApiServer, from}, {{ip(kVip), 443}});
  }
  policy.set({HolderKind::kApiServer, "resolved"}, {});
  CHECK(refused(policy, at(kVip)) == "cnle");
  policy.set({HolderKind::kApiServer, "configured"}, {});
  CHECK(refused(policy, at(kVip)).empty());
}

TEST_CASE("a Node whose cloud reports the addresses of kube-ipvs0 protects its first only (B3)") {
  AddressPolicy policy;
  policy.set_kubernetes(kernel_ips({"10.96.0.1"}));
  const Holder worker{HolderKind::kNode, "worker"};
  policy.set(worker, {{ip("172.20.0.2")}, {ip("192.0.2.10")}, {ip("fd00::2")}});
  CHECK(refused(policy, at("192.0.2.10")) == "le");  // it may well have two addresses
  const auto changed = policy.set(
      worker, {{ip("172.20.0.2")}, {ip("10.96.0.1")}, {ip("192.0.2.10")}, {ip("fd00::2")}});
  CHECK(changed.contains(ip("192.0.2.10")));
  CHECK(refused(policy, at("192.0.2.10")).empty());
  CHECK(refused(policy, at("172.20.0.2")) == "le");
  CHECK(refused(policy, at("fd00::2")) == "le");
  CHECK(policy.set_kubernetes(kernel_ips({"10.97.0.1"})).contains(ip("192.0.2.10")));
  CHECK(refused(policy, at("192.0.2.10")) == "le");
}

TEST_CASE("a change that changes nothing reports nothing") {
  AddressPolicy policy;
  const Holder node{HolderKind::kNode, "worker"};
  CHECK(policy.set(node, {}).empty());
  CHECK(policy.set(node, {{ip("172.20.0.2")}}).size() == 1);
  CHECK(policy.set(node, {{ip("172.20.0.2")}}).empty());
  CHECK(policy.set_own({ip("172.20.0.1")}).size() == 1);
  CHECK(policy.set_own({ip("172.20.0.1")}).empty());
  CHECK(policy.set_kubernetes(kernel_ips({"10.96.0.1"})).empty());
}

// Every address whose answer changed is reported, and the answers are those of a policy that was
// told the last state only.
TEST_CASE("any order of changes ends in the answers of the last state (B4)") {
  REQUIRE(rc::check("answers depend on the last state alone", [] {
    const std::vector<Holder> holders{{HolderKind::kNode, "wa"},     {HolderKind::kNode, "wb"},
                                      {HolderKind::kApiServer, "a"}, {HolderKind::kApiServer, "b"},
                                      {HolderKind::kNameserver, ""}, {HolderKind::kGateway, ""}};
    const auto address = [](int n) { return ipvs::Address(ip("192.0.2." + std::to_string(n))); };
    const auto some = [&] {
      std::vector<ipvs::Endpoint> held;
      for (const int n : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 5))) {
        held.push_back({address(n), static_cast<std::uint16_t>(n % 2 == 0 ? 80 : 0)});
      }
      return held;
    };
    const auto answers = [&](const AddressPolicy& policy) {
      std::map<ipvs::Address, std::string> all;
      for (int n = 1; n < 5; ++n) {
        all[address(n)] =
            refused(policy, {.address = address(n), .port = 80}) + "/" +
            policy.refusal({.address = address(n), .field = kExternalIp}).value_or("");
      }
      return all;
    };
    AddressPolicy policy;
    std::map<Holder, std::vector<ipvs::Endpoint>> last;
    AddressPolicy::Addresses own;
    for (int i = *rc::gen::inRange(1, 30); i > 0; --i) {
      const auto before = answers(policy);
      AddressPolicy::Addresses changed;
      if (*rc::gen::inRange(0, 6) == 0) {
        own.clear();
        for (const auto& each : some()) own.insert(each.address);
        changed = policy.set_own(own);
      } else {
        const Holder& holder = holders[static_cast<std::size_t>(*rc::gen::inRange<int>(0, 6))];
        last[holder] = some();
        changed = policy.set(holder, last[holder]);
      }
      for (const auto& [each, answer] : answers(policy)) {
        RC_ASSERT(answer == before.at(each) || changed.contains(each));
      }
    }
    AddressPolicy fresh(own);
    for (const auto& [holder, held] : last) fresh.set(holder, held);
    RC_ASSERT(answers(fresh) == answers(policy));
  }));
}
