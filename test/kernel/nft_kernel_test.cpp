// SPDX-License-Identifier: Apache-2.0
//
// Our nftables table in a real kernel: its text, what is refused, what it costs.
#include <poll.h>

#include <cerrno>
#include <chrono>

#include "ipvs/nftables/monitor.hpp"
#include "ipvs/nftables/table_text.hpp"
#include "test/kernel/nft_fixture.hpp"
#include "test/kernel/nft_table_text.hpp"

using namespace ipvs;
using namespace nft_test;

namespace {

using enum TrafficClass;

// At least one element in every set.
std::vector<Element> one_of_each() {
  std::vector<Element> elements{
      service("10.96.0.10", 53, kClusterIp, Protocol::kUdp),
      service("10.96.0.10", 53),
      service("fd00:96::a", 53, kClusterIp, Protocol::kSctp),
      service("192.0.2.1", 443, kExternal),
      service("2001:db8::1", 443, kExternal),
      service("192.0.2.2", 443, kExternalLocal),
      service("2001:db8::2", 443, kExternalLocal),
      node_port(30001, kExternal, Protocol::kUdp),
      node_port(30001, kExternalLocal),
      plain(ElementKind::kNodeAddress, "203.0.113.7"),
      plain(ElementKind::kNodeAddress, "2001:db8::7"),
      plain(ElementKind::kVirtualIp, "10.96.0.10"),
      plain(ElementKind::kVirtualIp, "fd00:96::a"),
      plain(ElementKind::kHairpin, "10.244.1.5"),
      plain(ElementKind::kHairpin, "fd00:244::5"),
      {.kind = ElementKind::kHealthCheckIp, .address = address("192.0.2.2"), .port = 32000},
      {.kind = ElementKind::kHealthCheckIp, .address = address("2001:db8::2"), .port = 32000},
  };
  for (const bool is_v6 : {false, true}) {
    const Address vip = address(is_v6 ? "2001:db8::2" : "192.0.2.2");
    const Address any = address(is_v6 ? "::" : "0.0.0.0");
    const ipvs::Endpoint target{address(is_v6 ? "fd00:96::a" : "10.96.0.10"), 443};
    for (const TrafficClass traffic_class : {kRefused, kElsewhere}) {
      const std::uint16_t port = traffic_class == kRefused ? 30002 : 30003;
      elements.push_back({.kind = ElementKind::kGuardedIp,
                          .address = vip,
                          .traffic_class = traffic_class,
                          .port = port});
      elements.push_back({.kind = ElementKind::kGuardedNodePort,
                          .address = any,
                          .traffic_class = traffic_class,
                          .port = port});
    }
    Element element{.kind = ElementKind::kShortCutIp, .address = vip, .port = 443};
    element.target = target;
    elements.push_back(element);
    element.kind = ElementKind::kShortCutNodePort;
    element.address = any;
    elements.push_back(element);
    elements.push_back({.kind = ElementKind::kLimitedIp, .address = vip, .port = 443});
    element = {.kind = ElementKind::kAllowedSource, .address = vip, .port = 443};
    element.source_network = is_v6 ? ipvs::Network{address("fd00:203::"), 64}
                                   : ipvs::Network{address("203.0.113.0"), 24};
    elements.push_back(element);
  }
  std::sort(elements.begin(), elements.end(), ElementKeyLess{});
  return elements;
}

const TableRules kPlainRules{};
const TableRules kPodNetworks{
    .cluster_cidrs = {{.address = address("10.244.0.0"), .prefix_length = 16},
                      {.address = address("fd00:244::"), .prefix_length = 57}}};

std::string chain_body(const std::string& name) {
  const std::string table = list_table();
  const std::string head = "\tchain " + name + " {\n";
  const auto begin = table.find(head);
  REQUIRE(begin != std::string::npos);
  return table.substr(begin + head.size(), table.find("\t}", begin) - begin - head.size());
}

// The middle of `rounds` times that adding one element to a table of `size` takes.
std::chrono::nanoseconds cost_of_one_more(NftClient& client, std::uint32_t size) {
  REQUIRE(client.install_table(kPlainRules, many_services(size)) == 0);
  constexpr std::uint16_t kRounds = 41;
  std::vector<std::chrono::nanoseconds> times;
  for (std::uint16_t round = 0; round < kRounds; ++round) {
    const ElementOp op{.add = true, .element = service("10.200.0.1", round, kExternal)};
    const auto start = std::chrono::steady_clock::now();
    REQUIRE(client.change_elements({&op, 1}) == 0);
    times.push_back(std::chrono::steady_clock::now() - start);
  }
  std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
  return times[kRounds / 2];
}

}  // namespace

