// SPDX-License-Identifier: Apache-2.0
#include "test/k8s/decode/encode.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstdio>
#include <type_traits>
#include <utility>

namespace k8s::test {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::serialize;
using boost::json::value;

std::string api_version_of(std::string_view kind) {
  return kind == "EndpointSlice" ? "discovery.k8s.io/v1" : "v1";
}

std::string time_text(UnixSeconds seconds) {
  const std::chrono::sys_seconds instant{std::chrono::seconds{seconds}};
  const auto days = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{instant - days};
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  return text;
}

std::string protocol_text(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kSctp:
      return "SCTP";
  }
  return {};
}

std::string cidr_text(const Cidr& cidr) {
  return cidr.address.to_string() + "/" + std::to_string(cidr.prefix_length);
}

void put(object& to, std::string_view key, const std::string& text) {
  if (!text.empty()) to[key] = text;
}
void put(object& to, std::string_view key, array list) {
  if (!list.empty()) to[key] = std::move(list);
}
void put(object& to, std::string_view key, const Labels& map) {
  if (map.empty()) return;
  object members;
  for (const auto& [name, text] : map) members[name] = text;
  to[key] = std::move(members);
}

template <typename List, typename Encode>
array array_of(const List& list, Encode encode) {
  array result;
  for (const auto& element : list) result.push_back(encode(element));
  return result;
}

array addresses(const std::vector<Address>& list) {
  return array_of(list, [](const Address& a) { return value(a.to_string()); });
}
array cidrs(const std::vector<Cidr>& list) {
  return array_of(list, [](const Cidr& c) { return value(cidr_text(c)); });
}
array named(const std::vector<std::string>& list) {
  return array_of(list, [](const std::string& name) { return value(object{{"name", name}}); });
}

object metadata(const Meta& meta, Labels labels) {
  object result;
  put(result, "name", meta.key.name);
  put(result, "namespace", meta.key.ns);
  put(result, "uid", meta.uid);
  put(result, "resourceVersion", meta.resource_version);
  put(result, "creationTimestamp", time_text(meta.creation_timestamp));
  if (meta.deletion_grace_seconds != 0) {
    result["deletionGracePeriodSeconds"] = meta.deletion_grace_seconds;
  }
  if (meta.deletion_timestamp) result["deletionTimestamp"] = time_text(*meta.deletion_timestamp);
  put(result, "labels", labels);
  put(result, "annotations", meta.annotations);
  return result;
}

object document(std::string_view kind, const Meta& meta, const Labels& labels) {
  return {
      {"kind", kind}, {"apiVersion", api_version_of(kind)}, {"metadata", metadata(meta, labels)}};
}

value target_port(const TargetPort& target) {
  return std::visit([](const auto& choice) { return value(choice); }, target);
}

value service_port(const ServicePort& port) {
  object result;
  put(result, "name", port.name);
  result["protocol"] = protocol_text(port.protocol);
  result["port"] = port.port;
  result["targetPort"] = target_port(port.target_port);
  if (port.node_port != 0) result["nodePort"] = port.node_port;
  return result;
}

std::string type_text(ServiceType type) {
  switch (type) {
    case ServiceType::kClusterIp:
      return "ClusterIP";
    case ServiceType::kNodePort:
      return "NodePort";
    case ServiceType::kLoadBalancer:
      return "LoadBalancer";
    case ServiceType::kExternalName:
      return "ExternalName";
  }
  return {};
}

std::string policy_text(TrafficPolicy policy) {
  return policy == TrafficPolicy::kLocal ? "Local" : "Cluster";
}

object service_spec(const Service& service) {
  object spec;
  put(spec, "ports", array_of(service.ports, service_port));
  put(spec, "selector", service.selector);
  array cluster_ips = service.headless ? array{"None"} : addresses(service.cluster_ips);
  if (!cluster_ips.empty()) spec["clusterIP"] = cluster_ips.front();
  put(spec, "clusterIPs", std::move(cluster_ips));
  spec["type"] = type_text(service.type);
  put(spec, "externalIPs", addresses(service.external_ips));
  spec["sessionAffinity"] = service.client_ip_affinity_seconds ? "ClientIP" : "None";
  put(spec, "loadBalancerSourceRanges", cidrs(service.load_balancer_source_ranges));
  spec["externalTrafficPolicy"] = policy_text(service.external_traffic_policy);
  if (service.health_check_node_port != 0) {
    spec["healthCheckNodePort"] = service.health_check_node_port;
  }
  if (service.publish_not_ready_addresses) spec["publishNotReadyAddresses"] = true;
  if (service.client_ip_affinity_seconds) {
    spec["sessionAffinityConfig"] = {
        {"clientIP", {{"timeoutSeconds", *service.client_ip_affinity_seconds}}}};
  }
  spec["internalTrafficPolicy"] = policy_text(service.internal_traffic_policy);
  put(spec, "trafficDistribution", service.traffic_distribution);
  put(spec, "externalName", service.external_name);
  return spec;
}

value ingress(const LoadBalancerIngress& point) {
  return {{"ip", point.ip.to_string()}, {"ipMode", point.proxy_mode ? "Proxy" : "VIP"}};
}

std::string phase_text(PodPhase phase) {
  switch (phase) {
    case PodPhase::kPending:
      return "Pending";
    case PodPhase::kRunning:
      return "Running";
    case PodPhase::kSucceeded:
      return "Succeeded";
    case PodPhase::kFailed:
      return "Failed";
    case PodPhase::kUnknown:
      return "Unknown";
  }
  return {};
}

value container_port(const ContainerPort& port) {
  return {{"name", port.name},
          {"containerPort", port.container_port},
          {"protocol", protocol_text(port.protocol)}};
}

