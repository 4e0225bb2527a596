// SPDX-License-Identifier: Apache-2.0
//
// Reads core/v1 Service. Rules and defaults are those of the API's field documentation and
// validation (pkg/apis/core/validation, ValidateService), for the fields that we read; what a field
// costs that breaks one: decode.hpp.
#include <algorithm>
#include <optional>
#include <utility>

#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

enum : SchemaNode {
  kSpec = kFirstOwn,
  kType,
  kClusterIp,
  kClusterIps,
  kExternalIps,
  kSelector,
  kSessionAffinity,
  kAffinityConfig,
  kClientIp,
  kTimeoutSeconds,
  kInternalPolicy,
  kExternalPolicy,
  kSourceRanges,
  kHealthCheckNodePort,
  kPublishNotReady,
  kDistribution,
  kExternalName,
  kPort,
  kPortName,
  kPortProtocol,
  kPortNumber,
  kPortNodePort,
  kPortTarget,
  kStatus,
  kLoadBalancer,
  kIngress,
  kIngressIp,
  kIngressMode,
};

constexpr auto kFields = object_fields(std::array{
    kUidField,
    Field{doc::kRoot, {"spec", 2}, FieldType::kObject, kSpec},
    Field{kSpec, {"type", 4}, FieldType::kString, kType},
    Field{kSpec, {"clusterIP", 3}, FieldType::kString, kClusterIp},
    Field{kSpec, {"clusterIPs", 18}, FieldType::kStrings, kClusterIps},
    Field{kSpec, {"externalIPs", 5}, FieldType::kStrings, kExternalIps},
    Field{kSpec, {"selector", 2}, FieldType::kMap, kSelector},
    Field{kSpec, {"sessionAffinity", 7}, FieldType::kString, kSessionAffinity},
    Field{kSpec, {"sessionAffinityConfig", 14}, FieldType::kObject, kAffinityConfig},
    Field{kAffinityConfig, {"clientIP", 1}, FieldType::kObject, kClientIp},
    Field{kClientIp, {"timeoutSeconds", 1}, FieldType::kInteger, kTimeoutSeconds},
    Field{kSpec, {"internalTrafficPolicy", 22}, FieldType::kString, kInternalPolicy},
    Field{kSpec, {"externalTrafficPolicy", 11}, FieldType::kString, kExternalPolicy},
    Field{kSpec, {"loadBalancerSourceRanges", 9}, FieldType::kStrings, kSourceRanges},
    Field{kSpec, {"healthCheckNodePort", 12}, FieldType::kInteger, kHealthCheckNodePort},
    Field{kSpec, {"publishNotReadyAddresses", 13}, FieldType::kBoolean, kPublishNotReady},
    Field{kSpec, {"trafficDistribution", 23}, FieldType::kString, kDistribution},
    Field{kSpec, {"externalName", 10}, FieldType::kString, kExternalName},
    Field{kSpec, {"ports", 1}, FieldType::kObjects, kPort},
    Field{kPort, {"name", 1}, FieldType::kString, kPortName},
    Field{kPort, {"protocol", 2}, FieldType::kString, kPortProtocol},
    Field{kPort, {"port", 3}, FieldType::kInteger, kPortNumber},
    Field{kPort, {"nodePort", 5}, FieldType::kInteger, kPortNodePort},
    Field{kPort, {"targetPort", 4}, FieldType::kIntOrString, kPortTarget},
    Field{doc::kRoot, {"status", 3}, FieldType::kObject, kStatus},
    Field{kStatus, {"loadBalancer", 1}, FieldType::kObject, kLoadBalancer},
    Field{kLoadBalancer, {"ingress", 1}, FieldType::kObjects, kIngress},
    Field{kIngress, {"ip", 1}, FieldType::kString, kIngressIp},
    Field{kIngress, {"ipMode", 3}, FieldType::kString, kIngressMode},
});
constexpr Schema kSchema(kFields);

constexpr std::uint32_t kDefaultAffinitySeconds = 10800;
constexpr std::int64_t kMaxAffinitySeconds = 86400;

