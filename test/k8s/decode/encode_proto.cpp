// SPDX-License-Identifier: Apache-2.0
#include "test/k8s/decode/encode_proto.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <iomanip>
#include <map>
#include <protozero/pbf_writer.hpp>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace k8s::test {
namespace {

namespace json = boost::json;
using protozero::pbf_writer;

// Message, field, number, type. "[]": repeated. "!": not a pointer in Go, so written even if it is
// not set. From k8s.io/api (core/v1, discovery/v1) and k8s.io/apimachinery (meta/v1, util/intstr).
constexpr const char* kMessages = R"(
  Pod metadata 1 ObjectMeta!
  Pod spec 2 PodSpec!
  Pod status 3 PodStatus!
  PodSpec containers 2 Container[]
  PodSpec restartPolicy 3 string!
  PodSpec nodeName 10 string!
  PodSpec hostNetwork 11 bool!
  PodSpec hostname 16 string!
  PodSpec subdomain 17 string!
  PodSpec initContainers 20 Container[]
  Container name 1 string!
  Container image 2 string!
  Container ports 6 ContainerPort[]
  Container stdin 16 bool!
  Container restartPolicy 24 string
  ContainerPort name 1 string!
  ContainerPort hostPort 2 int!
  ContainerPort containerPort 3 int!
  ContainerPort protocol 4 string!
  ContainerPort hostIP 5 string!
  PodStatus phase 1 string!
  PodStatus conditions 2 PodCondition[]
  PodStatus message 3 string!
  PodStatus reason 4 string!
  PodStatus hostIP 5 string!
  PodStatus podIP 6 string!
  PodStatus startTime 7 Time
  PodStatus podIPs 12 PodIP[]
  PodIP ip 1 string!
  PodCondition type 1 string!
  PodCondition status 2 string!
  PodCondition lastProbeTime 3 Time!
  PodCondition lastTransitionTime 4 Time!
  PodCondition reason 5 string!
  PodCondition message 6 string!
  Service metadata 1 ObjectMeta!
  Service spec 2 ServiceSpec!
  Service status 3 ServiceStatus!
  ServiceSpec ports 1 ServicePort[]
  ServiceSpec selector 2 map
  ServiceSpec clusterIP 3 string!
  ServiceSpec type 4 string!
  ServiceSpec externalIPs 5 string[]
  ServiceSpec sessionAffinity 7 string!
  ServiceSpec loadBalancerIP 8 string!
  ServiceSpec loadBalancerSourceRanges 9 string[]
  ServiceSpec externalName 10 string!
  ServiceSpec externalTrafficPolicy 11 string!
  ServiceSpec healthCheckNodePort 12 int!
  ServiceSpec publishNotReadyAddresses 13 bool!
  ServiceSpec sessionAffinityConfig 14 SessionAffinityConfig
  ServiceSpec clusterIPs 18 string[]
  ServiceSpec internalTrafficPolicy 22 string
  ServiceSpec trafficDistribution 23 string
  ServicePort name 1 string!
  ServicePort protocol 2 string!
  ServicePort port 3 int!
  ServicePort targetPort 4 IntOrString!
  ServicePort nodePort 5 int!
  SessionAffinityConfig clientIP 1 ClientIPConfig
  ClientIPConfig timeoutSeconds 1 int
  ServiceStatus loadBalancer 1 LoadBalancerStatus!
  LoadBalancerStatus ingress 1 LoadBalancerIngress[]
  LoadBalancerIngress ip 1 string!
  LoadBalancerIngress hostname 2 string!
  LoadBalancerIngress ipMode 3 string
  Node metadata 1 ObjectMeta!
  Node spec 2 NodeSpec!
  Node status 3 NodeStatus!
  NodeSpec podCIDR 1 string!
  NodeSpec taints 5 Taint[]
  NodeSpec podCIDRs 7 string[]
  Taint key 1 string!
  Taint value 2 string!
  Taint effect 3 string!
  NodeStatus addresses 5 NodeAddress[]
  NodeAddress type 1 string!
  NodeAddress address 2 string!
  EndpointSlice metadata 1 ObjectMeta!
  EndpointSlice endpoints 2 Endpoint[]
  EndpointSlice ports 3 EndpointPort[]
  EndpointSlice addressType 4 string!
  Endpoint addresses 1 string[]
  Endpoint conditions 2 EndpointConditions!
  Endpoint hostname 3 string
  Endpoint targetRef 4 ObjectReference
  Endpoint nodeName 6 string
  Endpoint zone 7 string
  Endpoint hints 8 EndpointHints
  EndpointConditions ready 1 bool
  EndpointConditions serving 2 bool
  EndpointConditions terminating 3 bool
  EndpointHints forZones 1 ForZone[]
  EndpointHints forNodes 2 ForNode[]
  ForZone name 1 string!
  ForNode name 1 string!
  EndpointPort name 1 string
  EndpointPort protocol 2 string
  EndpointPort port 3 int
  ObjectReference kind 1 string!
  ObjectReference namespace 2 string!
  ObjectReference name 3 string!
  ObjectMeta name 1 string!
  ObjectMeta generateName 2 string!
  ObjectMeta namespace 3 string!
  ObjectMeta selfLink 4 string!
  ObjectMeta uid 5 string!
  ObjectMeta resourceVersion 6 string!
  ObjectMeta generation 7 int!
  ObjectMeta creationTimestamp 8 Time!
  ObjectMeta deletionTimestamp 9 Time
  ObjectMeta deletionGracePeriodSeconds 10 int
  ObjectMeta labels 11 map
  ObjectMeta annotations 12 map
  Status metadata 1 ListMeta!
  Status status 2 string!
  Status message 3 string!
  Status reason 4 string!
  Status details 5 StatusDetails
  Status code 6 int!
  StatusDetails name 1 string!
  StatusDetails retryAfterSeconds 5 int!
  ListMeta selfLink 1 string!
  ListMeta resourceVersion 2 string!
  ListMeta continue 3 string!
)";

