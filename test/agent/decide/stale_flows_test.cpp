// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/stale_flows.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using ipvs::ElementKind;
using ipvs::Protocol;
using ipvs::Server;
using ipvs::ServerKey;

const ServerKey kDns{ip("10.96.0.10"), 53, Protocol::kUdp};
const ServerKey kOutside{ip("192.0.2.1"), 53, Protocol::kUdp};

Server server(const ServerKey& key, const std::vector<std::string>& pods) {
  Server result{.settings = {.key = key, .scheduler = "rr"}};
  for (const auto& pod : pods) result.destinations.push_back({.endpoint = {ip(pod), 5353}});
  return result;
}

// The flows to delete when the kernel holds `held` and is to hold `wanted`: a line "* of SERVER" or
// "ENDPOINT of SERVER" each.
std::string stale(const std::vector<Server>& held, std::vector<Server> wanted,
                  std::vector<ipvs::Element> elements = {}) {
  ipvs::Ledger ledger;
  ipvs::Desired desired;
  for (const Server& s : held) ledger.put_server(s);
  desired.set("default/dns", {.servers = std::move(wanted), .elements = std::move(elements)});
  ipvs::DirtyKeys keys = ledger.all_keys();
  keys.merge(desired.all_keys());
  std::string text;
  for (const auto& flow : agent::stale_flows(diff(desired, ledger, keys), desired, ledger)) {
    text += (flow.endpoint ? flow.endpoint->text() : "*") + " of " + flow.server.text() + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("UDP flows to a removed endpoint are deleted, those to the others are not") {
  CHECK(stale({server(kDns, {"10.244.0.1", "10.244.0.2"})}, {server(kDns, {"10.244.0.2"})}) ==
        "10.244.0.1:5353 of UDP 10.96.0.10:53\n");
}

TEST_CASE("all UDP flows to a deleted virtual server are deleted") {
  CHECK(stale({server(kDns, {"10.244.0.1"})}, {}) == "* of UDP 10.96.0.10:53\n");
}

TEST_CASE(
    "UDP flows that began before the virtual server, or before its first endpoint, are deleted") {
  CHECK(stale({}, {server(kDns, {"10.244.0.1"})}) == "* of UDP 10.96.0.10:53\n");
  CHECK(stale({server(kDns, {})}, {server(kDns, {"10.244.0.1"})}) == "* of UDP 10.96.0.10:53\n");
  CHECK(
      stale({server(kDns, {"10.244.0.1"})}, {server(kDns, {"10.244.0.1", "10.244.0.2"})}).empty());
}

TEST_CASE(
    "flows to an endpoint removed from the cluster IP are deleted on addresses with a short cut to "
    "it, too") {
  const std::vector<ipvs::Element> short_cut{{.kind = ElementKind::kShortCutIp,
                                              .address = kOutside.address,
                                              .protocol = Protocol::kUdp,
                                              .port = 53,
                                              .target = {kDns.address, 53}}};
  CHECK(stale({server(kDns, {"10.244.1.1", "10.244.1.2"}), server(kOutside, {})},
              {server(kDns, {"10.244.1.2"}), server(kOutside, {})}, short_cut) ==
        "10.244.1.1:5353 of UDP 10.96.0.10:53\n10.244.1.1:5353 of UDP 192.0.2.1:53\n");
}

TEST_CASE("TCP and SCTP flows are not deleted") {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kSctp}) {
    const ServerKey key{kDns.address, 53, protocol};
    CHECK(stale({server(key, {"10.244.0.1"})}, {}).empty());
    CHECK(stale({server(key, {"10.244.0.1"})}, {server(key, {})}).empty());
    CHECK(stale({}, {server(key, {"10.244.0.1"})}).empty());
  }
}