value slice_endpoint(const SliceEndpoint& endpoint) {
  object result;
  result["addresses"] = array{endpoint.address.to_string()};
  result["conditions"] = {{"ready", endpoint.ready},
                          {"serving", endpoint.serving},
                          {"terminating", endpoint.terminating}};
  if (!endpoint.pod_name.empty()) {
    result["targetRef"] = {{"kind", "Pod"}, {"name", endpoint.pod_name}};
  }
  put(result, "nodeName", endpoint.node_name);
  put(result, "zone", endpoint.zone);
  object hints;
  put(hints, "forZones", named(endpoint.zone_hints));
  put(hints, "forNodes", named(endpoint.node_hints));
  if (!hints.empty()) result["hints"] = std::move(hints);
  return result;
}

value slice_port(const SlicePort& port) {
  return {{"name", port.name}, {"protocol", protocol_text(port.protocol)}, {"port", port.port}};
}

}  // namespace

std::string to_json(const Service& service) {
  object result = document("Service", service.meta, service.meta.labels);
  result["spec"] = service_spec(service);
  object balancer;
  put(balancer, "ingress", array_of(service.load_balancer_ingress, ingress));
  result["status"] = {{"loadBalancer", std::move(balancer)}};
  return serialize(result);
}

std::string to_json(const Pod& pod) {
  object result = document("Pod", pod.meta, pod.meta.labels);
  object container{{"name", "main"}};
  put(container, "ports", array_of(pod.ports, container_port));
  object spec{{"containers", array{std::move(container)}}};
  put(spec, "nodeName", pod.node_name);
  if (pod.host_network) spec["hostNetwork"] = true;
  put(spec, "hostname", pod.hostname);
  put(spec, "subdomain", pod.subdomain);
  result["spec"] = std::move(spec);
  object status{{"phase", phase_text(pod.phase)}};
  object ready{{"type", "Ready"}, {"status", pod.ready ? "True" : "False"}};
  if (pod.ready_since != 0) ready["lastTransitionTime"] = time_text(pod.ready_since);
  status["conditions"] =
      array{object{{"type", "PodScheduled"}, {"status", "True"}}, std::move(ready)};
  if (!pod.pod_ips.empty()) status["podIP"] = pod.pod_ips.front().to_string();
  put(status, "podIPs", array_of(pod.pod_ips, [](const Address& ip) {
        return value(object{{"ip", ip.to_string()}});
      }));
  result["status"] = std::move(status);
  return serialize(result);
}

std::string to_json(const Node& node) {
  object result = document("Node", node.meta, node.meta.labels);
  object spec;
  if (!node.pod_cidrs.empty()) spec["podCIDR"] = cidr_text(node.pod_cidrs.front());
  put(spec, "podCIDRs", cidrs(node.pod_cidrs));
  put(spec, "taints", array_of(node.taint_keys, [](const std::string& key) {
        return value(object{{"key", key}, {"effect", "NoSchedule"}});
      }));
  result["spec"] = std::move(spec);
  object status;
  status["addresses"] = array_of(node.addresses, [](const NodeAddress& address) {
    const bool internal = address.type == NodeAddressType::kInternalIp;
    return value(object{{"type", internal ? "InternalIP" : "ExternalIP"},
                        {"address", address.address.to_string()}});
  });
  result["status"] = std::move(status);
  return serialize(result);
}

std::string to_json(const EndpointSlice& slice) {
  Labels labels = slice.meta.labels;
  if (!slice.service_name.empty()) labels["kubernetes.io/service-name"] = slice.service_name;
  object result = document("EndpointSlice", slice.meta, labels);
  const bool v6 = !slice.endpoints.empty() && slice.endpoints.front().address.is_v6();
  result["addressType"] = v6 ? "IPv6" : "IPv4";
  array endpoints = array_of(slice.endpoints, slice_endpoint);
  for (std::size_t i = 0; i < slice.hostnames.size(); ++i) {
    put(endpoints[i].as_object(), "hostname", slice.hostnames[i]);
  }
  result["endpoints"] = std::move(endpoints);
  result["ports"] = array_of(slice.ports, slice_port);
  return serialize(result);
}

std::string list_json(std::string_view kind, const std::vector<std::string>& items,
                      std::string_view resource_version, std::string_view continue_token) {
  object meta{{"resourceVersion", resource_version}};
  put(meta, "continue", std::string(continue_token));
  std::string json = "{\"kind\":\"" + std::string(kind) + "List\",\"apiVersion\":\"" +
                     api_version_of(kind) + "\",\"metadata\":" + serialize(meta) + ",\"items\":[";
  for (const std::string& item : items) {
    if (&item != &items.front()) json += ',';
    json += item;
  }
  return json += "]}\n";
}

std::string event_json(std::string_view type, std::string_view object) {
  return "{\"type\":\"" + std::string(type) + "\",\"object\":" + std::string(object) + "}\n";
}

std::string bookmark_json(std::string_view kind, std::string_view resource_version) {
  object meta{{"resourceVersion", resource_version}, {"creationTimestamp", nullptr}};
  return serialize(
      object{{"kind", kind}, {"apiVersion", api_version_of(kind)}, {"metadata", std::move(meta)}});
}

std::string status_json(int code, std::string_view reason, std::string_view message,
                        int retry_after_seconds) {
  object result{{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", object{}},
                {"status", "Failure"}, {"message", message}, {"reason", reason},
                {"code", code}};
  if (retry_after_seconds > 0) {
    result["details"] = {{"retryAfterSeconds", retry_after_seconds}};
  }
  return serialize(result);
}

}  // namespace k8s::test