TEST_CASE("nft prints our table as in nft_table_text.hpp", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  REQUIRE(client.install_table(kPodNetworks, {}) == 0);
  CHECK(list_table() == kDrawnTable);
}

// nft 1.0.6 asks for the byte order of the protocol, one byte, where a set has intervals. Newer
// kernels, of those tested 6.12 and 7.2, refuse that, from whichever table it comes.
bool nft_reads_concatenations_with_intervals() {
  return shell(
             "echo 'table inet probe { set s { type inet_proto . ipv4_addr; flags interval; }; "
             "chain c { meta l4proto . ip saddr @s drop; }; }' | nft -c -f - 2>&1")
             .status == 0;
}

TEST_CASE("nft reads what it prints of our table", "[kernel][nft]") {
  enter_new_network();
  if (!nft_reads_concatenations_with_intervals()) SKIP("this nft has no text for such rules here");
  NftClient client = open_client();
  REQUIRE(client.install_table(kPodNetworks, one_of_each()) == 0);
  const std::string printed = list_table();
  REQUIRE(client.delete_table() == 0);
  feed_nft(printed);
  CHECK(list_table() == printed);
  CHECK(read_back(client) == one_of_each());
}

TEST_CASE("nft makes of our text the table that we make", "[kernel][nft]") {
  enter_new_network();
  if (!nft_reads_concatenations_with_intervals()) SKIP("this nft has no text for such rules here");
  NftClient client = open_client();
  TableRules by_interface = kPodNetworks;
  by_interface.local_by = LocalBy::kNamePrefix;
  by_interface.pod_interface = "cali";
  by_interface.pod_sources = by_interface.cluster_cidrs;
  by_interface.own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24}};
  for (const TableRules& rules : {kPlainRules, kPodNetworks, by_interface}) {
    REQUIRE(client.install_table(rules, one_of_each()) == 0);
    const std::string made = list_table();
    feed_nft(table_text(rules, one_of_each()));
    CHECK(list_table() == made);
    CHECK(read_back(client) == one_of_each());
  }
}

TEST_CASE("rules are installed with the first element of the sets that they read",
          "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  TableRules rules = kPodNetworks;
  rules.sets = ipvs::SetsInUse();
  REQUIRE(client.install_table(rules, {}) == 0);
  CHECK(chain_body("limits").empty());
  CHECK(chain_body("guard-prerouting").find("jump") == std::string::npos);

  const std::vector<Element> elements = one_of_each();
  std::vector<ElementOp> ops;
  for (const Element& element : elements) ops.push_back({.add = true, .element = element});
  CHECK(client.change_elements(ops) == EAGAIN);
  CHECK(read_back(client).empty());

  rules.sets.add(elements);
  REQUIRE(client.replace_rules(rules) == 0);
  CHECK(list_table() == kDrawnTable);
  CHECK(client.change_elements(ops) == 0);
  CHECK(read_back(client) == elements);

  // What sets hold stays.
  REQUIRE(client.replace_rules(kPlainRules) == 0);
  CHECK(read_back(client) == elements);
  REQUIRE(client.delete_table() == 0);
  CHECK(client.replace_rules(kPlainRules) == ENOENT);
}

