// SPDX-License-Identifier: Apache-2.0
//
// Reads discovery.k8s.io EndpointSlice, v1 and v1beta1. v1beta1 has node and zone in a map
// `topology` instead of `nodeName` and `zone`.
#include <algorithm>
#include <optional>
#include <utility>

#include "k8s/decode/object_reader.hpp"
#include "k8s/decode/values.hpp"

namespace k8s {
namespace {

enum : SchemaNode {
  kAddressType = kFirstOwn,
  kEndpoint,
  kAddresses,
  kConditions,
  kReady,
  kServing,
  kTerminating,
  kHostname,
  kNodeName,
  kZone,
  kTopology,
  kTargetRef,
  kTargetKind,
  kTargetName,
  kHints,
  kZoneHint,
  kZoneHintName,
  kNodeHint,
  kNodeHintName,
  kPort,
  kPortName,
  kPortProtocol,
  kPortNumber,
};

constexpr auto kFields = object_fields(std::array{
    Field{doc::kRoot, {"addressType", 4}, FieldType::kString, kAddressType},
    Field{doc::kRoot, {"endpoints", 2}, FieldType::kObjects, kEndpoint},
    Field{kEndpoint, {"addresses", 1}, FieldType::kStrings, kAddresses},
    Field{kEndpoint, {"conditions", 2}, FieldType::kObject, kConditions},
    Field{kConditions, {"ready", 1}, FieldType::kBoolean, kReady},
    Field{kConditions, {"serving", 2}, FieldType::kBoolean, kServing},
    Field{kConditions, {"terminating", 3}, FieldType::kBoolean, kTerminating},
    Field{kEndpoint, {"hostname", 3}, FieldType::kString, kHostname},
    Field{kEndpoint, {"nodeName", 6}, FieldType::kString, kNodeName},
    Field{kEndpoint, {"zone", 7}, FieldType::kString, kZone},
    Field{kEndpoint, {"topology"}, FieldType::kMap, kTopology},
    Field{kEndpoint, {"targetRef", 4}, FieldType::kObject, kTargetRef},
    Field{kTargetRef, {"kind", 1}, FieldType::kString, kTargetKind},
    Field{kTargetRef, {"name", 3}, FieldType::kString, kTargetName},
    Field{kEndpoint, {"hints", 8}, FieldType::kObject, kHints},
    Field{kHints, {"forZones", 1}, FieldType::kObjects, kZoneHint},
    Field{kZoneHint, {"name", 1}, FieldType::kString, kZoneHintName},
    Field{kHints, {"forNodes", 2}, FieldType::kObjects, kNodeHint},
    Field{kNodeHint, {"name", 1}, FieldType::kString, kNodeHintName},
    Field{doc::kRoot, {"ports", 3}, FieldType::kObjects, kPort},
    Field{kPort, {"name", 1}, FieldType::kString, kPortName},
    Field{kPort, {"protocol", 2}, FieldType::kString, kPortProtocol},
    Field{kPort, {"port", 3}, FieldType::kInteger, kPortNumber},
});
constexpr Schema kSchema(kFields);

constexpr const char* kServiceName = "kubernetes.io/service-name";
constexpr std::string_view kHostnameTopology = "kubernetes.io/hostname";
constexpr std::string_view kZoneTopology = "topology.kubernetes.io/zone";

class SliceReader final : public ObjectReader<EndpointSlice> {
 public:
  SliceReader() : ObjectReader("EndpointSlice", "discovery.k8s.io") {}
  const Schema& schema() const override { return kSchema; }

 private:
  void start() override {
    object = {};
    address_type_.clear();
    bad_address_.reset();
    endpoint_count_ = 0;
  }

  bool wants_label(std::string_view key) const override { return key == kServiceName; }
  bool wants_own(SchemaNode, std::string_view key) const override {
    return key == kHostnameTopology || key == kZoneTopology;
  }

  void entry_own(SchemaNode, std::string_view key, std::string_view value) override {
    // If a server sends both, the fields of v1 take precedence.
    SliceEndpoint& endpoint = object.endpoints.back();
    std::string& to = key == kZoneTopology ? endpoint.zone : endpoint.node_name;
    if (to.empty()) to = value;
  }

  void open(SchemaNode node) override {
    switch (node) {
      case kEndpoint:
        object.endpoints.emplace_back();
        has_address_ = address_is_lost_ = false;
        ++endpoint_count_;
        return;
      case kTargetRef:
        target_kind_.clear();
        target_name_.clear();
        return;
      case kPort:
        object.ports.emplace_back();
        port_is_lost_ = false;
        return;
      default:
        return MetaReader::open(node);
    }
  }

  void close(SchemaNode node) override {
    switch (node) {
      case kEndpoint:
        if (!has_address_) note_bad_address(".addresses", "missing");
        if (!has_address_ || address_is_lost_) drop_last_endpoint();
        return;
      case kTargetRef:
        if (target_kind_ == "Pod") object.endpoints.back().pod_name = target_name_;
        return;
      case kPort:
        // No number, or 0, means "all ports", which a proxy cannot serve. kube-proxy ignores it
        // too.
        if (object.ports.back().port == 0 || port_is_lost_) object.ports.pop_back();
        return;
      default:
        return MetaReader::close(node);
    }
  }

