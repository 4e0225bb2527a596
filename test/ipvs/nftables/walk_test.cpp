// SPDX-License-Identifier: Apache-2.0
#include "ipvs/nftables/walk.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "ipvs/nftables/rule_text.hpp"
#include "ipvs/nftables/table.hpp"

using namespace ipvs;

namespace {

using enum ElementKind;
using enum TrafficClass;

Address address(const std::string& text) { return boost::asio::ip::make_address(text); }
Endpoint endpoint(const char* text, std::uint16_t port) { return {address(text), port}; }

Element service(const char* vip, std::uint16_t port, TrafficClass traffic_class) {
  return {
      .kind = kServiceIp, .address = address(vip), .traffic_class = traffic_class, .port = port};
}
Element plain(ElementKind kind, const char* text) {
  return {.kind = kind, .address = address(text)};
}
Element guard(const char* vip, std::uint16_t port, TrafficClass traffic_class) {
  Element element = service(vip, port, traffic_class);
  element.kind = kGuardedIp;
  return element;
}
Element limited(const char* vip, std::uint16_t port) {
  Element element = service(vip, port, kClusterIp);
  element.kind = kLimitedIp;
  return element;
}
Element allowed(const char* vip, std::uint16_t port, const char* network, std::uint16_t length) {
  Element element = limited(vip, port);
  element.kind = kAllowedSource;
  element.source_network = {address(network), length};
  return element;
}
Element short_cut(const char* vip, std::uint16_t port, const Endpoint& target) {
  Element element = service(vip, port, kClusterIp);
  element.kind = kShortCutIp;
  element.target = target;
  return element;
}
Element node_port(ElementKind kind, const char* family, std::uint16_t port,
                  TrafficClass traffic_class) {
  return {.kind = kind, .address = address(family), .traffic_class = traffic_class, .port = port};
}

TableRules pods() {
  return {.cluster_cidrs = {{address("10.244.0.0"), 16}, {address("fd00:244::"), 48}},
          .pod_sources = {{address("10.244.0.0"), 16}, {address("fd00:244::"), 48}},
          .own_pods = {{address("10.244.1.0"), 24}, {address("fd00:244:1::"), 64}}};
}

Packet packet(const char* from, const char* to, std::uint16_t port) {
  return {.source = address(from),
          .destination = endpoint(to, port),
          .original = endpoint(to, port),
          .arrival = Arrival::kOther,
          .is_source_local = false};
}

std::string_view name_of(Ending ending) {
  constexpr std::array<std::string_view, 7> kNames{"continue",    "accept",   "drop",      "reset",
                                                   "unreachable", "redirect", "masquerade"};
  return kNames[static_cast<std::size_t>(ending)];
}

// "drop by limits @allowed-sources-4"
std::string text_of(const Walk& walk) {
  std::string text(name_of(walk.ending));
  if (walk.ending == Ending::kContinue) return text;
  const WalkStep& last = walk.steps.back();
  text += " by " + std::string(last.rule->chain);
  if (last.set) text += " @" + std::string(last.set->name);
  return text;
}

struct Table {
  TableRules settings = pods();
  ElementSet elements{};
  std::vector<Rule> rules = table_rules(settings);
  Walk walk(std::string_view hook, const Packet& packet) const {
    return walk_hook(hook, rules, elements, packet);
  }
  std::string text(std::string_view hook, const Packet& packet) const {
    return text_of(walk(hook, packet));
  }
};

}  // namespace

TEST_CASE("a flow to nothing of ours passes every hook untouched") {
  const Table table;
  for (const char* hook : {"guard-prerouting", "prerouting", "guard-input", "input", "guard-output",
                           "output", "postrouting"}) {
    CHECK(table.text(hook, packet("198.51.100.1", "203.0.113.9", 80)) == "continue");
    CHECK(table.text(hook, packet("fd00:198::1", "fd00:203::9", 80)) == "continue");
  }
}