Parsed<ServiceType> parse_type(std::string_view text) {
  if (text.empty() || text == "ClusterIP") return ServiceType::kClusterIp;
  if (text == "NodePort") return ServiceType::kNodePort;
  if (text == "LoadBalancer") return ServiceType::kLoadBalancer;
  if (text == "ExternalName") return ServiceType::kExternalName;
  return Parsed<ServiceType>::failed(
      quoted(text) + " is not a type (ClusterIP, NodePort, LoadBalancer, ExternalName)");
}

Parsed<TrafficPolicy> parse_policy(std::string_view text) {
  if (text.empty() || text == "Cluster") return TrafficPolicy::kCluster;
  if (text == "Local") return TrafficPolicy::kLocal;
  return Parsed<TrafficPolicy>::failed(quoted(text) + " is not a traffic policy (Cluster, Local)");
}

// True for "ClientIP".
Parsed<bool> parse_affinity(std::string_view text) {
  if (text.empty() || text == "None") return false;
  if (text == "ClientIP") return true;
  return Parsed<bool>::failed(quoted(text) + " is not a session affinity (None, ClientIP)");
}

// True for "Proxy".
Parsed<bool> parse_ip_mode(std::string_view text) {
  if (text.empty() || text == "VIP") return false;
  if (text == "Proxy") return true;
  return Parsed<bool>::failed(quoted(text) + " is not an IP mode (VIP, Proxy): not served here");
}

Parsed<std::uint32_t> parse_timeout(std::int64_t seconds) {
  if (seconds >= 1 && seconds <= kMaxAffinitySeconds) return static_cast<std::uint32_t>(seconds);
  return Parsed<std::uint32_t>::failed(std::to_string(seconds) + " is not a timeout (1-86400)");
}

Parsed<TargetPort> parse_target(const Scalar& value) {
  // 0 and "" both mean the same as `port` (SetDefaults_Service).
  if (value.is_text && value.text.empty()) return TargetPort(std::uint16_t{0});
  if (value.is_text) {
    if (is_service_port_name(value.text)) return TargetPort(std::string(value.text));
    return Parsed<TargetPort>::failed(quoted(value.text) + " is not a port name");
  }
  const auto port = parse_port(value.integer, 0);
  return port ? Parsed<TargetPort>(TargetPort(*port)) : Parsed<TargetPort>::failed(port.reason());
}

// No container port can have this name, and no label this value.
constexpr const char* kNothing = "\n(unreadable)";