struct Field {
  std::string name;
  unsigned number = 0;
  std::string type;
  bool repeated = false;
  bool always = false;
};
using Messages = std::map<std::string, std::vector<Field>>;

const Messages& messages() {
  static const Messages all = [] {
    Messages result;
    std::istringstream lines(kMessages);
    std::string message;
    Field field;
    while (lines >> message >> field.name >> field.number >> field.type) {
      field.repeated = field.type.ends_with("[]");
      field.always = field.type.ends_with("!");
      field.type = field.type.substr(0, field.type.find_first_of("[!"));
      result[message].push_back(field);
    }
    for (const char* kind : {"Pod", "Service", "Node", "EndpointSlice"}) {
      result[std::string(kind) + "List"] = {{"metadata", 1, "ListMeta", false, true},
                                            {"items", 2, kind, true, false}};
    }
    return result;
  }();
  return all;
}

std::string_view text_of(const json::value& value) {
  const json::string& text = value.get_string();
  return {text.data(), text.size()};
}

std::int64_t seconds_of(std::string_view text) {
  std::tm parts{};
  std::istringstream in{std::string(text)};
  in >> std::get_time(&parts, "%Y-%m-%dT%H:%M:%S");
  if (in.fail()) throw std::invalid_argument("not a time: " + std::string(text));
  return timegm(&parts);
}

std::string message(const std::string& type, const json::object& object);

void put_map(pbf_writer& to, unsigned number, const json::object& map) {
  for (const auto& [key, value] : map) {
    pbf_writer entry(to, number);
    entry.add_string(1, key.data(), key.size());
    if (value.is_string()) entry.add_string(2, std::string(text_of(value)));
  }
}

void put_int_or_string(pbf_writer& to, unsigned number, const json::value& value) {
  pbf_writer either(to, number);
  either.add_int64(1, value.is_string() ? 1 : 0);
  either.add_int32(2, value.is_int64() ? static_cast<std::int32_t>(value.get_int64()) : 0);
  either.add_string(3, value.is_string() ? std::string(text_of(value)) : std::string());
}

// Encodes by the type of the value, not of the field.
void put(pbf_writer& to, const Field& field, const json::value& value) {
  if (value.is_object()) {
    if (field.type == "map") return put_map(to, field.number, value.get_object());
    to.add_message(field.number, message(field.type, value.get_object()));
  } else if (field.type == "IntOrString") {
    put_int_or_string(to, field.number, value);
  } else if (field.type == "Time" && value.is_string()) {
    pbf_writer time(to, field.number);
    time.add_int64(1, seconds_of(text_of(value)));
    time.add_int32(2, 0);
  } else if (value.is_string()) {
    to.add_string(field.number, std::string(text_of(value)));
  } else if (value.is_bool()) {
    to.add_bool(field.number, value.get_bool());
  } else if (value.is_int64()) {
    to.add_int64(field.number, value.get_int64());
  } else if (value.is_double()) {
    to.add_double(field.number, value.get_double());
  }
}

// What Go writes for a field that is not set and is not a pointer.
void put_nothing(pbf_writer& to, const Field& field) {
  if (field.type == "string") return to.add_string(field.number, "");
  if (field.type == "bool") return to.add_bool(field.number, false);
  if (field.type == "int") return to.add_int64(field.number, 0);
  if (field.type == "IntOrString") return put_int_or_string(to, field.number, 0);
  to.add_message(field.number, field.type == "Time" ? std::string() : message(field.type, {}));
}

std::string message(const std::string& type, const json::object& object) {
  std::string bytes;
  pbf_writer to(bytes);
  const auto known = messages().find(type);
  if (known == messages().end()) return bytes;
  for (const Field& field : known->second) {
    const json::value* value = object.if_contains(field.name);
    const bool set = value != nullptr && !value->is_null();
    if (set && value->is_array()) {
      for (const json::value& element : value->get_array()) put(to, field, element);
    } else if (set) {
      put(to, field, *value);
    } else if (field.always) {
      put_nothing(to, field);
    }
  }
  return bytes;
}

std::string member(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_string() ? std::string(text_of(*value)) : std::string();
}

std::string envelope(const json::object& object) {
  const std::string kind = member(object, "kind");
  std::string type;
  pbf_writer type_meta(type);
  type_meta.add_string(1, member(object, "apiVersion"));
  type_meta.add_string(2, kind);
  std::string bytes("k8s\0", 4);
  pbf_writer unknown(bytes);
  unknown.add_message(1, type);
  unknown.add_message(2, message(kind, object));
  unknown.add_string(3, "");
  unknown.add_string(4, "");
  return bytes;
}

}  // namespace

std::string to_proto(std::string_view text) {
  return envelope(json::parse({text.data(), text.size()}).as_object());
}

std::string event_proto(std::string_view type, std::string_view object) {
  std::string event;
  pbf_writer to(event);
  to.add_string(1, type.data(), type.size());
  {
    pbf_writer extension(to, 2);
    extension.add_bytes(1, object.data(), object.size());
  }
  std::string framed;
  for (int shift = 24; shift >= 0; shift -= 8) {
    framed += static_cast<char>(event.size() >> shift & 0xff);
  }
  return framed + event;
}

std::string events_to_proto(std::string_view lines) {
  std::string framed;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    if (line.find_first_not_of(" \t\r") != line.npos) {
      const json::object event = json::parse({line.data(), line.size()}).as_object();
      framed += event_proto(member(event, "type"), envelope(event.at("object").as_object()));
    }
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return framed;
}

}  // namespace k8s::test