TEST_CASE("source ranges drop whom they do not allow, at both hooks, and nobody else") {
  Table table{.elements = {limited("192.0.2.4", 80), allowed("192.0.2.4", 80, "203.0.113.0", 25),
                           allowed("192.0.2.4", 80, "10.0.0.0", 8), limited("fd00:192::4", 80),
                           allowed("fd00:192::4", 80, "fd00:203::", 64)}};
  for (const char* hook : {"guard-prerouting", "guard-output"}) {
    CHECK(table.text(hook, packet("203.0.113.200", "192.0.2.4", 80)) ==
          "drop by limits @allowed-sources-4");
    CHECK(table.text(hook, packet("203.0.113.127", "192.0.2.4", 80)) == "continue");
    CHECK(table.text(hook, packet("10.255.255.255", "192.0.2.4", 80)) == "continue");
    CHECK(table.text(hook, packet("203.0.113.200", "192.0.2.4", 81)) == "continue");
    CHECK(table.text(hook, packet("fd00:204::1", "fd00:192::4", 80)) ==
          "drop by limits @allowed-sources-6");
    CHECK(table.text(hook, packet("fd00:203::1", "fd00:192::4", 80)) == "continue");
  }
  Packet unknown = packet("203.0.113.200", "192.0.2.4", 80);
  unknown.source.reset();
  const Walk walk = table.walk("guard-prerouting", unknown);
  CHECK(walk.ending == Ending::kContinue);
  REQUIRE(walk.steps.size() == 1);
  CHECK(walk.steps[0].match == Match::kDepends);
  CHECK(walk.steps[0].set->name == "allowed-sources-4");
}

TEST_CASE("a short cut is for clients in the cluster") {
  const Endpoint target = endpoint("10.96.0.2", 80);
  const Table table{.elements = {short_cut("192.0.2.2", 80, target)}};
  const Walk pod = table.walk("prerouting", packet("10.244.2.9", "192.0.2.2", 80));
  CHECK(pod.ending == Ending::kRedirect);
  CHECK(pod.destination == target);
  const Walk outside = table.walk("prerouting", packet("198.51.100.1", "192.0.2.2", 80));
  CHECK(outside.ending == Ending::kContinue);
  CHECK(outside.destination == endpoint("192.0.2.2", 80));
  CHECK(table.walk("output", packet("203.0.113.1", "192.0.2.2", 80)).destination == target);
  Packet unknown = packet("10.244.2.9", "192.0.2.2", 80);
  unknown.source.reset();
  const Walk maybe = table.walk("prerouting", unknown);
  CHECK(maybe.destination == endpoint("192.0.2.2", 80));
  REQUIRE(maybe.steps.size() == 1);
  CHECK(maybe.steps[0].match == Match::kDepends);
  CHECK_FALSE(maybe.steps[0].is_taken);
  CHECK(maybe.steps[0].redirected == target);
  // Where no short cut begins, it makes no difference who it is.
  unknown.destination.port = 81;
  CHECK(table.walk("prerouting", unknown).steps.empty());
}

TEST_CASE("the interface of Pods decides where the settings say so") {
  Table table{.settings = {.local_by = LocalBy::kInterface, .pod_interface = "cni0"},
              .elements = {service("10.96.0.1", 80, kClusterIp)}};
  table.rules = table_rules(table.settings);
  Packet from = packet("198.51.100.1", "10.96.0.1", 80);
  from.arrival = Arrival::kPodInterface;
  CHECK(table.text("postrouting", from) == "continue");
  from.arrival = Arrival::kOther;
  CHECK(table.text("postrouting", from) == "masquerade by cluster-ip");
  from.arrival = Arrival::kNone;
  CHECK(table.text("postrouting", from) == "masquerade by cluster-ip");
  from.arrival = Arrival::kUnknown;
  const Walk walk = table.walk("postrouting", from);
  CHECK(walk.ending == Ending::kMasquerade);
  CHECK(walk.steps.back().match == Match::kDepends);
}

TEST_CASE("each class of traffic is masqueraded as its chain says") {
  const Table table{
      .elements = {service("10.96.0.1", 80, kClusterIp), service("192.0.2.1", 80, kExternal),
                   service("192.0.2.2", 80, kExternalLocal), plain(kNodeAddress, "203.0.113.1"),
                   plain(kHairpin, "10.244.1.5"), node_port(kNodePort, "0.0.0.0", 30080, kExternal),
                   node_port(kNodePort, "0.0.0.0", 30082, kExternalLocal)}};
  struct Case {
    const char* from;
    const char* original;
    std::uint16_t port;
    const char* endpoint;
    const char* expected;
  };
  const std::vector<Case> cases{
      {"198.51.100.1", "10.96.0.1", 80, "10.244.1.5", "masquerade by cluster-ip"},
      {"10.244.1.9", "10.96.0.1", 80, "10.244.1.5", "continue"},
      {"10.244.1.5", "10.96.0.1", 80, "10.244.1.5", "masquerade by cluster-ip @hairpin-4"},
      {"10.244.1.9", "192.0.2.1", 80, "10.244.1.5", "masquerade by external"},
      {"127.0.0.1", "192.0.2.1", 80, "10.244.1.5", "continue"},
      {"198.51.100.1", "192.0.2.2", 80, "10.244.1.5", "continue"},
      {"10.244.2.9", "192.0.2.2", 80, "10.244.1.5", "masquerade by external-local"},
      {"10.244.1.9", "192.0.2.2", 80, "10.244.1.5", "continue"},
      {"10.244.1.5", "192.0.2.2", 80, "10.244.1.5", "masquerade by external-local @hairpin-4"},
      {"198.51.100.1", "203.0.113.1", 30080, "10.244.1.5", "masquerade by external"},
      {"198.51.100.1", "203.0.113.1", 30082, "10.244.1.5", "continue"},
      {"198.51.100.1", "203.0.113.3", 30080, "10.244.1.5", "continue"}};
  for (const Case& each : cases) {
    Packet leaving = packet(each.from, each.endpoint, 8080);
    leaving.original = endpoint(each.original, each.port);
    CAPTURE(each.from, each.original, each.port);
    CHECK(table.text("postrouting", leaving) == each.expected);
  }
  Packet host = packet("203.0.113.1", "10.244.1.5", 8080);
  host.original = endpoint("192.0.2.2", 80);
  host.is_source_local = true;
  CHECK(table.text("postrouting", host) == "masquerade by external-local");
}