TEST_CASE("the masquerade rules for cluster IPs follow the settings", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const std::string hairpins =
      "\t\tip saddr . ip daddr @hairpin-4 masquerade fully-random\n"
      "\t\tip6 saddr . ip6 daddr @hairpin-6 masquerade fully-random\n";
  REQUIRE(client.install_table({.masquerade_all = true, .cluster_cidrs = {}}, {}) == 0);
  CHECK(chain_body("cluster-ip") ==
        "\t\tip saddr != 127.0.0.0/8 masquerade fully-random\n"
        "\t\tip6 saddr != ::1 masquerade fully-random\n");

  REQUIRE(client.install_table({}, {}) == 0);
  CHECK(chain_body("cluster-ip") ==
        "\t\tip saddr @virtual-ips-4 masquerade fully-random\n"
        "\t\tip6 saddr @virtual-ips-6 masquerade fully-random\n" +
            hairpins);

  REQUIRE(client.install_table(
              {.cluster_cidrs = {{.address = address("10.1.2.3"), .prefix_length = 32},
                                 {.address = address("10.244.0.0"), .prefix_length = 15}}},
              {}) == 0);
  CHECK(chain_body("cluster-ip") ==
        "\t\tip saddr != 127.0.0.0/8 ip saddr != 10.1.2.3 ip saddr != 10.244.0.0/15 masquerade "
        "fully-random\n"
        "\t\tip6 saddr @virtual-ips-6 masquerade fully-random\n" +
            hairpins);
}

TEST_CASE("the rules for short cuts name the Pod networks of the cluster and of this node",
          "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const TableRules rules{.pod_sources = {{.address = address("10.244.0.0"), .prefix_length = 16},
                                         {.address = address("fd00:244::"), .prefix_length = 56}},
                         .own_pods = {{.address = address("10.244.1.0"), .prefix_length = 24}}};
  REQUIRE(client.install_table(rules, {}) == 0);
  CHECK(
      chain_body("prerouting") ==
      "\t\ttype nat hook prerouting priority dstnat - 10; policy accept;\n"
      "\t\tip saddr 10.244.0.0/16 jump short-cuts\n"
      "\t\tip6 saddr fd00:244::/56 jump short-cuts\n"
      "\t\tip daddr @virtual-ips-4 dnat ip to ip daddr\n"
      "\t\tip daddr @node-addresses-4 meta l4proto . th dport @node-ports dnat ip to ip daddr\n"
      "\t\tip daddr @node-addresses-4 meta l4proto . th dport @node-ports-local dnat ip to ip "
      "daddr\n"
      "\t\tip daddr . meta l4proto . th dport @cluster-ips-4 dnat ip to ip daddr\n"
      "\t\tip daddr . meta l4proto . th dport @external-ips-4 dnat ip to ip daddr\n"
      "\t\tip daddr . meta l4proto . th dport @external-local-ips-4 dnat ip to ip daddr\n"
      "\t\tip6 daddr @virtual-ips-6 dnat ip6 to ip6 daddr\n"
      "\t\tip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports dnat ip6 to ip6 daddr\n"
      "\t\tip6 daddr @node-addresses-6 meta l4proto . th dport @node-ports-local dnat ip6 to ip6 "
      "daddr\n"
      "\t\tip6 daddr . meta l4proto . th dport @cluster-ips-6 dnat ip6 to ip6 daddr\n"
      "\t\tip6 daddr . meta l4proto . th dport @external-ips-6 dnat ip6 to ip6 daddr\n"
      "\t\tip6 daddr . meta l4proto . th dport @external-local-ips-6 dnat ip6 to ip6 daddr\n");
  CHECK(chain_body("external-local") ==
        "\t\tfib saddr type local masquerade fully-random\n"
        "\t\tip saddr 10.244.0.0/16 ip saddr != 10.244.1.0/24 masquerade fully-random\n"
        "\t\tip saddr . ip daddr @hairpin-4 masquerade fully-random\n"
        "\t\tip6 saddr . ip6 daddr @hairpin-6 masquerade fully-random\n");
}

TEST_CASE("the rules for an interface of Pods are those that nft writes (18.2)", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const auto install = [&](ipvs::LocalBy by, const std::string& interface) {
    REQUIRE(client.install_table({.local_by = by, .pod_interface = interface}, {}) == 0);
  };
  const std::string hairpins =
      "\t\tip saddr . ip daddr @hairpin-4 masquerade fully-random\n"
      "\t\tip6 saddr . ip6 daddr @hairpin-6 masquerade fully-random\n";
  install(ipvs::LocalBy::kInterface, "cni0");
  CHECK(chain_body("cluster-ip") ==
        "\t\tip saddr != 127.0.0.0/8 iifname != \"cni0\" masquerade fully-random\n"
        "\t\tip6 saddr != ::1 iifname != \"cni0\" masquerade fully-random\n" +
            hairpins);
  CHECK(chain_body("prerouting").find("\t\tiifname \"cni0\" jump short-cuts\n") !=
        std::string::npos);
  for (const std::string prefix : {"cali", "exactly-fifteen"}) {
    install(ipvs::LocalBy::kNamePrefix, prefix);
    CHECK(chain_body("cluster-ip") == "\t\tip saddr != 127.0.0.0/8 iifname != \"" + prefix +
                                          "*\" masquerade fully-random\n"
                                          "\t\tip6 saddr != ::1 iifname != \"" +
                                          prefix + "*\" masquerade fully-random\n" + hairpins);
  }
}

