// SPDX-License-Identifier: Apache-2.0
#include "agent/decide/node_view.hpp"

#include <catch2/catch_test_macros.hpp>

#include "test/agent/objects.hpp"

namespace {

using namespace agent::test;
using agent::make_node_view;
using agent::primary_address;
using ipvs::Family;
using ipvs::LocalAddress;

LocalAddress on_interface(const std::string& address, std::uint8_t scope = 0) {
  return {.address = ip(address), .interface_name = "eth0", .prefix_length = 24, .scope = scope};
}

// A node with two IPv4 addresses and one IPv6 address.
const std::vector<LocalAddress> kLocal = {on_interface("10.0.0.5"), on_interface("192.168.1.1"),
                                          on_interface("fd00:1::1")};

k8s::Node node_object(const std::vector<k8s::NodeAddress>& addresses) {
  k8s::Node node;
  node.meta.key = {.ns = "", .name = kThisNode};
  node.addresses = addresses;
  return node;
}

config::Network network(const std::string& address, std::uint8_t prefix_length) {
  return {ip(address), prefix_length};
}

std::vector<ipvs::Address> node_port_addresses(const config::Config& config,
                                               const k8s::Node* node = nullptr) {
  return make_node_view(config, node, kLocal).node_port_addresses;
}

}  // namespace

TEST_CASE("node ports are served on every address of the node, unless configured otherwise") {
  const auto view = make_node_view({}, nullptr, kLocal);
  CHECK(view.node_port_addresses == kernel_ips({"10.0.0.5", "192.168.1.1", "fd00:1::1"}));
  CHECK(view.addresses.own().size() == 3);
}

TEST_CASE("the flag --nodeport-addresses restricts only the families of its ranges") {
  config::Config config;
  config.nodeport_addresses = {network("192.168.0.0", 16)};
  CHECK(node_port_addresses(config) == kernel_ips({"192.168.1.1", "fd00:1::1"}));
  config.nodeport_addresses = {network("192.168.0.0", 16), network("fd00:2::", 32)};
  CHECK(node_port_addresses(config) == kernel_ips({"192.168.1.1"}));
  config.nodeport_addresses = {network("10.0.0.0", 8), network("192.168.1.1", 32),
                               network("fd00:1::", 64)};
  CHECK(node_port_addresses(config) == kernel_ips({"10.0.0.5", "192.168.1.1", "fd00:1::1"}));
  config.nodeport_addresses = {network("0.0.0.0", 0), network("::", 0)};
  CHECK(node_port_addresses(config).size() == 3);
}

TEST_CASE("addresses just outside a range are not in it") {
  config::Config config;
  config.nodeport_addresses = {network("10.0.0.4", 31)};
  CHECK(node_port_addresses(config) == kernel_ips({"10.0.0.5", "fd00:1::1"}));
  config.nodeport_addresses = {network("10.0.0.6", 31)};
  CHECK(node_port_addresses(config) == kernel_ips({"fd00:1::1"}));
}

TEST_CASE("an address without node ports is still the node's own") {
  config::Config config;
  config.nodeport_addresses = {network("192.168.0.0", 16)};
  CHECK(make_node_view(config, nullptr, kLocal).addresses.is_own(ip("10.0.0.5")));
}

TEST_CASE("`primary` serves node ports on the primary address of each family") {
  config::Config config;
  config.nodeport_addresses_primary = true;
  const auto node =
      node_object({{.type = k8s::NodeAddressType::kInternalIp, .address = ip("192.168.1.1")}});
  CHECK(node_port_addresses(config, &node) == kernel_ips({"192.168.1.1", "fd00:1::1"}));
  // With no Node object: the first global address found.
  CHECK(node_port_addresses(config) == kernel_ips({"10.0.0.5", "fd00:1::1"}));
}

TEST_CASE("the words of --nodeport-addresses add to its networks, for both families (18.2)") {
  config::Config config;
  const auto node =
      node_object({{.type = k8s::NodeAddressType::kInternalIp, .address = ip("192.168.1.1")}});
  config.nodeport_addresses_primary = true;
  config.nodeport_addresses = {network("10.0.0.0", 8)};
  CHECK(node_port_addresses(config, &node) == kernel_ips({"10.0.0.5", "192.168.1.1", "fd00:1::1"}));
  config.nodeport_addresses_primary = false;
  config.nodeport_addresses_localhost = true;
  CHECK(node_port_addresses(config, &node) == kernel_ips({"10.0.0.5"}));
  config.nodeport_addresses = {};
  CHECK(node_port_addresses(config, &node).empty());
  config.nodeport_addresses_all = true;
  CHECK(node_port_addresses(config, &node).size() == 3);
}

TEST_CASE("one address on two interfaces is served once") {
  const auto view =
      make_node_view({}, nullptr, {on_interface("10.0.0.5"), on_interface("10.0.0.5")});
  CHECK(view.node_port_addresses == kernel_ips({"10.0.0.5"}));
}

TEST_CASE(
    "the primary address: --bind-address, then InternalIP, then ExternalIP, then an interface") {
  config::Config config;
  auto node =
      node_object({{.type = k8s::NodeAddressType::kExternalIp, .address = ip("203.0.113.1")},
                   {.type = k8s::NodeAddressType::kInternalIp, .address = ip("192.168.1.1")},
                   {.type = k8s::NodeAddressType::kInternalIp, .address = ip("192.168.1.2")}});
  const auto primary = [&](Family family) {
    return primary_address(family, config, &node, kLocal);
  };
  CHECK(primary(Family::kIpv4) == ip("192.168.1.1"));
  CHECK(primary(Family::kIpv6) == ip("fd00:1::1"));
  node.addresses.resize(1);
  CHECK(primary(Family::kIpv4) == ip("203.0.113.1"));
  config.bind_address = ip("10.0.0.5");
  CHECK(primary(Family::kIpv4) == ip("10.0.0.5"));
  CHECK(primary(Family::kIpv6) == ip("fd00:1::1"));
  config.bind_address = ip("::");
  CHECK(primary(Family::kIpv4) == ip("203.0.113.1"));
}

TEST_CASE("an address in 169.254.0.0/16 serves node ports and is not the primary one (A5)") {
  const std::vector<LocalAddress> local{on_interface("169.254.10.1"), on_interface("192.168.1.1")};
  const auto view = make_node_view({}, nullptr, local);
  CHECK(view.node_port_addresses == kernel_ips({"169.254.10.1", "192.168.1.1"}));
  CHECK(view.addresses.is_own(ip("169.254.10.1")));
  CHECK(primary_address(Family::kIpv4, {}, nullptr, local) == ip("192.168.1.1"));
}

TEST_CASE(
    "only a global address of an interface can be primary; without one there is no primary "
    "address") {
  const std::vector<LocalAddress> local{on_interface("10.0.0.9", 253), on_interface("10.0.0.5")};
  CHECK(primary_address(Family::kIpv4, {}, nullptr, local) == ip("10.0.0.5"));
  CHECK(primary_address(Family::kIpv6, {}, nullptr, local) == std::nullopt);
}
