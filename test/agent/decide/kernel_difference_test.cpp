// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/kernel_difference.hpp"

#include <catch2/catch_test_macros.hpp>
#include <utility>

namespace {

using agent::KernelPicture;
using ipvs::Element;
using ipvs::ElementKind;
using ipvs::ServerKey;
using ipvs::TrafficClass;
using Lines = std::vector<std::string>;

ipvs::Address address(const char* text) { return boost::asio::ip::make_address(text); }

const ServerKey kWeb{address("10.96.0.1"), 80, ipvs::Protocol::kTcp};
const ServerKey kNodePort{address("203.0.113.1"), 30080, ipvs::Protocol::kTcp};

ipvs::Server server(const ServerKey& key, std::vector<ipvs::Destination> destinations,
                    const std::string& scheduler = "rr") {
  return {{.key = key, .scheduler = scheduler}, std::move(destinations)};
}

ipvs::Destination pod(const char* text, std::uint32_t weight = 1) {
  return {{address(text), 8080}, weight};
}

KernelPicture picture(std::vector<ipvs::Server> servers) {
  KernelPicture result;
  for (ipvs::Server& each : servers) result.servers[each.settings.key] = std::move(each);
  return result;
}

Lines lines(const KernelPicture& before, const KernelPicture& after) {
  return agent::difference_lines(before, after, [](const ServerKey& key) {
    return key == kWeb ? std::string("default/web") : std::string();
  });
}

Element element(ElementKind kind, const ServerKey& key, TrafficClass traffic_class) {
  Element result{};
  result.kind = kind;
  result.address = key.address;
  result.port = key.port;
  result.protocol = key.protocol;
  result.traffic_class = traffic_class;
  return result;
}

}  // namespace

TEST_CASE("the same is no difference, whatever the order of endpoints") {
  const auto before = picture({server(kWeb, {pod("10.244.0.1"), pod("10.244.0.2")})});
  const auto after = picture({server(kWeb, {pod("10.244.0.2"), pod("10.244.0.1")})});
  CHECK(lines(before, after).empty());
  CHECK(lines({}, {}).empty());
}

TEST_CASE("each difference of a virtual server is a line") {
  auto before = picture({server(kWeb, {pod("10.244.0.1"), pod("10.244.0.2"), pod("10.244.0.3")})});
  auto after =
      picture({server(kWeb, {pod("10.244.0.1"), pod("10.244.0.2", 0), pod("10.244.0.4")}, "lc")});
  after.servers[kWeb].settings.flags = ipvs::kFlagPersistent;
  after.servers[kWeb].settings.timeout_seconds = 600;
  CHECK(lines(before, after) == Lines{"TCP 10.96.0.1:80 (Service default/web)",
                                      "  scheduler rr -> lc", "  session affinity none -> 600 s",
                                      "  endpoint 10.244.0.2:8080: weight 1 -> 0",
                                      "  endpoint 10.244.0.4:8080: added with weight 1",
                                      "  endpoint 10.244.0.3:8080: deleted"});
}

TEST_CASE("virtual servers and addresses come and go") {
  auto before = picture({server(kNodePort, {pod("10.244.0.1")})});
  auto after = picture({server(kWeb, {pod("10.244.0.1")})});
  before.addresses = {address("10.96.0.9")};
  after.addresses = {address("10.96.0.1")};
  CHECK(lines(before, after) == Lines{"TCP 10.96.0.1:80 (Service default/web)",
                                      "  added, scheduler rr, session affinity none",
                                      "  endpoint 10.244.0.1:8080: added with weight 1",
                                      "TCP 203.0.113.1:30080", "  deleted, with 1 endpoints",
                                      "kube-ipvs0: 10.96.0.1 added",
                                      "kube-ipvs0: 10.96.0.9 deleted"});
}

TEST_CASE("what kube-proxy does with clients is compared where its rules are in force") {
  auto before = picture({server(kWeb, {}), server(kNodePort, {})});
  auto after = before;
  after.elements = {element(ElementKind::kServiceIp, kWeb, TrafficClass::kExternal),
                    element(ElementKind::kShortCutIp, kWeb, TrafficClass::kExternal),
                    element(ElementKind::kNodePort, {{}, 30080, ipvs::Protocol::kTcp},
                            TrafficClass::kExternalLocal),
                    element(ElementKind::kShortCutNodePort, {{}, 30080, ipvs::Protocol::kTcp},
                            TrafficClass::kExternalLocal)};
  after.has_table = true;
  CHECK(lines(before, after).empty());
  before.has_kube_proxy_chains = true;
  CHECK(lines(before, after) ==
        Lines{"TCP 10.96.0.1:80 (Service default/web)",
              "  clients in the cluster: masqueraded -> as at the cluster IP",
              "TCP 203.0.113.1:30080",
              "  clients in the cluster: endpoints of this node -> those of the cluster IP"});
}