TEST_CASE("elements of every kind are read back as they were written", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules, one_of_each()) == 0);
  CHECK(read_back(client) == one_of_each());
}

TEST_CASE("without a table no elements are read", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  bool present = true;
  const auto elements = client.read_elements(present);
  REQUIRE(elements.has_value());
  CHECK(elements->empty());
  CHECK_FALSE(present);
  CHECK(client.delete_table() == ENOENT);
}

TEST_CASE("the elements of an incomplete table are read", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  must("nft add table inet kube-ipvs");
  must("nft 'add set inet kube-ipvs virtual-ips-4 { type ipv4_addr; elements = { 10.96.0.1 }; }'");
  bool present = true;
  const auto elements = client.read_elements(present);
  REQUIRE(elements.has_value());
  CHECK(*elements == std::vector{plain(ElementKind::kVirtualIp, "10.96.0.1")});
  CHECK_FALSE(present);
}

TEST_CASE("of the table what masquerades can be kept, whatever the settings (17.3)",
          "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  ipvs::TableRules all = kPlainRules;
  all.masquerade_all = true;
  for (const ipvs::TableRules& rules : {ipvs::TableRules{}, kPlainRules, all}) {
    REQUIRE(client.install_table(rules, one_of_each()) == 0);
    REQUIRE(client.keep_masquerading() == 0);
    CHECK(client.keep_masquerading() == ENOENT);  // not again
    bool whole = true;
    CHECK(client.read_elements(whole).value().size() < one_of_each().size());
    CHECK_FALSE(whole);
  }
  REQUIRE(client.install_table(kPlainRules, one_of_each()) == 0);
  CHECK(read_back(client) == one_of_each());
}

TEST_CASE("an element changes its class in one transaction", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules, std::vector{service("192.0.2.1", 80, kExternal)}) == 0);
  const std::vector<ElementOp> ops{
      {.add = false, .element = service("192.0.2.1", 80, kExternal)},
      {.add = true, .element = service("192.0.2.1", 80, kExternalLocal)}};
  REQUIRE(client.change_elements(ops) == 0);
  CHECK(read_back(client) == std::vector{service("192.0.2.1", 80, kExternalLocal)});
}

TEST_CASE("a refused element rolls the transaction back and is reported", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const std::vector present{service("10.96.0.1", 80)};
  REQUIRE(client.install_table(kPlainRules, present) == 0);
  std::vector<ElementOp> ops{{.add = true, .element = plain(ElementKind::kVirtualIp, "10.96.0.1")},
                             {.add = true, .element = service("10.96.0.1", 80)},
                             {.add = true, .element = plain(ElementKind::kVirtualIp, "10.96.0.2")}};
  CHECK(client.change_elements(ops) == EEXIST);
  CHECK(client.outcome().first_op == 1);
  CHECK(client.outcome().last_op == 2);
  CHECK(client.outcome().refused.starts_with("NEWSETELEM: "));
  CHECK(read_back(client) == present);

  ops[1] = {.add = false, .element = service("10.96.0.9", 80)};
  CHECK(client.change_elements(ops) == ENOENT);
  CHECK(client.outcome().first_op == 1);
  CHECK(client.outcome().last_op == 2);
  CHECK(client.outcome().refused.starts_with("DELSETELEM: "));
  CHECK(read_back(client) == present);

  ops[1] = {.add = true, .element = node_port(30000, kClusterIp)};
  CHECK(client.change_elements(ops) == EINVAL);
  CHECK(client.outcome().first_op == 1);
  CHECK(read_back(client) == present);
}

TEST_CASE("changing elements without a table is ENOENT", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const ElementOp op{.add = true, .element = service("10.96.0.1", 80)};
  CHECK(client.change_elements({&op, 1}) == ENOENT);
}