template <typename T>
void add_once(std::vector<T>& list, const T& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

class ServiceReader final : public ObjectReader<Service> {
 public:
  ServiceReader() : ObjectReader("Service", "") {}
  const Schema& schema() const override { return kSchema; }

 private:
  void start() override {
    object = {};
    single_cluster_ip_.reset();
    client_ip_affinity_ = false;
    affinity_seconds_ = kDefaultAffinitySeconds;
  }

  bool wants_label(std::string_view) const override { return true; }  // `get -l` asks for any

  void open(SchemaNode node) override {
    if (node == kPort) {
      object.ports.emplace_back();
      port_is_lost_ = false;
    }
    if (node == kIngress) ingress_ = {};
    MetaReader::open(node);
  }

  void close(SchemaNode node) override {
    if (node == kPort) close_port();
    // An entry with only a host name is for DNS.
    if (node == kIngress && !ingress_.ip.is_unspecified()) {
      object.load_balancer_ingress.push_back(ingress_);
    }
    MetaReader::close(node);
  }

  void entry_own(SchemaNode, std::string_view key, std::string_view value) override {
    object.selector.insert_or_assign(std::string(key), std::string(value));
  }

  void unreadable(SchemaNode node, const std::string& reason) override {
    switch (node) {
      case kSelector:
        object.selector.insert_or_assign(kNothing, kNothing);
        return;
      case kSourceRanges:
        return admit_nobody();
      case kPortNumber:
      case kPortProtocol:
        port_is_lost_ = true;
        return;
      case kPortTarget:
        object.ports.back().target_port = kNothing;
        return;
      case kIngressMode:
        ingress_.proxy_mode = true;
        return;
      default:
        return MetaReader::unreadable(node, reason);
    }
  }

  void scalar(SchemaNode node, const Scalar& value) override {
    if (node >= kPort) return scalar_of_element(node, value);
    switch (node) {
      case kType:
        accept(parse_type(value.text), object.type);
        return;
      case kClusterIp:
        single_cluster_ip_ = value.text;
        return;
      case kClusterIps:
        take_cluster_ip(value.text);
        return;
      case kExternalIps:
        take_external_ip(value.text);
        return;
      case kSessionAffinity:
        accept(parse_affinity(value.text), client_ip_affinity_);
        return;
      case kTimeoutSeconds:
        accept(parse_timeout(value.integer), affinity_seconds_);
        return;
      case kInternalPolicy:
        accept(parse_policy(value.text), object.internal_traffic_policy);
        return;
      case kExternalPolicy:
        accept(parse_policy(value.text), object.external_traffic_policy);
        return;
      case kSourceRanges:
        take_source_range(value.text);
        return;
      case kHealthCheckNodePort:
        accept(parse_port(value.integer, 0), object.health_check_node_port);
        return;
      case kPublishNotReady:
        object.publish_not_ready_addresses = value.boolean;
        return;
      case kDistribution:
        take_distribution(value.text);
        return;
      case kExternalName:
        object.external_name = value.text;
        return;
      default:
        return MetaReader::scalar(node, value);
    }
  }

  void scalar_of_element(SchemaNode node, const Scalar& value) {
    switch (node) {
      case kPortName:
        take_port_name(value.text);
        return;
      case kPortProtocol:
        take_protocol(value.text);
        return;
      case kPortNumber:
        if (!accept(parse_port(value.integer), object.ports.back().port)) port_is_lost_ = true;
        return;
      case kPortNodePort:
        accept(parse_port(value.integer, 0), object.ports.back().node_port);
        return;
      case kPortTarget:
        take_target(value);
        return;
      case kIngressIp:
        take_ingress_ip(value.text);
        return;
      case kIngressMode:
        if (!accept(parse_ip_mode(value.text), ingress_.proxy_mode)) ingress_.proxy_mode = true;
        return;
      default:
        return;
    }
  }

  void take_port_name(std::string_view text) {
    if (text.empty() || is_dns_label(text)) {
      object.ports.back().name = text;
    } else {
      leave_out(quoted(text) + " is not a port name (RFC 1123 label)");
    }
  }

  // With the default, the port number, it could lead to a port that was never meant.
  void take_target(const Scalar& value) {
    TargetPort& target = object.ports.back().target_port;
    if (!accept(parse_target(value), target)) target = kNothing;
  }

  void close_port() {
    if (object.ports.back().port == 0 && !port_is_lost_) {
      leave_out("missing", ".port");
      port_is_lost_ = true;
    }
    if (port_is_lost_) object.ports.pop_back();
  }

  // Tunnels such as minikube's report 127.0.0.1, which is meant for the user's machine: not for
  // this one. The API accepts any address; those of 169.254.0.0/16 are in use.
  void take_ingress_ip(std::string_view text) {
    if (text.empty()) return;
    Address address;
    if (!accept(parse_address(text), address)) return;
    const bool is_v4_link_local = address.is_v4() && (address.to_v4().to_uint() >> 16) == 0xa9fe;
    if (is_v4_link_local || parse_routable_address(text)) ingress_.ip = address;
  }

  void take_protocol(std::string_view text) {
    if (text.empty()) return;
    if (!accept(parse_protocol(text), object.ports.back().protocol)) port_is_lost_ = true;
  }

  void take_cluster_ip(std::string_view text) {
    if (text == "None") {
      object.headless = true;
      return;
    }
    Address address;
    if (accept(parse_routable_address(text), address)) add_once(object.cluster_ips, address);
  }

  void take_external_ip(std::string_view text) {
    Address address;
    if (accept(parse_routable_address(text), address)) add_once(object.external_ips, address);
  }

  void take_source_range(std::string_view text) {
    Cidr range;
    if (!accept(parse_cidr(text), range)) return admit_nobody();
    add_once(object.load_balancer_source_ranges, range);
  }

  // For a range that cannot be read: no client has the address 0.0.0.0 or ::. Both, because it is
  // not known of which family it was, and a family without any range is open.
  void admit_nobody() {
    add_once(object.load_balancer_source_ranges, {boost::asio::ip::address_v4::any(), 32});
    add_once(object.load_balancer_source_ranges, {boost::asio::ip::address_v6::any(), 128});
  }

  // The API requires that an unknown value is treated as absent.
  void take_distribution(std::string_view text) {
    if (text == "PreferClose" || text == "PreferSameZone" || text == "PreferSameNode") {
      object.traffic_distribution = text;
    }
  }

  // The API wants a subdomain in lower case and allows a final dot. Of other types it keeps what was
  // there, and does not check it.
  void complete_external_name() {
    std::string& name = object.external_name;
    if (object.type != ServiceType::kExternalName) name.clear();
    if (name.ends_with('.')) name.pop_back();
    if (name.empty() || is_dns_name(name)) return;
    leave_out_field("spec.externalName", quoted(name) + " is not a DNS name (RFC 1123 subdomain)");
    name.clear();
  }

  void complete() override {
    if (object.cluster_ips.empty() && single_cluster_ip_ && !single_cluster_ip_->empty()) {
      complete_cluster_ip();
    }
    if (object.headless && !object.cluster_ips.empty()) {
      leave_out_field("spec.clusterIPs", "None must be the only entry");
      object.cluster_ips.clear();
    }
    if (object.type == ServiceType::kExternalName) object.cluster_ips.clear();
    complete_external_name();
    if (client_ip_affinity_) object.client_ip_affinity_seconds = affinity_seconds_;
    check_ports();
  }

  void complete_cluster_ip() {
    if (*single_cluster_ip_ == "None") {
      object.headless = true;
      return;
    }
    const auto address = parse_routable_address(*single_cluster_ip_);
    if (address) {
      object.cluster_ips.push_back(*address);
    } else {
      leave_out_field("spec.clusterIP", address.reason());
    }
  }

  // Names, protocol and port, and protocol and node port are each unique within a Service. Of two
  // with the same, the later loses: a name or a number the port, a node port only that.
  void check_ports() {
    if (object.ports.size() < 2) return;
    using Port = ServicePort;
    const auto name = [](const Port& p) { return std::make_optional<std::string_view>(p.name); };
    const auto number = [](const Port& p) { return numbered(p.protocol, p.port); };
    const auto node_port = [](const Port& p) { return numbered(p.protocol, p.node_port); };
    const auto drop = [](Port& port) { port.port = 0; };
    each_repeated(".name", name, drop);
    each_repeated(".port", number, drop);
    each_repeated(".nodePort", node_port, [](Port& port) { port.node_port = 0; });
    std::erase_if(object.ports, [](const Port& port) { return port.port == 0; });
  }

  // Nothing for 0, which means no port, so that any number of them is allowed.
  static std::optional<std::uint32_t> numbered(Protocol protocol, std::uint16_t number) {
    if (number == 0) return {};
    return (static_cast<std::uint32_t>(protocol) << 16) | number;
  }

  template <typename KeyOf, typename Handle>
  void each_repeated(std::string_view below, KeyOf key_of, Handle handle) {
    auto& ports = object.ports;
    std::vector<std::pair<decltype(key_of(ports.front())), std::size_t>> keys;
    keys.reserve(ports.size());
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].port != 0) keys.emplace_back(key_of(ports[i]), i);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<std::size_t> repeated;
    for (std::size_t i = 1; i < keys.size(); ++i) {
      if (!keys[i].first || keys[i].first != keys[i - 1].first) continue;
      leave_out_field("spec.ports[" + std::to_string(keys[i].second) + "]" + std::string(below),
                      "the same as that of spec.ports[" + std::to_string(keys[i - 1].second) + "]");
      repeated.push_back(keys[i].second);
    }
    for (const std::size_t i : repeated) handle(ports[i]);
  }

  std::optional<std::string> single_cluster_ip_;
  bool port_is_lost_ = false;  // the current one has no usable number or protocol
  bool client_ip_affinity_ = false;
  std::uint32_t affinity_seconds_ = kDefaultAffinitySeconds;
  LoadBalancerIngress ingress_;
};

}  // namespace

template <>
std::unique_ptr<ObjectReader<Service>> make_reader() {
  return std::make_unique<ServiceReader>();
}

}  // namespace k8s