TEST_CASE("guards refuse and drop before IPVS, and the host's ports are closed on virtual IPs") {
  const Table table{
      .elements = {guard("10.96.0.5", 80, kRefused),
                   guard("192.0.2.3", 80, kElsewhere),
                   plain(kNodeAddress, "203.0.113.1"),
                   plain(kVirtualIp, "10.96.0.5"),
                   node_port(kGuardedNodePort, "0.0.0.0", 30085, kRefused),
                   node_port(kGuardedNodePort, "0.0.0.0", 30083, kElsewhere),
                   {.kind = kHealthCheckIp, .address = address("10.96.0.5"), .port = 32000}}};
  const auto text = [&](const char* hook, const char* to, std::uint16_t port,
                        Protocol protocol = Protocol::kTcp) {
    Packet to_it = packet("198.51.100.1", to, port);
    to_it.protocol = protocol;
    return table.text(hook, to_it);
  };
  CHECK(text("guard-input", "10.96.0.5", 80) == "reset by refuse");
  CHECK(text("guard-output", "10.96.0.5", 80) == "reset by refuse");
  CHECK(text("guard-input", "10.96.0.5", 80, Protocol::kUdp) == "continue");
  CHECK(text("guard-input", "192.0.2.3", 80) == "drop by entering @elsewhere-ips-4");
  CHECK(text("guard-output", "192.0.2.3", 80) == "continue");
  CHECK(text("guard-input", "203.0.113.1", 30085) == "reset by refuse");
  CHECK(text("guard-input", "203.0.113.1", 30083) == "drop by entering @elsewhere-node-ports-4");
  CHECK(text("guard-input", "203.0.113.3", 30083) == "continue");
  CHECK(text("input", "10.96.0.5", 22) == "reset by closed-ports @virtual-ips-4");
  CHECK(text("input", "10.96.0.5", 22, Protocol::kUdp) ==
        "unreachable by closed-ports @virtual-ips-4");
  CHECK(text("input", "10.96.0.5", 32000) == "accept by closed-ports @health-checks-4");
  CHECK(text("input", "203.0.113.1", 22) == "continue");
}

namespace {

constexpr std::array kSome{"10.96.0.1",  "192.0.2.1",  "192.0.2.2",    "203.0.113.1",
                           "10.244.1.5", "10.244.2.9", "198.51.100.1", "10.96.0.5"};

Address any_of_some() { return address(*rc::gen::elementOf(kSome)); }

Element any_element() {
  constexpr std::array kClasses{kClusterIp, kExternal, kExternalLocal, kRefused, kElsewhere};
  for (;;) {
    Element element{.kind = *rc::gen::element(kServiceIp, kNodePort, kNodeAddress, kVirtualIp,
                                              kHairpin, kGuardedIp, kGuardedNodePort, kShortCutIp,
                                              kLimitedIp, kAllowedSource, kHealthCheckIp),
                    .traffic_class = *rc::gen::elementOf(kClasses),
                    .port = *rc::gen::element<std::uint16_t>(80, 30080)};
    const KeyShape& key = row_of(element.kind).key;
    element.address = key.address ? any_of_some() : Address{};
    if (!key.port) element.port = 0;
    if (element.kind == kAllowedSource)
      element.source_network = {any_of_some(), *rc::gen::element<std::uint16_t>(8, 24, 32)};
    if (element.kind == kShortCutIp) element.target = {address("10.96.0.1"), 80};
    if (set_of(element)) return element;
  }
}

bool depends(const Walk& walk) {
  return std::any_of(walk.steps.begin(), walk.steps.end(),
                     [](const WalkStep& step) { return step.match == Match::kDepends; });
}

}  // namespace