TEST_CASE("who is masqueraded is compared with kube-proxy's ipsets and rule (17.2)") {
  const ServerKey external{address("192.0.2.1"), 80, ipvs::Protocol::kTcp};
  auto before = picture({server(kWeb, {}), server(external, {}), server(kNodePort, {})});
  auto after = before;
  before.has_kube_proxy_chains = true;
  after.has_table = true;
  after.elements = {element(ElementKind::kServiceIp, kWeb, TrafficClass::kClusterIp),
                    element(ElementKind::kServiceIp, external, TrafficClass::kExternal),
                    element(ElementKind::kNodePort, {{}, 30080, ipvs::Protocol::kTcp},
                            TrafficClass::kExternalLocal)};
  const ipvs::Network pods{address("10.244.0.0"), 16};
  after.rules = ipvs::TableRules{.cluster_cidrs = {pods}};
  before.kube_proxy = ipvs::KubeProxyRules{
      .cluster_ips = {kWeb},
      .external = {external},
      .node_ports_local = {{30080, ipvs::Protocol::kTcp}},
      .cluster_ip_clients = {{ipvs::Family::kIpv4, ipvs::clients_outside({pods})}}};
  CHECK(lines(before, after) ==
        Lines{"TCP 203.0.113.1:30080", "  masqueraded: no clients -> this node"});

  after.rules->local_by = ipvs::LocalBy::kNamePrefix;
  after.rules->pod_interface = "cali";
  before.kube_proxy->cluster_ip_clients[ipvs::Family::kIpv4] =
      ipvs::clients_not_from("cali+");  // as iptables writes it
  CHECK(lines(before, after) ==
        Lines{"TCP 203.0.113.1:30080", "  masqueraded: no clients -> this node"});
  after.rules = ipvs::TableRules{.cluster_cidrs = {pods}};
  before.kube_proxy->cluster_ip_clients[ipvs::Family::kIpv4] = ipvs::clients_outside({pods});

  after.rules->cluster_cidrs.clear();  // the flag was forgotten
  before.kube_proxy->node_ports_local.clear();
  before.kube_proxy->node_ports = {{30080, ipvs::Protocol::kTcp}};
  before.kube_proxy->external.clear();
  before.kube_proxy->external_local = {external};
  CHECK(
      lines(before, after) ==
      Lines{"TCP 10.96.0.1:80 (Service default/web)",
            "  masqueraded: clients outside 10.244.0.0/16 -> clients whose address is a virtual IP",
            "TCP 192.0.2.1:80", "  masqueraded: no clients -> all clients", "TCP 203.0.113.1:30080",
            "  masqueraded: all clients -> this node"});
  before.kube_proxy->cluster_ip_clients.clear();  // nobody could read the rule
  CHECK(lines(before, after).size() == 4);
  before.has_table = true;
  before.elements = after.elements;
  CHECK(lines(before, after).empty());
}

TEST_CASE("who may be a client is compared with kube-proxy's ipsets (17.2)") {
  const ServerKey external{address("192.0.2.1"), 80, ipvs::Protocol::kTcp};
  auto before = picture({server(external, {})});
  auto after = before;
  before.has_kube_proxy_chains = true;
  after.has_table = true;
  const ipvs::Network office{address("203.0.113.0"), 24}, part{address("203.0.113.64"), 26},
      host{address("192.0.2.1"), 32};
  before.kube_proxy = ipvs::KubeProxyRules{
      .external = {external},
      .limits = {.limited = {external}, .allowed = {{external, {office, part, host}}}},
      .cluster_ip_clients = {}};
  const Element served = element(ElementKind::kServiceIp, external, TrafficClass::kExternal);
  const Element limited = element(ElementKind::kLimitedIp, external, TrafficClass::kExternal);
  Element allowed = element(ElementKind::kAllowedSource, external, TrafficClass::kExternal);
  allowed.source_network = office;
  Element itself = allowed;
  itself.source_network = host;
  after.elements = {served, limited, allowed, itself};
  CHECK(lines(before, after).empty());

  const auto change = [](const std::string& what) {
    return Lines{"TCP 192.0.2.1:80", "  allowed: " + what};
  };
  after.elements = {served};
  CHECK(lines(before, after) == change("clients in 203.0.113.0/24, this node -> all clients"));
  after.elements = {served, limited, itself};
  CHECK(lines(before, after) == change("clients in 203.0.113.0/24, this node -> this node"));
  after.elements = {served, limited, allowed};
  before.kube_proxy->limits.allowed.clear();
  CHECK(lines(before, after) == change("no clients -> clients in 203.0.113.0/24"));
  before.kube_proxy->limits.limited.clear();
  CHECK(lines(before, after) == change("all clients -> clients in 203.0.113.0/24"));
}

TEST_CASE("elements are compared where there was a table") {
  auto before = picture({server(kWeb, {})});
  before.has_table = true;
  before.elements = {element(ElementKind::kServiceIp, kWeb, TrafficClass::kExternal)};
  auto after = before;
  CHECK(lines(before, after).empty());
  after.elements.front().traffic_class = TrafficClass::kExternalLocal;
  CHECK(lines(before, after) == Lines{"nftables: external-local-ips-4 10.96.0.1 . tcp . 80 added",
                                      "nftables: external-ips-4 10.96.0.1 . tcp . 80 deleted"});
}
