// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <utility>

#include "k8s/decode/decode.hpp"

namespace {

using namespace k8s;

Node decoded(std::string_view json) {
  auto result = decode_object<Node>(json);
  INFO(result.fault.text());
  REQUIRE(result.fault.reason.empty());
  return std::move(result.object);
}

Address ip(const char* text) { return boost::asio::ip::make_address(text); }

}  // namespace

TEST_CASE("a Node as the API server sends it is decoded with every field we use") {
  const Node node = decoded(R"({
    "kind": "Node", "apiVersion": "v1",
    "metadata": {"name": "node-1.example.org", "labels": {
      "kubernetes.io/hostname": "node-1", "kubernetes.io/arch": "amd64",
      "topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": "z1"}},
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"],
      "taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]},
    "status": {"addresses": [
      {"type": "InternalIP", "address": "192.168.1.1"}, {"address": "2001:db8::1", "type": "InternalIP"},
      {"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "Hostname", "address": "node-1"},
      {"type": "InternalDNS", "address": "node-1.local"}],
      "images": [{"names": ["a", "b"], "sizeBytes": 123456789012}]}
  })");
  CHECK(node.meta.key.text() == "node-1.example.org");
  CHECK(node.meta.labels == Labels{{"kubernetes.io/hostname", "node-1"},
                                   {"topology.kubernetes.io/region", "r1"},
                                   {"topology.kubernetes.io/zone", "z1"}});
  CHECK(node.addresses ==
        std::vector<NodeAddress>{{NodeAddressType::kInternalIp, ip("192.168.1.1")},
                                 {NodeAddressType::kInternalIp, ip("2001:db8::1")},
                                 {NodeAddressType::kExternalIp, ip("203.0.113.1")}});
  CHECK(node.pod_cidrs == std::vector<Cidr>{{ip("10.244.1.0"), 24}, {ip("fd00:1::"), 64}});
  CHECK(node.taint_keys == std::vector<std::string>{"node.kubernetes.io/unreachable"});
}

TEST_CASE("podCIDR is used if podCIDRs is absent") {
  const Node node = decoded(R"({"metadata":{"name":"n"},"spec":{"podCIDR":"10.0.0.0/24"}})");
  CHECK(node.pod_cidrs == std::vector<Cidr>{{ip("10.0.0.0"), 24}});
}