TEST_CASE("what does not depend on an unknown source is so for every source") {
  rc::check([] {
    Table table;
    const auto count = *rc::gen::inRange<std::size_t>(0, 12);
    for (std::size_t i = 0; i < count; ++i) table.elements.insert(any_element());
    Packet known{.source = any_of_some(),
                 .destination = {any_of_some(), *rc::gen::element<std::uint16_t>(80, 30080)},
                 .arrival = Arrival::kOther,
                 .is_source_local = *rc::gen::arbitrary<bool>()};
    known.original = {any_of_some(), *rc::gen::element<std::uint16_t>(80, 30080)};
    Packet unknown = known;
    unknown.source.reset();
    unknown.is_source_local.reset();
    for (const Chain& chain : table_chains()) {
      if (!chain.hook) continue;
      const Walk without = table.walk(chain.name, unknown);
      if (depends(without)) continue;
      const Walk with = table.walk(chain.name, known);
      RC_ASSERT(with.ending == without.ending);
      RC_ASSERT(with.destination == without.destination);
    }
  });
}

namespace {

// Of a few addresses and ports, so that packets and elements meet.
Element any_near_element() {
  const bool is_v6 = *rc::gen::inRange(0, 4) == 0;
  const auto last = *rc::gen::inRange<unsigned>(0, 3);
  Element element{};
  element.kind =
      static_cast<ElementKind>(*rc::gen::inRange(0, static_cast<int>(kElementKinds.size())));
  const ElementKindRow& row = row_of(element.kind);
  element.address = address((is_v6 ? "fd00:244::" : "10.244.0.") + std::to_string(last));
  if (!row.key.address) element.address = address(is_v6 ? "::" : "0.0.0.0");
  if (row.key.port) element.port = static_cast<std::uint16_t>(*rc::gen::inRange(80, 82));
  if (row.has_class()) {
    const auto classes = std::count_if(row.sets.begin(), row.sets.end(),
                                       [](const auto& set) { return !set.name.empty(); });
    element.traffic_class =
        row.sets[static_cast<std::size_t>(*rc::gen::inRange<std::ptrdiff_t>(0, classes))]
            .traffic_class;
  }
  if (row.key.network) element.source_network = {address(is_v6 ? "fd00:244::" : "10.244.0.0"), 31};
  if (row.has_target) element.target = {element.address, 8080};
  return element;
}

Packet any_near_packet() {
  const bool is_v6 = *rc::gen::inRange(0, 4) == 0;
  const auto near = [&] {
    const auto last = *rc::gen::inRange<unsigned>(0, 4);
    return address((is_v6 ? "fd00:244::" : "10.244.0.") + std::to_string(last));
  };
  Packet packet{.source = near(),
                .destination = {near(), static_cast<std::uint16_t>(*rc::gen::inRange(80, 82))},
                .original = {near(), static_cast<std::uint16_t>(*rc::gen::inRange(80, 82))},
                .arrival = *rc::gen::arbitrary<bool>() ? Arrival::kOther : Arrival::kNone,
                .is_source_local = *rc::gen::arbitrary<bool>()};
  if (*rc::gen::arbitrary<bool>()) packet.protocol = Protocol::kUdp;
  return packet;
}

}  // namespace

TEST_CASE("rules that read empty sets make no difference to any packet") {
  REQUIRE(rc::check("packets", [] {
    TableRules settings = pods();
    settings.masquerade_all = *rc::gen::arbitrary<bool>();
    ElementSet elements;
    settings.sets = SetsInUse();
    for (int left = *rc::gen::inRange(0, 12); left > 0; --left) {
      const Element element = any_near_element();
      settings.sets.add(element);
      elements.insert(element);
    }
    const auto few = table_rules(settings);
    settings.sets = SetsInUse::all();
    const auto all = table_rules(settings);
    const Packet packet = any_near_packet();
    for (const Chain& chain : table_chains()) {
      if (!chain.hook) continue;
      const Walk by_few = walk_hook(chain.name, few, elements, packet);
      const Walk by_all = walk_hook(chain.name, all, elements, packet);
      RC_ASSERT(text_of(by_few) == text_of(by_all));
      RC_ASSERT(by_few.destination == by_all.destination);
    }
  }));
}