TEST_CASE("tables of others are not changed", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  feed_nft(R"(
    table inet foreign {
      set s { type ipv4_addr; elements = { 192.0.2.1 }; }
      chain c {
        type filter hook input priority 0
        ip saddr @s drop
      }
    }
    table ip kube-ipvs {
      chain c { type nat hook prerouting priority -100; }
    }
  )");
  const std::string before = must("nft list ruleset");
  REQUIRE(client.install_table(kPodNetworks, one_of_each()) == 0);
  REQUIRE(client.install_table(kPlainRules, one_of_each()) == 0);
  CHECK(read_back(client) == one_of_each());
  REQUIRE(client.delete_table() == 0);
  CHECK(must("nft list ruleset") == before);
}

TEST_CASE("a table of 30,000 elements is installed and read back", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const std::vector<Element> elements = many_services(30'000);
  // Over a table of the same size, as a restart does. Read at once, again and again: the kernel is
  // then still enlarging its hash table, and a plain dump lacks elements now and then.
  for (int round = 0; round < 10; ++round) {
    REQUIRE(client.install_table(kPlainRules, elements) == 0);
    const bool same = read_back(client) == elements;  // not printed: 30,000 of them
    CHECK(same);
  }
}

TEST_CASE("30,000 elements are added and removed in one transaction each", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  REQUIRE(client.install_table(kPlainRules, {}) == 0);
  std::vector<ElementOp> ops;
  for (const Element& element : many_services(30'000))
    ops.push_back({.add = true, .element = element});
  REQUIRE(client.change_elements(ops) == 0);
  CHECK(read_back(client).size() == ops.size());
  for (ElementOp& op : ops) op.add = false;
  REQUIRE(client.change_elements(ops) == 0);
  CHECK(read_back(client).empty());
}

TEST_CASE("one element more costs the same at 10 and at 10,000", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  const auto few = cost_of_one_more(client, 10);
  const auto many = cost_of_one_more(client, 10'000);
  CAPTURE(few.count(), many.count());
  // A walk over the whole set would be tens of times slower; the factor allows for a busy machine.
  CHECK(many < 4 * few);
}

TEST_CASE("the monitor reports changes of our table by others and not our own", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  auto monitor = NftMonitor::open(client.own_port());
  REQUIRE(monitor.has_value());
  CHECK(monitor->fd() >= 0);

  REQUIRE(client.install_table(kPlainRules, one_of_each()) == 0);
  REQUIRE(client.install_table(kPlainRules, one_of_each()) == 0);
  CHECK_FALSE(monitor->drain().our_table);

  must("nft add table inet foreign");
  must("nft add table ip kube-ipvs");
  CHECK_FALSE(monitor->drain().our_table);

  must("nft add element inet kube-ipvs virtual-ips-4 '{ 10.96.0.77 }'");
  CHECK(monitor->drain().our_table);
  must("nft add rule inet kube-ipvs services-4 accept");
  CHECK(monitor->drain().our_table);
  must("nft flush ruleset");
  CHECK(monitor->drain().our_table);
  CHECK_FALSE(monitor->drain().our_table);

  REQUIRE(client.install_table(kPlainRules, one_of_each()) == 0);
  CHECK_FALSE(monitor->drain().our_table);
}

TEST_CASE("a large transaction of ours leaves nothing for the monitor to read", "[kernel][nft]") {
  enter_new_network();
  NftClient client = open_client();
  auto monitor = NftMonitor::open(client.own_port());
  REQUIRE(monitor.has_value());
  const auto can_be_read = [&] {
    pollfd wait{monitor->fd(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  };
  std::vector<Element> elements;
  for (std::uint32_t n = 0; n < 20'000; ++n) {
    elements.push_back(
        {.kind = ElementKind::kVirtualIp, .address = boost::asio::ip::address_v4(0x0A600000 + n)});
  }
  REQUIRE(client.install_table(kPlainRules, elements) == 0);
  CHECK_FALSE(can_be_read());
  // What others do after it is reported as before.
  must("nft add element inet kube-ipvs virtual-ips-4 '{ 192.0.2.77 }'");
  CHECK(can_be_read());
  CHECK(monitor->drain().our_table);
}
