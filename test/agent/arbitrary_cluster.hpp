// SPDX-License-Identifier: Apache-2.0
//
// A random cluster for property tests: few names, addresses and ports, so that they often coincide.
// rapidcheck shrinks what is drawn here.
#pragma once

#include <rapidcheck.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ipvs/host/local_addresses.hpp"
#include "test/agent/objects.hpp"

namespace agent::test {

// The current cluster: what a source would list, and the addresses of the node.
struct Cluster {
  std::map<k8s::ObjectKey, k8s::Service> services;
  std::map<k8s::ObjectKey, k8s::Pod> pods;
  std::map<k8s::ObjectKey, k8s::EndpointSlice> slices;
  std::map<k8s::ObjectKey, k8s::Node> nodes;
  std::vector<ipvs::LocalAddress> local;
  std::vector<ipvs::Address> gateways;
  std::vector<ipvs::Endpoint> api_servers;
};

inline constexpr int kServices = 4;
inline constexpr int kPods = 6;
inline constexpr k8s::UnixSeconds kStart = 1000;

inline int number(int first, int last) { return *rc::gen::inRange(first, last + 1); }
inline bool coin() { return *rc::gen::arbitrary<bool>(); }
inline bool one_in(int n) { return number(1, n) == n; }
inline std::string numbered(const std::string& prefix, int n) { return prefix + std::to_string(n); }
inline std::string one_of(const std::vector<std::string>& words) {
  return *rc::gen::elementOf(words);
}

// The address of a Pod shows on which node it is, as in a real cluster.
inline std::string node_of(int n) { return n % 2 == 0 ? kThisNode : kOtherNode; }
inline std::vector<std::string> pod_addresses(int n) {
  std::vector<std::string> addresses{numbered("10.244.0.", n + 1)};
  if (n % 3 == 0) addresses.push_back(numbered("fd00:244::", n + 1));
  return addresses;
}

inline k8s::Labels arbitrary_labels() {
  k8s::Labels labels{{"app", one_of({"web", "db"})}};
  if (coin()) labels["tier"] = one_of({"front", "back"});
  return labels;
}

// Good values and bad ones.
inline k8s::Labels arbitrary_annotations() {
  k8s::Labels annotations;
  if (one_in(2)) {
    annotations["kube-ipvs.io/scheduler"] = one_of({"rr", "wrr", "lc", "sh", "mh", "dh", "best"});
  }
  if (one_in(4)) annotations["kube-router.io/service.scheduler"] = one_of({"lc", "sh", "none"});
  if (one_in(4)) {
    annotations["kube-ipvs.io/scheduler-flags"] = one_of({"fallback", "port", "none", "flags"});
  }
  if (one_in(3)) annotations["kube-ipvs.io/slow-start"] = one_of({"1", "20", "0", "soon"});
  if (one_in(3)) annotations["kube-ipvs.io/drain-timeout"] = one_of({"0", "15", "-1", "long"});
  if (one_in(3)) annotations["kube-ipvs.io/linger"] = one_of({"1", "15", "0", "ever"});
  return annotations;
}

// One port, or two that may share the number with another protocol.
inline std::vector<k8s::ServicePort> arbitrary_ports() {
  std::vector<k8s::ServicePort> ports{make_port()};
  if (one_in(3)) ports[0].protocol = k8s::Protocol::kUdp;
  if (coin()) {
    ports.push_back(make_port(443, std::uint16_t{8443}, "tls"));
    if (coin()) {
      ports[1].port = 80;
      ports[1].protocol =
          ports[0].protocol == k8s::Protocol::kTcp ? k8s::Protocol::kUdp : k8s::Protocol::kTcp;
    }
  }
  for (k8s::ServicePort& port : ports) {
    if (coin()) port.node_port = static_cast<std::uint16_t>(number(30000, 30001));
  }
  if (ports.size() == 2 && ports[0].protocol == ports[1].protocol) ports[1].node_port = 0;
  return ports;
}

// Ranges that contain one another, this node, or all addresses.
inline std::vector<k8s::Cidr> arbitrary_source_ranges() {
  const std::vector<k8s::Cidr> pool{{ip("203.0.113.0"), 24},   {ip("203.0.113.0"), 25},
                                    {ip("203.0.113.128"), 25}, {ip("203.0.112.0"), 23},
                                    {ip("192.168.1.1"), 32},   {ip("0.0.0.0"), 0},
                                    {ip("fd00:203::"), 64},    {ip("fd00:203::1"), 128}};
  std::vector<k8s::Cidr> ranges;
  for (int i = number(0, 3); i > 0; --i) ranges.push_back(*rc::gen::elementOf(pool));
  return ranges;
}

inline void expose(k8s::Service& service) {
  service.type = *rc::gen::element(k8s::ServiceType::kClusterIp, k8s::ServiceType::kNodePort,
                                   k8s::ServiceType::kLoadBalancer);
  if (coin()) service.external_ips = ips({numbered("192.0.2.", number(1, 2))});
  if (coin()) {
    service.load_balancer_ingress = {
        {.ip = ip(numbered("192.0.2.", number(1, 3))), .proxy_mode = one_in(4)}};
    if (coin()) service.load_balancer_ingress.push_back({.ip = ip("fd00:192::1")});
    if (coin()) service.load_balancer_source_ranges = arbitrary_source_ranges();
  }
  if (coin()) service.external_traffic_policy = k8s::TrafficPolicy::kLocal;
  if (coin()) service.internal_traffic_policy = k8s::TrafficPolicy::kLocal;
}

inline k8s::Service arbitrary_service(const std::string& name, int n) {
  k8s::Service service = make_service(name, {numbered("10.96.0.", n + 1)}, arbitrary_ports());
  service.meta.creation_timestamp = number(1, 3);
  service.meta.resource_version = std::to_string(number(1, 1000));
  if (coin()) service.meta.annotations = arbitrary_annotations();
  service.selector = coin() ? arbitrary_labels() : k8s::Labels{};
  if (coin()) service.cluster_ips.push_back(ip(numbered("fd00:96::", n + 1)));
  if (one_in(8)) service.cluster_ips.clear();
  if (one_in(8)) service.meta.labels["service.kubernetes.io/headless"] = "";
  if (one_in(8)) service.meta.labels["service.kubernetes.io/service-proxy-name"] = "another";
  if (coin()) expose(service);
  if (one_in(4)) service.client_ip_affinity_seconds = 60;
  service.publish_not_ready_addresses = one_in(4);
  service.traffic_distribution = one_of({"", "PreferSameZone", "PreferSameNode"});
  return service;
}

// The same Service with one thing changed.
inline k8s::Service edited(k8s::Service service) {
  switch (number(0, 5)) {
    case 0:
      service.meta.annotations = arbitrary_annotations();
      break;
    case 1:
      service.ports = arbitrary_ports();
      break;
    case 2:
      expose(service);
      break;
    case 3:
      service.external_ips.clear();
      service.load_balancer_ingress.clear();
      break;
    case 4:
      service.client_ip_affinity_seconds = 90;
      break;
    default:
      service.load_balancer_source_ranges = arbitrary_source_ranges();
      break;
  }
  return service;
}

inline k8s::Pod arbitrary_pod(const std::string& name, int n) {
  k8s::Pod pod = make_pod(name, pod_addresses(n), arbitrary_labels());
  pod.node_name = node_of(n);
  pod.ready = !one_in(4);
  if (coin()) pod.ready_since = kStart + number(-10, 60);
  if (one_in(3)) {
    pod.meta.annotations["kube-ipvs.io/weight"] = one_of({"0", "1", "5", "65535", "-1", "heavy"});
  }
  if (one_in(4)) {
    pod.meta.deletion_timestamp = kStart + number(1, 100);
    pod.meta.deletion_grace_seconds = 30;
  }
  if (one_in(8)) pod.phase = k8s::PodPhase::kSucceeded;
  return pod;
}

inline std::string arbitrary_zone() { return one_of({"zone-a", "zone-b"}); }

inline k8s::EndpointSlice arbitrary_slice(const std::string& name) {
  std::vector<k8s::SliceEndpoint> endpoints;
  for (int i = number(0, 3); i > 0; --i) {
    const int n = number(0, kPods - 1);
    k8s::SliceEndpoint e = make_slice_endpoint(pod_addresses(n).back(), numbered("pod-", n));
    e.node_name = node_of(n);
    e.serving = !one_in(4);
    e.terminating = one_in(4);
    e.ready = e.serving && !e.terminating;
    if (coin()) e.zone_hints = {arbitrary_zone()};
    if (coin()) e.node_hints = {node_of(n)};
    endpoints.push_back(e);
  }
  k8s::EndpointSlice slice =
      make_slice(name, numbered("svc-", number(0, kServices - 1)), endpoints);
  if (one_in(3)) slice.ports[0].protocol = k8s::Protocol::kUdp;
  return slice;
}

// Addresses that Services also ask for may be this node's, another Node's, or a gateway's.
inline std::vector<ipvs::LocalAddress> arbitrary_local() {
  std::vector<ipvs::LocalAddress> local{{.address = ip("192.168.1.1"), .interface_name = "eth0"}};
  for (const char* other : {"192.168.1.2", "192.0.2.1", "fd00:1::1", "10.96.0.1"}) {
    if (one_in(3)) local.push_back({.address = ip(other), .interface_name = "eth1"});
  }
  return local;
}

inline std::vector<ipvs::Address> arbitrary_gateways() {
  return one_in(3) ? kernel_ips({"192.0.2.3", "192.168.1.254"}) : kernel_ips({"192.168.1.254"});
}

// On this node one port of the API server's is protected, elsewhere its address.
inline std::vector<ipvs::Endpoint> arbitrary_api_servers() {
  if (coin()) return {};
  return {{ip(one_of({"192.168.1.1", "192.0.2.1", "192.0.2.3", "10.96.0.2", "10.1.1.1"})),
           static_cast<std::uint16_t>(coin() ? 80 : 30001)}};
}

// Two other Nodes may list the same address, and one may list it as something else.
inline k8s::Node arbitrary_node() {
  const bool own = coin();
  const std::string other = coin() ? kOtherNode : "node-3";
  k8s::Node node =
      make_node(own ? kThisNode : other, coin() ? arbitrary_zone() : "",
                own ? "192.168.1.1" : one_of({"192.168.1.9", "192.0.2.1", "192.0.2.2"}));
  if (one_in(4)) node.addresses[0].type = k8s::NodeAddressType::kExternalIp;
  return node;
}

}  // namespace agent::test