  void scalar(SchemaNode node, const Scalar& value) override {
    if (node >= kPort) return scalar_of_port(node, value);
    if (node == kAddressType) {
      address_type_ = value.text;
      return;
    }
    if (node < kFirstOwn) return MetaReader::scalar(node, value);
    SliceEndpoint& endpoint = object.endpoints.back();
    switch (node) {
      case kAddresses:
        take_address(value.text);
        return;
      case kReady:
        endpoint.ready = value.boolean;
        return;
      case kServing:
        endpoint.serving = value.boolean;
        return;
      case kTerminating:
        endpoint.terminating = value.boolean;
        return;
      case kHostname:
        take_hostname(value.text);
        return;
      case kNodeName:
        endpoint.node_name = value.text;
        return;
      case kZone:
        endpoint.zone = value.text;
        return;
      case kTargetKind:
        target_kind_ = value.text;
        return;
      case kTargetName:
        target_name_ = value.text;
        return;
      case kZoneHintName:
        endpoint.zone_hints.emplace_back(value.text);
        return;
      case kNodeHintName:
        endpoint.node_hints.emplace_back(value.text);
        return;
      default:
        return;
    }
  }

  void scalar_of_port(SchemaNode node, const Scalar& value) {
    SlicePort& port = object.ports.back();
    switch (node) {
      case kPortName:
        port.name = value.text;
        return;
      case kPortProtocol:
        if (value.text.empty()) return;
        if (!accept(parse_protocol(value.text), port.protocol)) port_is_lost_ = true;
        return;
      case kPortNumber:
        accept(parse_port(value.integer, 0), port.port);
        return;
      default:
        return;
    }
  }

  void take_hostname(std::string_view text) {
    if (text.empty()) return;
    if (!is_dns_label(text)) return leave_out(quoted(text) + " is not an RFC 1123 label");
    object.hostnames.resize(object.endpoints.size());
    object.hostnames.back() = text;
  }

  void drop_last_endpoint() {
    object.endpoints.pop_back();
    if (object.hostnames.size() > object.endpoints.size()) object.hostnames.pop_back();
  }

  void take_address(std::string_view text) {
    if (has_address_) return;  // only the first counts
    has_address_ = true;
    const auto address = parse_routable_address(text);
    if (address) {
      object.endpoints.back().address = *address;
    } else {
      address_is_lost_ = true;
      note_bad_address(".addresses[0]", address.reason());
    }
  }

  // It is a fault unless addressType is FQDN, and that field may follow later.
  void note_bad_address(std::string_view below, std::string reason) {
    if (bad_address_) return;
    bad_address_ = {"endpoints[" + std::to_string(endpoint_count_ - 1) + "]" + std::string(below),
                    std::move(reason)};
  }

  void unreadable(SchemaNode node, const std::string& reason) override {
    switch (node) {
      case kAddresses:
        if (!has_address_) address_is_lost_ = true;
        has_address_ = true;
        return;
      case kPortName:
      case kPortProtocol:
        port_is_lost_ = true;
        return;
      default:
        return MetaReader::unreadable(node, reason);
    }
  }

  void complete() override {
    take_labels();
    drop_repeated_ports();
    if (address_type_ == "FQDN") {
      object.endpoints.clear();
      object.hostnames.clear();
      return;
    }
    if (bad_address_) leave_out_field(bad_address_->field, bad_address_->reason);
    if (address_type_ == "IPv4" || address_type_ == "IPv6") return drop_other_family();
    // An address says itself of which family it is.
    leave_out_field("addressType",
                    address_type_.empty()
                        ? "missing"
                        : quoted(address_type_) + " is not an address type (IPv4, IPv6, FQDN)");
  }

  void take_labels() {
    Labels& labels = object.meta.labels;
    if (const auto it = labels.find(kServiceName); it != labels.end()) {
      object.service_name = std::move(it->second);
    }
    labels = {};
  }

  void drop_other_family() {
    const bool v4 = address_type_ == "IPv4";
    const auto is_other = [v4](const SliceEndpoint& e) { return e.address.is_v4() != v4; };
    const auto first = std::find_if(object.endpoints.begin(), object.endpoints.end(), is_other);
    if (first == object.endpoints.end()) return;
    leave_out_field("endpoints",
                    first->address.to_string() + " in a slice of addressType " + address_type_);
    for (std::size_t i = object.hostnames.size(); i-- > 0;) {
      if (is_other(object.endpoints[i]))
        object.hostnames.erase(object.hostnames.begin() + static_cast<std::ptrdiff_t>(i));
    }
    // A trailing run of endpoints without a hostname is not listed.
    while (!object.hostnames.empty() && object.hostnames.back().empty())
      object.hostnames.pop_back();
    std::erase_if(object.endpoints, is_other);
  }

  // Of two ports with one name the second is dropped.
  void drop_repeated_ports() {
    std::vector<SlicePort>& ports = object.ports;
    for (std::size_t i = 1; i < ports.size();) {
      const auto end = ports.begin() + static_cast<std::ptrdiff_t>(i);
      const auto same = [&](const SlicePort& port) { return port.name == end->name; };
      if (std::none_of(ports.begin(), end, same)) {
        ++i;
        continue;
      }
      leave_out_field("ports", "two are named " + quoted(end->name));
      ports.erase(end);
    }
  }

  struct BadAddress {
    std::string field;
    std::string reason;
  };
  std::string address_type_;
  std::string target_kind_;
  std::string target_name_;
  std::optional<BadAddress> bad_address_;
  std::size_t endpoint_count_ = 0;  // begun so far
  bool has_address_ = false;        // of the current endpoint: the first was seen
  bool address_is_lost_ = false;    // and could not be read
  bool port_is_lost_ = false;       // the current one has no usable name or protocol
};

}  // namespace

template <>
std::unique_ptr<ObjectReader<EndpointSlice>> make_reader() {
  return std::make_unique<SliceReader>();
}

}  // namespace k8s
