// SPDX-License-Identifier: Apache-2.0
//
// The Kubernetes objects the agent reads: only the fields it uses, decoded and typed.
//
// These are plain values: no I/O and no pointers into a decoder's buffer. An API field that is
// absent has the API's default here; where "absent" has a meaning of its own, the member is a
// std::optional.
//
// Field names follow the API (k8s.io/api core/v1 and discovery/v1), in snake_case.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/container/flat_map.hpp>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace k8s {

using Address = boost::asio::ip::address;
using Labels = boost::container::flat_map<std::string, std::string>;

// Seconds since the Unix epoch, from an RFC 3339 timestamp (metav1.Time has whole seconds).
using UnixSeconds = std::int64_t;

enum class Protocol : std::uint8_t { kTcp, kUdp, kSctp };

// Identity of a namespaced object; `ns` is empty for cluster-scoped ones (Node).
struct ObjectKey {
  std::string ns;
  std::string name;

  std::strong_ordering operator<=>(const ObjectKey&) const = default;
  // "namespace/name", or "name" for a cluster-scoped object.
  std::string text() const { return ns.empty() ? name : ns + "/" + name; }
};

// metav1.ObjectMeta.
struct Meta {
  ObjectKey key;
  std::string uid;  // of a Service
  std::string resource_version;
  Labels labels;
  // Only annotations the agent reads are kept: see is_known_annotation() in k8s/decode/decode.hpp.
  Labels annotations;
  UnixSeconds creation_timestamp = 0;
  // Set while the object is being deleted. For a Pod it includes the grace period: it is the time
  // by which the kubelet must have killed it.
  std::optional<UnixSeconds> deletion_timestamp;
  // The grace period in seconds: the deletion was requested at deletion_timestamp minus this.
  std::uint32_t deletion_grace_seconds = 0;

  bool operator==(const Meta&) const = default;
};

// A port number (1-65535) or the name of a container port (intstr.IntOrString).
using TargetPort = std::variant<std::uint16_t, std::string>;

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  std::uint16_t node_port = 0;                // 0: none
  TargetPort target_port = std::uint16_t{0};  // 0: the same as `port`
  bool operator==(const ServicePort&) const = default;
};

enum class ServiceType : std::uint8_t { kClusterIp, kNodePort, kLoadBalancer, kExternalName };
enum class TrafficPolicy : std::uint8_t { kCluster, kLocal };

struct LoadBalancerIngress {
  Address ip;
  bool proxy_mode = false;  // status.loadBalancer.ingress[].ipMode == "Proxy"
  bool operator==(const LoadBalancerIngress&) const = default;
};

// An IP range in canonical form (host bits cleared). prefix_length is 0-32 (IPv4) or 0-128 (IPv6).
struct Cidr {
  Address address;
  std::uint8_t prefix_length = 0;
  bool operator==(const Cidr&) const = default;
};

// core/v1 Service.
struct Service {
  Meta meta;
  ServiceType type = ServiceType::kClusterIp;
  // spec.clusterIPs, or [spec.clusterIP] where only that is set. Empty when not (yet) allocated,
  // for ExternalName, and for a headless Service ("None": see `headless`).
  std::vector<Address> cluster_ips;
  bool headless = false;
  std::vector<ServicePort> ports;
  Labels selector;  // empty: no selector
  std::vector<Address> external_ips;
  std::vector<LoadBalancerIngress> load_balancer_ingress;
  std::vector<Cidr> load_balancer_source_ranges;
  // spec.sessionAffinity ClientIP and its timeout in seconds (1-86400, default 10800).
  std::optional<std::uint32_t> client_ip_affinity_seconds;
  TrafficPolicy internal_traffic_policy = TrafficPolicy::kCluster;
  TrafficPolicy external_traffic_policy = TrafficPolicy::kCluster;
  std::uint16_t health_check_node_port = 0;  // 0: none
  bool publish_not_ready_addresses = false;
  std::string traffic_distribution;  // empty, PreferClose, PreferSameZone, PreferSameNode
  std::string external_name;  // of type ExternalName: lower case, without a final dot; else empty
  bool operator==(const Service&) const = default;
};

// A port a container of a Pod declares (spec.containers[].ports[], and of init containers with
// restartPolicy Always). Only these can be the target of a named targetPort.
struct ContainerPort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t container_port = 0;
  auto operator<=>(const ContainerPort&) const = default;
};

enum class PodPhase : std::uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };

// core/v1 Pod.
struct Pod {
  Meta meta;
  std::string node_name;
  bool host_network = false;
  std::vector<Address> pod_ips;  // status.podIPs, or [status.podIP]; empty until assigned
  PodPhase phase = PodPhase::kPending;
  bool ready = false;                // condition Ready == "True"
  UnixSeconds ready_since = 0;       // its lastTransitionTime, to True or to False; 0: not given
  std::vector<ContainerPort> ports;  // named ones only
  std::string hostname;              // RFC 1123 labels, for DNS; empty: not given
  std::string subdomain;
  bool operator==(const Pod&) const = default;
};

enum class NodeAddressType : std::uint8_t { kInternalIp, kExternalIp };

struct NodeAddress {
  NodeAddressType type = NodeAddressType::kInternalIp;
  Address address;
  bool operator==(const NodeAddress&) const = default;
};

// core/v1 Node. Addresses that are not IP addresses (Hostname, InternalDNS, ...) are left out.
struct Node {
  Meta meta;
  std::vector<NodeAddress> addresses;
  std::vector<Cidr> pod_cidrs;
  std::vector<std::string> taint_keys;
  bool operator==(const Node&) const = default;
};

struct SliceEndpoint {
  // Only addresses[0]: the API says that consumers use the first.
  Address address;
  // The defaults are what the API says about absent conditions (discovery/v1 EndpointConditions).
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  std::string node_name;
  std::string zone;
  std::string pod_name;  // targetRef of kind Pod
  std::vector<std::string> zone_hints;
  std::vector<std::string> node_hints;
  bool operator==(const SliceEndpoint&) const = default;
};

struct SlicePort {
  std::string name;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  bool operator==(const SlicePort&) const = default;
};

// discovery.k8s.io/v1 EndpointSlice of addressType IPv4 or IPv6. One of type FQDN is decoded
// without its endpoints.
struct EndpointSlice {
  Meta meta;
  std::string service_name;  // label kubernetes.io/service-name; the other labels are not kept
  std::vector<SliceEndpoint> endpoints;
  std::vector<SlicePort> ports;
  // endpoints[].hostname, by the endpoint's index; shorter where the last ones have none, which is
  // the rule: only endpoints of Pods with a subdomain have one.
  std::vector<std::string> hostnames;
  bool operator==(const EndpointSlice&) const = default;
};

}  // namespace k8s
