// SPDX-License-Identifier: Apache-2.0
//
// Ordinary Kubernetes objects for the tests of agent/; a test changes the fields that it is about.
// All are in namespace "default"; this node is "node-1".
#pragma once

#include <boost/asio/ip/address.hpp>
#include <string>
#include <vector>

#include "ipvs/state/model.hpp"
#include "k8s/types.hpp"

namespace agent::test {

inline constexpr const char* kThisNode = "node-1";
inline constexpr const char* kOtherNode = "node-2";

inline k8s::Address ip(const std::string& text) { return boost::asio::ip::make_address(text); }

inline std::vector<k8s::Address> ips(const std::vector<std::string>& texts) {
  std::vector<k8s::Address> addresses;
  for (const std::string& text : texts) addresses.push_back(ip(text));
  return addresses;
}

// The same as addresses of the ipvs module.
inline std::vector<ipvs::Address> kernel_ips(const std::vector<std::string>& texts) {
  std::vector<ipvs::Address> addresses;
  for (const std::string& text : texts) addresses.push_back(ip(text));
  return addresses;
}

inline k8s::ObjectKey key_of(const std::string& name) { return {.ns = "default", .name = name}; }

// A running, ready Pod on this node.
inline k8s::Pod make_pod(const std::string& name, const std::vector<std::string>& addresses,
                         const k8s::Labels& labels = {{"app", "web"}}) {
  k8s::Pod pod;
  pod.meta.key = key_of(name);
  pod.meta.labels = labels;
  pod.node_name = kThisNode;
  pod.pod_ips = ips(addresses);
  pod.phase = k8s::PodPhase::kRunning;
  pod.ready = true;
  return pod;
}

// A TCP Service port 80 (or another) to container port 8080 (or another).
inline k8s::ServicePort make_port(std::uint16_t port = 80, std::uint16_t target = 8080,
                                  const std::string& name = "") {
  k8s::ServicePort result;
  result.name = name;
  result.port = port;
  result.target_port = target;
  return result;
}

// The same with a named container port.
inline k8s::ServicePort make_port(std::uint16_t port, const char* target, const std::string& name) {
  k8s::ServicePort result = make_port(port, std::uint16_t{0}, name);
  result.target_port = std::string(target);
  return result;
}

// A ClusterIP Service for Pods with the label app=web.
inline k8s::Service make_service(const std::string& name,
                                 const std::vector<std::string>& cluster_ips,
                                 const std::vector<k8s::ServicePort>& ports = {make_port()}) {
  k8s::Service service;
  service.meta.key = key_of(name);
  service.cluster_ips = ips(cluster_ips);
  service.ports = ports;
  service.selector = {{"app", "web"}};
  return service;
}

// A Node, in that zone ("": without the label).
inline k8s::Node make_node(const std::string& name, const std::string& zone = "",
                           const std::string& address = "192.168.1.1") {
  k8s::Node node;
  node.meta.key = {.ns = "", .name = name};
  if (!zone.empty()) node.meta.labels["topology.kubernetes.io/zone"] = zone;
  node.addresses = {{.type = k8s::NodeAddressType::kInternalIp, .address = ip(address)}};
  return node;
}

// A ready endpoint on this node.
inline k8s::SliceEndpoint make_slice_endpoint(const std::string& address,
                                              const std::string& pod = "") {
  k8s::SliceEndpoint endpoint;
  endpoint.address = ip(address);
  endpoint.node_name = kThisNode;
  endpoint.pod_name = pod;
  return endpoint;
}

// A slice of `service` with one unnamed TCP port.
inline k8s::EndpointSlice make_slice(const std::string& name, const std::string& service,
                                     const std::vector<k8s::SliceEndpoint>& endpoints,
                                     std::uint16_t port = 8080) {
  k8s::EndpointSlice slice;
  slice.meta.key = key_of(name);
  slice.service_name = service;
  slice.endpoints = endpoints;
  slice.ports = {{.name = "", .protocol = k8s::Protocol::kTcp, .port = port}};
  return slice;
}

}  // namespace agent::test
