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

namespace {

// A load balancer's virtual server, with the networks that may use it; none: everybody may.
std::vector<ipvs::Element> limits(const std::vector<std::string>& networks) {
  std::vector<ipvs::Element> elements;
  if (networks.empty()) return elements;
  ipvs::Element element{.kind = ElementKind::kLimitedIp,
                        .address = kOutside.address,
                        .protocol = Protocol::kTcp,
                        .port = 443};
  elements.push_back(element);
  element.kind = ElementKind::kAllowedSource;
  for (const auto& network : networks) {
    element.source_network = {ip(network), 24};
    elements.push_back(element);
  }
  return elements;
}

// The clients that keep their flows when the networks change: "none", "198.51.100.0/24 ", ""
// where no flow is to be deleted.
enum class At { kStart, kChange };
std::string kept(const std::vector<std::string>& before, const std::vector<std::string>& after,
                 bool server_is_new = false, At at = At::kChange) {
  const Server web = server({kOutside.address, 443, Protocol::kTcp}, {"10.244.0.1"});
  ipvs::Ledger ledger;
  ipvs::Desired desired;
  if (!server_is_new) ledger.put_server(web);
  for (const ipvs::Element& element : limits(before)) ledger.put_element(element);
  desired.set("default/web", {.servers = {web}, .elements = limits(after)});
  ipvs::DirtyKeys keys = ledger.all_keys();
  keys.merge(desired.all_keys());
  std::string text;
  const auto flows = at == At::kStart
                         ? agent::flows_forbidden_at_start(desired, ledger)
                         : agent::stale_flows(diff(desired, ledger, keys), desired, ledger);
  for (const auto& flow : flows) {
    CHECK(flow.server == web.settings.key);
    REQUIRE(flow.kept_clients.has_value());
    for (const ipvs::Network& network : *flow.kept_clients) {
      text += network.address.to_string() + "/" + std::to_string(network.prefix_length) + " ";
    }
    if (flow.kept_clients->empty()) text += "none";
  }
  return text;
}

}  // namespace

TEST_CASE("clients that lose their permission lose their flows, the others keep theirs (E7)") {
  CHECK(kept({"198.51.100.0", "203.0.113.0"}, {"198.51.100.0"}) == "198.51.100.0/24 ");
  CHECK(kept({"198.51.100.0"}, {"203.0.113.0"}) == "203.0.113.0/24 ");
  // Ranges where there were none.
  CHECK(kept({}, {"198.51.100.0", "203.0.113.0"}) == "198.51.100.0/24 203.0.113.0/24 ");
}

TEST_CASE("where nobody loses a permission, no flow is deleted (E7)") {
  CHECK(kept({"198.51.100.0"}, {"198.51.100.0"}).empty());
  CHECK(kept({"198.51.100.0"}, {"198.51.100.0", "203.0.113.0"}).empty());
  CHECK(kept({"198.51.100.0"}, {}).empty());
  CHECK(kept({}, {"198.51.100.0"}, true).empty());
}

TEST_CASE("permissions that were lost while no agent ran are found at its start (E7)") {
  const auto at_start = [](const std::vector<std::string>& before,
                           const std::vector<std::string>& after, bool server_is_new = false) {
    return kept(before, after, server_is_new, At::kStart);
  };
  CHECK(at_start({}, {"198.51.100.0"}) == "198.51.100.0/24 ");
  CHECK(at_start({"198.51.100.0", "203.0.113.0"}, {"203.0.113.0"}) == "203.0.113.0/24 ");
  CHECK(at_start({"198.51.100.0"}, {"198.51.100.0"}).empty());
  CHECK(at_start({"198.51.100.0"}, {}).empty());
  CHECK(at_start({}, {"198.51.100.0"}, true).empty());
}
